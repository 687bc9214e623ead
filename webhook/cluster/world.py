"""The webhook's `World`, answered from its watch caches."""

from collections.abc import Iterable

from webhook.cluster.kinds import RELEASES, Object
from webhook.cluster.policies import Policies
from webhook.cluster.releases import readable_releases
from webhook.cluster.store import Store
from webhook.mutation.world import Running
from webhook.objects.policy import Policy
from webhook.objects.release import Release
from webhook.projection.config import Ref
from webhook.release.converge import shares


class StoreWorld:
    """What a decision at admission may know; see `webhook.mutation.world.World`."""

    def __init__(self, store: Store, identity: str, *, guards_config: bool = False) -> None:
        self._store = store
        self._policies = Policies(store)
        self._identity = identity
        self._guards_config = guards_config

    @property
    def identity(self) -> str:
        """User name under which Slipway's reconciler writes."""
        return self._identity

    def policy_for(self, namespace: str, deployment: Object) -> Policy | None:
        """The policy that guards this Deployment, None if it is not managed."""
        return self._policies.policy_for(namespace, deployment)

    def running_in(self, namespace: str) -> Iterable[Running]:
        """The releases in flight in a namespace whose Services are pinned."""
        found = readable_releases(self._store.table(RELEASES).all(namespace))
        return [_running(r) for r in found if not r.status.phase.finished and r.status.root_hash]

    @property
    def guards_config(self) -> bool:
        """Whether Slipway was given the right to read ConfigMaps and Secrets."""
        return self._guards_config

    def digest(self, namespace: str, ref: Ref) -> str | None:
        """Contents are in no cache: they are looked up for the few writes that need them."""
        return None


def _running(release: Release) -> Running:
    status = release.status
    return Running(
        name=release.name,
        pod_labels=release.spec.pod_labels,
        root_hash=status.root_hash,
        routes=release.spec.traffic.routes,
        fenced=status.fenced,
        shares=shares(release, status),
    )
