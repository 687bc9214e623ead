"""Looks each second at the counters of the pods that are in a release."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import structlog

from webhook.cluster.indexes import owned_by
from webhook.cluster.kinds import PODS, REPLICASETS, Kind
from webhook.cluster.store import Store
from webhook.counters.pages import Pages
from webhook.counters.reading import Reading, read
from webhook.counters.tally import Tally, probes_of
from webhook.counters.targets import Target, page_of, target_of
from webhook.objects.counted import Sample
from webhook.objects.raw import Object
from webhook.reconciler.queue import Key, utc
from webhook.telemetry import metrics

log = structlog.get_logger(__name__)

_EVERY: Final = 1.0


class Counting:
    """What the pods of each Deployment have answered, as far as they say."""

    def __init__(
        self, store: Store, pages: Callable[[], Pages] = Pages, now: Callable[[], datetime] = utc
    ) -> None:
        self._store, self._pages, self._now = store, pages, now
        self._tallies: dict[Key, Tally] = {}

    def of(self, key: Key) -> tuple[Sample, ...]:
        """The looks at one Deployment's pods, the newest last; empty where there are none."""
        tally = self._tallies.get(key)
        return tuple(tally.samples) if tally else ()

    def forget(self, key: Key) -> None:
        """Keep nothing of a Deployment that is in no release any more."""
        self._tallies.pop(key, None)

    async def run(self, active: Callable[[], Iterable[tuple[Key, Object]]]) -> None:
        """Look at the pods of the active Deployments each second, until cancelled."""
        loop = asyncio.get_running_loop()
        async with self._pages() as pages:
            while True:
                began = loop.time()
                looks = (self._look(pages, key, deployment) for key, deployment in active())
                await asyncio.gather(*looks)
                await asyncio.sleep(max(0.1, _EVERY - (loop.time() - began)))

    async def _look(self, pages: Pages, key: Key, deployment: Object) -> None:
        targets, probes = self._targets(key[0], deployment)
        if not targets:
            return
        found = await asyncio.gather(*(_reading(pages, target) for target in targets))
        said = [(t, reading) for t, reading in zip(targets, found, strict=True) if reading]
        self._tallies.setdefault(key, Tally()).add(self._now(), said, probes)

    def _targets(self, namespace: str, deployment: Object) -> tuple[list[Target], float]:
        mine = self._owned(REPLICASETS, namespace, deployment)
        targets = [
            target
            for rs in mine
            if (page := page_of(rs["spec"]["template"]))
            for pod in self._owned(PODS, namespace, rs)
            if (target := target_of(pod, page))
        ]
        return targets, probes_of(deployment["spec"]["template"])

    def _owned(self, kind: Kind, namespace: str, owner: Object) -> list[Object]:
        uid = owner["metadata"].get("uid", "")
        return self._store.table(kind, namespace).found(owned_by(uid))


async def _reading(pages: Pages, target: Target) -> Reading | None:
    try:
        found = read(await pages.get(target.url))
    except Exception as error:  # whatever a pod writes must not stop the releases
        log.debug("pod_not_scraped", url=target.url, error=str(error))
        metrics.SCRAPES.labels("failed").inc()
        return None
    metrics.SCRAPES.labels("read" if found else "no_counter").inc()
    return found
