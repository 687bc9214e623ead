"""A reconciler process: real tables, real decisions, real actuator; the loop under virtual time.

It follows `webhook.reconciler.loop`: a change makes its Deployment due, one plan at a time is
performed action by action, and a failed write lets it look again after a while.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from tests.simulation.api_server import ApiServer
from tests.simulation.client import Crashed, FakeClient, Trouble
from tests.simulation.clock import Clock, Later, Task
from tests.simulation.hearsay import Hearsay
from tests.simulation.patches import Object
from tests.simulation.watches import Watch
from webhook.cluster import errors
from webhook.cluster.apply import Actuator, LeadershipLost
from webhook.cluster.kinds import DEPLOYMENTS, NAMESPACES, RELEASES, Kind
from webhook.cluster.policies import FOLLOWED, Policies
from webhook.cluster.snapshot import AROUND, CLUSTER_WIDE, OF_A_NAMESPACE
from webhook.cluster.store import Store
from webhook.cluster.table import Change
from webhook.reconciler.active import calls_for_engine, in_flight, key_of_release, wants_engine
from webhook.reconciler.decide import Decider
from webhook.reconciler.stranded import stranded
from webhook.release.actions import LiftHold, Plan, Protect, SetHold, TakeUp
from webhook.release.observed import Observed

Key = tuple[str, str]
_ROUNDS = 100
_NOW_AND_THEN = 80
"""How many events pass between two decisions that are made twice, about."""


class Beside(Protocol):
    """What runs in the same process, beside the engine."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def heard(self, kind: Kind, type_: str, obj: Object) -> None: ...

    def told(self, change: Change) -> None: ...

    def cut(self, kind: Kind | None, ms: int) -> None: ...

    def freeze(self, kinds: frozenset[str]) -> None: ...


class Process:
    """One process in one term. ``ended`` is told when it crashes; ``broke`` of its own bugs."""

    def __init__(
        self,
        clock: Clock,
        api: ApiServer,
        dice: random.Random,
        trouble: Trouble,
        term: int,
        *,
        slow: Callable[[Kind], int],
        ended: Callable[[Process], None],
        broke: Callable[[BaseException], None],
        decided: Callable[[Observed, Plan], None],
        beside: Callable[[Process, Store], Beside] | None = None,
        counting: Hearsay | None = None,
    ) -> None:
        self._clock, self._dice, self._term = clock, dice, term
        self._ended, self._broke, self._decided = ended, broke, decided
        self.leading = True
        self.dead = False
        self._client: Any = FakeClient(api, trouble)
        self._store = Store(self._client)
        self._counting = counting
        self._decider = Decider(self._store, Policies(self._store), counting=counting)
        self._actuator = Actuator(
            self._client, self._store, term=term, instance=f"p{term}", leads=self
        )
        self._watches: dict[Kind, Watch] = {}
        for kind in (*FOLLOWED, *CLUSTER_WIDE, *OF_A_NAMESPACE):
            namespace = "shop" if kind in OF_A_NAMESPACE else None
            table = self._store.table(kind, namespace)
            self._watches[kind] = Watch(clock, api, dice, table, self._changed, slow(kind))
        self._active: set[Key] = set()
        self._entering: set[Key] = set()
        """Those that wait for the tables around them to be complete."""
        self._last: dict[Key, Object] = {}
        self._busy: dict[Key, Task] = {}
        self._again: set[Key] = set()
        self._due: dict[Key, int] = {}
        self._failures: dict[Key, int] = {}
        self._started = False
        self._slowness = dice.choice((4, 20, 60))
        """Milliseconds until a change is looked at, at most."""
        self._beside = beside(self, self._store) if beside else None

    # Life

    def start(self) -> None:
        for kind in (*FOLLOWED, *CLUSTER_WIDE):
            self._watches[kind].open()
        self._spawn(("", "start"), self._begin_term())

    def stop(self) -> None:
        """Gone at once, wherever it is."""
        self.dead, self.leading = True, False
        for task in self._busy.values():
            task.kill()
        self._busy.clear()
        if self._beside:
            self._beside.stop()
        for watch in self._watches.values():
            watch.close()

    def heard(self, kind: Kind, type_: str, obj: Object) -> None:
        watch = self._watches.get(kind)
        if watch is not None and not self.dead:
            watch.heard(type_, obj)
        if self._beside and not self.dead:
            self._beside.heard(kind, type_, obj)

    def crash(self) -> None:
        """Gone at once, and somebody has to begin anew."""
        if not self.dead:
            self.stop()
            self._ended(self)

    def cut(self, kind: Kind | None, ms: int) -> None:
        for each, watch in self._watches.items():
            if kind in (None, each):
                watch.cut(ms)
        if self._beside:
            self._beside.cut(kind, ms)

    def freeze(self, kinds: frozenset[str]) -> None:
        """Watches of these kinds hang, and it goes on as if it led."""
        for kind, watch in self._watches.items():
            if kind.kind in kinds:
                watch.freeze()
        if self._beside:
            self._beside.freeze(kinds)

    @property
    def resting(self) -> bool:
        return not self._busy and not self._again

    # The loop

    async def _begin_term(self) -> None:
        while not all(self._watches[kind].synced for kind in (*FOLLOWED, *CLUSTER_WIDE)):
            await Later(10)
        self._started = True
        if self._beside:
            self._beside.start()
        keys = set(in_flight(self._store))
        try:
            found = await stranded(self._client, self._store)
            keys |= found.keys
            for kind, route, left in found.routes:
                await self._actuator.release_route(kind, route, left)
            for service in found.services:
                await self._actuator.release_service(service)
        except errors.Conflict:
            pass  # until the next term, as in the loop
        for key in sorted(keys):
            self._add(key)

    def _changed(self, change: Change) -> None:
        if change.type == "RELISTED" or not self._started:
            return
        if self._beside:
            self._beside.told(change)
        meta = change.object["metadata"]
        key = (meta.get("namespace") or "", meta["name"])
        if change.kind == DEPLOYMENTS:
            if key in self._active or wants_engine(change.object):
                if change.type == "DELETED":
                    self._last[key] = change.object
                self._add(key)
        elif change.kind == RELEASES:
            of = key_of_release(change.object)
            if of and (calls_for_engine(change.object) or of in self._active):
                self._add(of)
        else:
            self._around_changed(change)

    def _around_changed(self, change: Change) -> None:
        concerned = sorted(self._active) if change.kind in (*CLUSTER_WIDE, NAMESPACES) else []
        if change.kind in AROUND:
            concerned = self._decider.concerned(change.kind, change.object)
        for key in concerned:
            self._add(key)

    def _add(self, key: Key, ms: int = 0) -> None:
        if self.dead:
            return
        if not ms and key in self._busy:
            self._again.add(key)
            return
        at = self._clock.now + (ms or self._dice.randrange(1, self._slowness))
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        self._clock.after(at - self._clock.now, self._ring, key, at)

    def _ring(self, key: Key, at: int) -> None:
        if self.dead or self._due.get(key) != at:
            return
        del self._due[key]
        if key in self._busy:
            self._again.add(key)
        else:
            self._spawn(key, self._reconcile(key))

    def _spawn(self, key: Key, work: Any) -> None:
        task = Task(self._clock, work, lambda error: self._done(key, error))
        self._busy[key] = task
        task.step()

    def _done(self, key: Key, error: BaseException | None) -> None:
        self._busy.pop(key, None)
        if self.dead:
            return
        if isinstance(error, Crashed):
            self.crash()
            return
        if error is None:
            self._failures.pop(key, None)
        elif isinstance(error, errors.ApiError | LeadershipLost):
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            if key[0]:
                self._add(key, min(10_000, 50 * 2 ** (failures - 1)))
        else:
            self._broke(error)
        if key in self._again:
            self._again.discard(key)
            self._add(key)

    async def _reconcile(self, key: Key) -> None:
        await self._follow(key)
        for _ in range(_ROUNDS):
            deployment, there = self._deployment(key)
            if deployment is None:
                self._rest(key)
                return
            decided_on = deployment, self._clock.time()
            seen, decided = self._decider.decide(*decided_on, there=there)
            self._decided(seen, decided)
            if self._clock.passed % _NOW_AND_THEN == 0:
                self._decides_alike(*decided_on, there=there, alike=(seen, decided))
            if not decided.actions:
                if decided.wake_at is not None:
                    self._add(key, max(1, self._clock.until(decided.wake_at)))
                if not there or (seen.release is None and not decided.wake_at):
                    self._rest(key)
                return
            await self._perform(key, deployment, seen, decided)
        self._again.add(key)

    def _decides_alike(
        self, deployment: Object, now: datetime, *, there: bool, alike: tuple[Observed, Plan]
    ) -> None:
        """Rule 5: who knows nothing of the decisions before decides the same."""
        newcomer = Decider(self._store, Policies(self._store), counting=self._counting)
        if newcomer.decide(deployment, now, there=there) != alike:
            self._broke(AssertionError("rule 5: the same inputs gave another plan"))

    async def _perform(self, key: Key, deployment: Object, seen: Observed, decided: Plan) -> None:
        roots = frozenset(root.name for root in seen.roots).union(
            *(route.roots for route in seen.routes)
        )
        based_on = _wanted(deployment)
        for action in decided.actions:
            current = self._store.table(DEPLOYMENTS).get(*key)
            if current is not None and _wanted(current) != based_on:
                return  # its user wrote it meanwhile
            await self._actuator.perform(current or deployment, roots, action)
            if isinstance(action, SetHold | LiftHold | TakeUp | Protect):
                based_on = _wanted(self._store.table(DEPLOYMENTS).get(*key) or deployment)

    async def _follow(self, key: Key) -> None:
        if key in self._active:
            return
        if not self._active and not self._entering:
            for kind in OF_A_NAMESPACE:
                self._watches[kind].open()
        self._entering.add(key)
        while not all(self._watches[kind].synced for kind in OF_A_NAMESPACE):
            await Later(10)
        self._entering.discard(key)
        self._active.add(key)

    def _rest(self, key: Key) -> None:
        self._active.discard(key)
        self._decider.forget(key)
        self._last.pop(key, None)
        if self._active or self._entering:
            return
        for kind in OF_A_NAMESPACE:
            watch = self._watches[kind]
            watch.close()
            watch.table.clear()
            watch.table.synced = False

    def _deployment(self, key: Key) -> tuple[Object | None, bool]:
        found = self._store.table(DEPLOYMENTS).get(*key)
        if found is not None:
            self._last[key] = found
            return found, True
        return self._last.get(key), False


def _wanted(deployment: Object) -> object:
    return deployment["metadata"]["uid"], deployment["metadata"]["generation"]
