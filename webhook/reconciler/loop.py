"""The reconciler: a change in the cluster, a decision, its writes, until there is nothing to do."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import structlog

from webhook.cluster import errors
from webhook.cluster.apply import Actuator, LeadershipLost
from webhook.cluster.client import Client
from webhook.cluster.kinds import DEPLOYMENTS, NAMESPACES, RELEASES, Kind
from webhook.cluster.policies import Policies
from webhook.cluster.snapshot import AROUND, CLUSTER_WIDE
from webhook.cluster.store import Change, Store
from webhook.objects.raw import Object
from webhook.reconciler.active import (
    Active,
    calls_for_engine,
    in_flight,
    key_of_release,
    wants_engine,
)
from webhook.reconciler.counting import Counting
from webhook.reconciler.counts import PhaseClock
from webhook.reconciler.decide import Decider
from webhook.reconciler.queue import Key, WorkQueue, utc
from webhook.reconciler.stranded import stranded
from webhook.release.actions import LiftHold, Plan, Protect, SetHold, TakeUp, subject_of
from webhook.release.observed import Observed
from webhook.telemetry import metrics

log = structlog.get_logger(__name__)

_WORKERS: Final = 8
_ROUNDS: Final = 100
"""Decisions in a row for one Deployment before others get their turn."""
_FIRST_DELAY: Final = 0.05
_LONGEST_DELAY: Final = 10.0


class Reconciler:
    """Runs releases for one leader's term; cancel `run` to stop.

    While ``detaching``, it takes every release back and begins none.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        policies: Policies,
        actuator: Actuator,
        *,
        detaching: bool = False,
        counting: Counting | None = None,
        now: Callable[[], datetime] = utc,
    ) -> None:
        self._now = now
        self._client = client
        self._store = store
        self._actuator = actuator
        self._counting = counting
        self._decider = Decider(store, policies, detaching=detaching, counting=counting)
        self._queue = WorkQueue()
        self._active = Active(store)
        self._failures: dict[Key, int] = {}
        self._clock = PhaseClock()

    @property
    def idle(self) -> bool:
        """Whether no Deployment needs a look, now or later."""
        return self._queue.idle and not self._active.everywhere()

    async def run(self) -> None:
        """Take up every release in flight, then follow changes until cancelled."""
        unsubscribe = self._store.subscribe(self._changed)
        for key in in_flight(self._store) | await self._free_the_stranded():
            self._queue.add(key)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_WORKERS):
                    group.create_task(self._work())
                if self._counting:
                    group.create_task(self._counting.run(self._in_release))
        finally:
            unsubscribe()
            for key in list(self._active.everywhere()):
                await self._active.end(key)

    async def _free_the_stranded(self) -> set[Key]:
        """Give back what nobody stands behind any more; returns the Deployments to look at."""
        found = await stranded(self._client, self._store)
        try:
            for kind, route, left in found.routes:  # traffic first, then what it leads to
                log.warning("stranded_route", name=route["metadata"]["name"])
                await self._actuator.release_route(kind, route, left)
            for service in found.services:
                log.warning("stranded_service", name=service["metadata"]["name"])
                await self._actuator.release_service(service)
        except errors.Conflict as error:
            log.warning("stranded_until_next_term", error=str(error))
        return found.keys

    def _in_release(self) -> Iterator[tuple[Key, Object]]:
        for key in self._active.everywhere():
            found = self._store.table(DEPLOYMENTS).get(*key)
            if found is not None:
                yield key, found

    def _changed(self, change: Change) -> None:
        """Which Deployments a change concerns."""
        if change.type == "RELISTED":
            return
        meta = change.object["metadata"]
        namespace = meta.get("namespace") or ""
        if change.kind == DEPLOYMENTS:
            self._deployment_changed((namespace, meta["name"]), change)
        elif change.kind == RELEASES:
            key = key_of_release(change.object)
            if key and (calls_for_engine(change.object) or key in self._active):
                self._queue.add(key)
        elif change.kind in AROUND:
            for key in self._decider.concerned(change.kind, change.object):
                self._queue.add(key)
        elif change.kind in CLUSTER_WIDE or change.kind == NAMESPACES:
            for key in self._active.everywhere():
                self._queue.add(key)

    def _deployment_changed(self, key: Key, change: Change) -> None:
        if change.type == "DELETED":
            if key in self._active or wants_engine(change.object):
                self._active.remember(change.object)
                self._queue.add(key)
        elif key in self._active or wants_engine(change.object):
            self._queue.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            metrics.WORK_QUEUE_DEPTH.set(len(self._queue))
            try:
                with metrics.RECONCILE_DURATION.time():
                    await self._reconcile(key)
                self._failures.pop(key, None)
            except (errors.ApiError, LeadershipLost) as error:
                self._failed(key, error, type(error).__name__)
            except Exception as error:  # one broken object must not stop the other releases
                log.exception("reconcile_crashed", namespace=key[0], deployment=key[1])
                self._failed(key, error, "Bug")
            finally:
                self._queue.done(key)

    def _failed(self, key: Key, error: Exception, cause: str) -> None:
        """Look again soon: the state has moved on, or the API server is in trouble."""
        metrics.RECONCILE_ERRORS.labels(cause).inc()
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (failures - 1))
        ordinary = isinstance(error, errors.Conflict | errors.NotFound) and failures < 5
        (log.debug if ordinary else log.warning)(
            "reconcile_failed",
            namespace=key[0],
            deployment=key[1],
            error=str(error),
            retry_in=delay,
        )
        self._queue.add_after(key, delay)

    async def _reconcile(self, key: Key) -> None:
        await self._active.begin(key)
        for _ in range(_ROUNDS):
            deployment, there = self._active.deployment(key)
            if deployment is None:
                await self._end(key)
                return
            seen, decided = self._decider.decide(deployment, self._now(), there=there)
            if not decided.actions:
                await self._rest(key, seen, decided, there=there)
                return
            await self._perform(deployment, seen, decided)
        self._queue.add(key)

    async def _perform(self, deployment: Object, seen: Observed, decided: Plan) -> None:
        self._clock.passed(seen.release, decided, self._now())
        roots = frozenset(root.name for root in seen.roots).union(
            *(route.roots for route in seen.routes)  # also of Services that were deleted
        )
        key, based_on = (seen.deployment.namespace, seen.deployment.name), _wanted(deployment)
        for action in decided.actions:
            current = self._store.table(DEPLOYMENTS).get(*key)
            if current is not None and _wanted(current) != based_on:
                return  # its user wrote it meanwhile: what follows was decided on something else
            log.info(
                "action",
                namespace=seen.deployment.namespace,
                deployment=seen.deployment.name,
                action=type(action).__name__,
                on=subject_of(action),
                step=decided.step,
                why=decided.reason,
            )
            await self._actuator.perform(current or deployment, roots, action)
            if isinstance(action, SetHold | LiftHold | TakeUp | Protect):
                based_on = _wanted(self._store.table(DEPLOYMENTS).get(*key) or deployment)

    async def _rest(self, key: Key, seen: Observed, decided: Plan, *, there: bool) -> None:
        if decided.wake_at is not None:
            wait = (decided.wake_at - self._now()).total_seconds()
            self._queue.add_after(key, wait)
        if not there or (seen.release is None and not decided.wake_at):
            await self._end(key)

    async def _end(self, key: Key) -> None:
        self._decider.forget(key)
        await self._active.end(key)


def _wanted(deployment: Object) -> object:
    """What changes when anybody but a controller writes a Deployment."""
    return deployment["metadata"].get("uid"), deployment["metadata"].get("generation")


async def follow_cluster(store: Store, kinds: tuple[Kind, ...], timeout: float) -> None:  # noqa: ASYNC109 the store raises it as its own error
    """Start the cluster-wide watches and wait until all are complete."""
    async with asyncio.TaskGroup() as group:
        for kind in kinds:
            group.create_task(store.follow(kind, timeout=timeout))
