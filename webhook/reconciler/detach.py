"""Taking Slipway out of a cluster: nothing stays held, pinned or split.

Releases in flight are taken back while the webhook still keeps their pins in place; only then is
it taken away. What an API server held a moment later is given back as well.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from webhook import names
from webhook.cluster import errors, install
from webhook.cluster.apply import Actuator
from webhook.cluster.client import Client
from webhook.cluster.kinds import (
    DEPLOYMENTS,
    PODS,
    RELEASES,
    ROUTES,
    SERVICES,
    Kind,
)
from webhook.cluster.store import Store
from webhook.objects.raw import Object
from webhook.projection.deployment import hold_of
from webhook.projection.fields import annotations, labels
from webhook.reconciler.active import key_of_release, unfinished
from webhook.reconciler.config import ConfigReconciler
from webhook.reconciler.loop import Reconciler

log = structlog.get_logger(__name__)

_LOOK: Final = 0.2
"""Seconds between two looks at whether the work is done."""
_QUIET: Final = 3.0
"""Seconds without work after which no API server calls the webhook any more: each watches its
configuration, and looks at admission policies once a second."""
_PASSING: Final = (errors.Conflict, errors.TooManyRequests, errors.Unavailable, errors.Timeout)
_INTENT: Final = (names.HOLD, names.PIN, names.SPLIT, names.ORIGINAL, names.STABLE, names.HELD_BY)


class NotDetached(Exception):
    """Something of Slipway's is left; the message lists it."""

    def __init__(self, left: Sequence[str]) -> None:
        what = "\n  ".join(left) or "Slipway's Lease, which another reconciler may hold"
        super().__init__(f"not detached in time; this is left:\n  {what}")


async def detach(
    client: Client,
    store: Store,
    reconciler: Reconciler,
    actuator: Actuator,
    *,
    configuration: str,
    admission_policy: str,
    config: ConfigReconciler | None = None,
) -> None:
    """Take everything back; runs until nothing is left, or until it is cancelled.

    With ``config``, where it is a part of versions, pods find the contents that theirs names.
    """
    patiently = AsyncRetrying(
        retry=retry_if_exception_type(_PASSING), wait=wait_fixed(1), reraise=True
    )
    if config is not None:
        await patiently(config.complete)
    working = asyncio.create_task(reconciler.run())

    async def finish() -> None:
        await _at_rest(reconciler, store, _LOOK)
        await install.unguard(client, configuration, admission_policy)
        await _at_rest(reconciler, store, _QUIET)
        await _settle_aborted(store, actuator)
        while left := await remains(client, store):
            log.info("waiting", left=left)
            await asyncio.sleep(1)

    finishing: asyncio.Task[None] = asyncio.create_task(patiently(finish))
    try:
        await asyncio.wait({working, finishing}, return_when=asyncio.FIRST_COMPLETED)
        (working if working.done() else finishing).result()
    finally:
        for task in (working, finishing):
            task.cancel()
        await asyncio.wait({working, finishing})


async def _settle_aborted(store: Store, actuator: Actuator) -> None:
    """A version that failed is not released by taking Slipway away: it stays paused."""
    for deployment in store.table(DEPLOYMENTS).all():
        hold = hold_of(deployment)
        if hold and hold.aborted:
            meta = deployment["metadata"]
            log.warning("left_paused", namespace=meta["namespace"], deployment=meta["name"])
            await actuator.leave_paused(deployment)


async def _at_rest(reconciler: Reconciler, store: Store, quiet: float) -> None:
    """Wait until nothing has been in flight for so many seconds."""
    clock = asyncio.get_running_loop()
    since = clock.time()
    while clock.time() - since < quiet:
        await asyncio.sleep(_LOOK)
        if not reconciler.idle or releases_left(store):
            since = clock.time()


def releases_left(store: Store) -> list[str]:
    """Releases in flight whose Deployment is there."""
    there = {obj["metadata"]["uid"] for obj in store.table(DEPLOYMENTS).all()}
    return [
        f"{_named(RELEASES, obj)}: {(obj.get('status') or {}).get('message') or 'not begun'}"
        for obj in store.table(RELEASES).all()
        if unfinished(obj) and key_of_release(obj) and obj["spec"]["deployment"]["uid"] in there
    ]


async def remains(client: Client, store: Store) -> list[str]:
    """Everything of Slipway's that is left in users' objects, in words; raises ApiError."""
    left = releases_left(store)
    services = (await client.list(SERVICES, trim=_ours_only)).items
    for kind, objects in (
        (DEPLOYMENTS, store.table(DEPLOYMENTS).all()),
        (SERVICES, services),
        *((kind, store.table(kind).all()) for kind in ROUTES.values()),
    ):
        left += [f"{_named(kind, obj)}: {what}" for obj in objects if (what := _ours_in(obj))]
    pods = (await client.list(PODS, labels=names.TRACK, trim=_ours_only)).items
    return left + [f"{_named(PODS, obj)}: label {names.TRACK}" for obj in pods if _stays(obj)]


def _ours_in(obj: Object) -> str:
    """What of an object is Slipway's and has to go; empty if nothing."""
    if names.CANARY_OF in labels(obj):
        return "was made by Slipway"
    found = [f"annotation {key}" for key in _INTENT if key in annotations(obj)]
    found += [f"label {names.TRACK}"] if names.TRACK in labels(obj) else []
    return ", ".join(found)


def _stays(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _named(kind: Kind, obj: Object) -> str:
    return f"{kind.kind} {obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _ours_only(obj: Object) -> Object:
    """Names, and what may be ours: a list of all Services is long."""
    kept = ("name", "namespace", "labels", "annotations", "deletionTimestamp")
    return {"metadata": {key: obj["metadata"][key] for key in kept if key in obj["metadata"]}}
