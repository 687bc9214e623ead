"""The webhook as it is: Slipway's server, decision and patch, under the default policy."""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime

from bench.serving import HOST, serve
from webhook.admission.server import AdmissionServer
from webhook.collector import relax
from webhook.mutation.mutate import mutate
from webhook.mutation.request import Outcome, Request
from webhook.mutation.validate import validate
from webhook.mutation.world import Running
from webhook.objects.policy import Policy, PolicySpec
from webhook.objects.raw import Object
from webhook.projection.config import Ref


class OnePolicy:
    """A world with the default policy for everything and no release in flight."""

    identity = "system:serviceaccount:slipway-system:slipway-reconciler"
    guards_config = False
    _policy = Policy(kind="ClusterReleasePolicy", name="default", namespace=None, spec=PolicySpec())

    def policy_for(self, namespace: str, deployment: Object) -> Policy | None:
        """Every Deployment is guarded."""
        return self._policy

    def running_in(self, namespace: str) -> Iterable[Running]:
        """Nothing runs."""
        return ()

    def digest(self, namespace: str, ref: Ref) -> str | None:
        """No contents are known."""
        return None


WORLD = OnePolicy()


def decide(request: Request) -> Outcome:
    """What the webhook decides for a write, now."""
    return mutate(request, WORLD, datetime.now(UTC))


async def start(context: ssl.SSLContext) -> int:
    """Start the webhook's server."""
    server = AdmissionServer(mutate=decide, validate=validate, ready=lambda: (True, ""))
    return await server.start(HOST, 0, context)


if __name__ == "__main__":
    relax()
    serve(start, core=0)
