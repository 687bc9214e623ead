"""From an apply of a new version to the first pod of it: what the guard costs a person who waits.

The whole system on a lab, watched from outside: the clock starts when the apply is sent, and
stops when the API server tells of the first new pod. In between lie admission, the pins of the
Services, the proof that their EndpointSlices are right, and kube's own controller. The same is
measured for a Deployment that Slipway does not guard.
"""

import asyncio
from contextlib import aclosing
from time import perf_counter
from typing import Final

from bench.measure import BenchError, median
from bench.results import Row, below
from lab import shop, slipway
from lab.cluster import Lab
from webhook.cluster.client import Client
from webhook.cluster.kinds import PODS

_SECONDS: Final = 30.0
_APPLY: Final = "application/apply-patch+yaml"
GUARDED: Final = {"slipway.dev/bench": "guarded"}
PLAIN: Final = {"slipway.dev/bench": "plain"}


def measure(rounds: int) -> list[Row]:
    """Start a lab with Slipway on it and measure; takes about half a minute."""
    policy = {"match": {"namespaceSelector": {"matchLabels": GUARDED}}}
    with Lab.start() as lab:
        slipway.install(lab, {"defaultPolicy": {"spec": policy}})
        guarded = [_one(lab, GUARDED) for _ in range(rounds)]
        plain = [_one(lab, PLAIN) for _ in range(rounds)]
    return [
        below("apply_to_canary_pod", median(guarded) * 1000, "ms", 200),
        Row("apply_to_canary_pod.worst", max(guarded) * 1000, "ms"),
        Row("apply_to_pod.unguarded", median(plain) * 1000, "ms", "kube alone"),
    ]


def _one(lab: Lab, labels: dict[str, str]) -> float:
    namespace = lab.namespace("bench", labels)
    app = shop.Shop.open(lab, namespace, replicas=2)
    app.wait_rolled_out()
    return asyncio.run(_apply_and_wait(lab, namespace))


async def _apply_and_wait(lab: Lab, namespace: str) -> float:
    """Seconds from the apply of v2, as ``kubectl apply --server-side`` sends it, to its pod."""
    target = lab.api.path("deployments", namespace, "shop") + "?fieldManager=kubectl&force=true"
    manifest = shop.deployment(image="shop:v2", replicas=2)
    async with await Client.connect(lab.outside_kubeconfig) as client:
        version = (await client.list(PODS, namespace)).resource_version
        events = client.watch(PODS, namespace, resource_version=version, timeout=_SECONDS)
        async with asyncio.timeout(_SECONDS), aclosing(events):
            began = perf_counter()
            apply = asyncio.create_task(
                asyncio.to_thread(lab.api.request, "PATCH", target, manifest, _APPLY)
            )
            async for event in events:  # from the version on, so none is missed
                if event.type == "ADDED":
                    took = perf_counter() - began
                    await apply
                    return took
    raise BenchError(f"no pod of v2 within {_SECONDS} s")
