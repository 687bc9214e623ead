"""Slipway is uninstalled: `detach` itself, on the model's client and clock, and what helm does."""

from __future__ import annotations

from typing import Any

from tests.simulation.client import Crashed
from tests.simulation.eventloop import VirtualLoop, has_crashed
from tests.simulation.followed import FollowingStore, LoopClient
from tests.simulation.patches import Object, with_spec
from tests.simulation.reading import aborted, hold_text
from tests.simulation.users import ALICE
from tests.simulation.webhook import IDENTITY
from tests.simulation.world import World
from webhook.cluster import errors
from webhook.cluster.apply import Actuator, LeadershipLost
from webhook.cluster.kinds import (
    DEPLOYMENTS,
    MUTATINGADMISSIONPOLICIES,
    MUTATINGADMISSIONPOLICYBINDINGS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Kind,
)
from webhook.cluster.policies import FOLLOWED, Policies
from webhook.cluster.snapshot import CLUSTER_WIDE
from webhook.cluster.snapshots import SnapshotKeeper
from webhook.cluster.world import StoreWorld
from webhook.reconciler.config import ConfigReconciler
from webhook.reconciler.detach import detach
from webhook.reconciler.loop import Reconciler, follow_cluster

_NAME = "slipway"
_GUARDS = (
    MUTATINGADMISSIONPOLICYBINDINGS,
    MUTATINGADMISSIONPOLICIES,
    MUTATINGWEBHOOKCONFIGURATIONS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
_FORGOTTEN = 2500
"""Milliseconds for an API server to learn that a webhook is not called any more, at most."""


class Detacher:
    """The process of one attempt; ``World.processes`` has it among the others."""

    def __init__(self, world: World, term: int) -> None:
        self._world, self._term = world, term
        self.loop = VirtualLoop(world.clock)
        self.leading, self.dead = True, False
        client: Any = LoopClient(world.api, world, self.loop)
        self._store = FollowingStore(
            client, self.loop, world.clock, world.api, world.dice, world.lateness
        )
        self._client = client
        self._actuator = Actuator(
            client, self._store, term=term, instance=f"detach-{term}", leads=self
        )

    def start(self) -> None:
        self.loop.begin(self._work(), self._over)
        self._watch_for_a_crash()

    async def _work(self) -> None:
        await follow_cluster(self._store, (*FOLLOWED, *CLUSTER_WIDE), 30)
        reconciler = Reconciler(
            self._client,
            self._store,
            Policies(self._store),
            self._actuator,
            detaching=True,
            now=self._world.clock.time,
        )
        await detach(
            self._client,
            self._store,
            reconciler,
            self._actuator,
            configuration=_NAME,
            admission_policy=_NAME,
            config=self._config() if self._world.contents else None,
        )

    def _config(self) -> ConfigReconciler:
        admission = StoreWorld(self._store, IDENTITY, guards_config=True)
        keeper = SnapshotKeeper(self._client, self._store, admission, term=self._term, leads=self)
        now = self._world.clock.time
        return ConfigReconciler(self._client, self._store, Policies(self._store), keeper, now=now)

    def _watch_for_a_crash(self) -> None:
        """A crash is known at once to nobody: the Job looks at its pod now and then."""
        if self.dead:
            return
        if self.loop.dead:
            self._ended(Crashed())
        else:
            self._world.clock.after(500, self._watch_for_a_crash)

    def _over(self, error: BaseException | None) -> None:
        if not self.dead and not self.loop.dead:
            self._ended(error)

    def _ended(self, error: BaseException | None) -> None:
        world = self._world
        world.retire(self)
        if error is None:
            _gone(world)
        elif has_crashed(error, Crashed):
            world.crashes += 1
            world.note("the process that detaches crashes")
            _again(world)
        elif _is_passing(error):
            world.note(f"detaching fails: {error}")
            _again(world)
        else:
            world.rules.broken.append(f"exception: detach: {type(error).__name__}: {error}")

    # As a process of the world's

    def heard(self, kind: Kind, type_: str, obj: Object) -> None:
        if not self.dead:
            self._store.heard(kind, type_, obj)

    def cut(self, kind: Kind | None, ms: int) -> None:
        self._store.cut(kind, ms)

    def stop(self) -> None:
        self.dead, self.leading = True, False
        self._store.stop()
        self.loop.bury()


def _is_passing(error: BaseException) -> bool:
    """Whether the Job tries again, and rightly so."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_passing, error.exceptions))
    return isinstance(error, errors.ApiError | LeadershipLost)


# What helm and its Job do


def uninstall(world: World, number: int) -> None:
    """``helm uninstall``; in half of the cases somebody installs Slipway again."""
    if not world.installed:
        return
    world.happened["uninstall"] += 1
    world.installed = False
    world.excuses.leaving = True
    world.back_in = (None, 0, None, 20_000)[number % 4]
    old = world.resign()
    if old is not None:
        old.leading = False
        world.clock.after(world.dice.choice((10, 400)), world.retire, old)
    for kind in _GUARDS:
        meta = {"name": _NAME}
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
        if world.api.find(kind, "", _NAME) is None:
            world.api.create(kind, obj, ALICE)
    if not world.unguards:
        world.unguards = True
        world.api.subscribe(lambda *change: _changed(world, *change))
    world.clock.after(world.dice.choice((500, 3000)), _attempt, world)


def _attempt(world: World) -> None:
    world.term += 1
    detacher = Detacher(world, world.term)
    world.processes.append(detacher)
    world.note(f"process {world.term} detaches")
    detacher.start()


def _again(world: World) -> None:
    world.happened["detach again"] += 1
    world.clock.after(world.dice.choice((500, 10_000)), _attempt, world)


def _changed(world: World, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
    """What API servers do when the configuration goes, and what a pause that stays means."""
    if kind is MUTATINGWEBHOOKCONFIGURATIONS and type_ == "DELETED":
        world.clock.after(world.dice.randrange(_FORGOTTEN), _call_no_webhook, world)
    elif kind is MUTATINGADMISSIONPOLICIES and type_ == "DELETED":
        world.clock.after(world.dice.randrange(_FORGOTTEN), _hold_no_change, world)
    elif kind is DEPLOYMENTS and old is not None and not world.installed:
        _stays_paused(world, obj, old)


def _stays_paused(world: World, obj: Object, old: Object) -> None:
    """An aborted version is not released by the uninstall: it is as if its user had paused it."""
    if not aborted(old) or hold_text(obj) or obj["spec"].get("paused") is not True:
        return
    world.happened["left paused"] += 1
    meta = obj["metadata"]
    where = (DEPLOYMENTS, (meta["namespace"], meta["name"]))
    if where in world.users.wanted:
        world.users.wanted[where] = with_spec(world.users.wanted[where], paused=True)


def _call_no_webhook(world: World) -> None:
    if not world.installed:
        world.webhook_out = world.webhook.down = True


def _hold_no_change(world: World) -> None:
    if not world.installed:
        world.webhook.admission_policy = False


def _gone(world: World) -> None:
    world.happened["uninstalled"] += 1
    world.note("Slipway is uninstalled")
    if world.back_in is not None:
        world.clock.after(max(world.back_in, _FORGOTTEN), _install, world)


def _install(world: World) -> None:
    if world.installed:
        return
    world.note("Slipway is installed again")
    world.happened["installed again"] += 1
    world.installed = True
    world.excuses.leaving = False
    world.webhook_out = world.webhook.down = False
    world.webhook.admission_policy = world.scenario.admission_policy
    world.lead()


def upgrade(world: World, number: int) -> None:
    """``helm upgrade``: the processes end wherever they are, and new ones begin."""
    if not world.installed:
        return
    world.happened["upgrade"] += 1
    old = world.resign()
    if old is not None:
        world.retire(old)
    world.webhook.cut((20, 400)[number % 2])
    world.clock.after((10, 500, 4000)[number % 3], world.lead_if_nobody)


def disable(world: World, _number: int) -> None:
    """The policy's strategy is ``none`` from now on: the next change is not guarded."""
    world.happened["disable"] += 1
    world.users.set_policy({**world.scenario.policy, "strategy": {"none": {}}})


DOINGS = {"uninstall": uninstall, "upgrade": upgrade, "disable": disable}

__all__ = ["DOINGS", "Detacher"]
