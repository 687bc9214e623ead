"""What a process does about ConfigMaps and Secrets: the real reconciler of config, with the engine.

It runs on asyncio, and so on a loop of its own; the tables of Deployments and policies are those of
the engine's process. What crashes one crashes both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from tests.simulation.client import Crashed
from tests.simulation.eventloop import VirtualLoop, has_crashed
from tests.simulation.followed import FollowingStore, LoopClient
from tests.simulation.patches import Object
from tests.simulation.webhook import IDENTITY
from webhook.cluster import errors
from webhook.cluster.apply import LeadershipLost
from webhook.cluster.contents import KINDS
from webhook.cluster.kinds import Kind
from webhook.cluster.policies import Policies
from webhook.cluster.snapshots import ContentsMoved, SnapshotKeeper
from webhook.cluster.store import Store, Table
from webhook.cluster.table import Change
from webhook.cluster.world import StoreWorld
from webhook.reconciler.config import ConfigReconciler
from webhook.reconciler.queue import Key

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

_MOMENT = 0.001
_ORDINARY = (errors.ApiError, LeadershipLost, ContentsMoved)


class ConfigProcess:
    """The part of a `Process` that follows contents."""

    def __init__(self, world: World, process: Process, engines: Store, term: int) -> None:
        self._broke = world.broke
        self.loop = _Loop(world.clock)
        client: Any = LoopClient(
            world.api, world, self.loop, lambda: world.clock.after(0, process.crash)
        )
        self._store = _Tables(client, self.loop, world.clock, world.api, world.dice, world.lateness)
        self._store.engines = engines
        admission = StoreWorld(self._store, IDENTITY, guards_config=True)
        keeper = SnapshotKeeper(client, self._store, admission, term=term, leads=process)
        self._reconciler = _Reconciler(
            client, self._store, Policies(self._store), keeper, now=world.clock.time
        )
        self._reconciler.broke = world.broke

    def start(self) -> None:
        self.loop.begin(self._reconciler.run(), self._over)

    def stop(self) -> None:
        self._store.stop()
        self.loop.bury()

    def heard(self, kind: Kind, type_: str, obj: Object) -> None:
        """The API server has something to tell about contents."""
        self._store.heard(kind, type_, obj)

    def told(self, change: Change) -> None:
        """Something changed in the engine's tables."""
        self._store.tell(change)

    def cut(self, kind: Kind | None, ms: int) -> None:
        self._store.cut(kind, ms)

    def freeze(self, kinds: frozenset[str]) -> None:
        if "Pod" in kinds:  # as often as that one
            self._store.freeze()

    def _over(self, error: BaseException | None) -> None:
        if not self.loop.dead and not has_crashed(error, Crashed):
            self._broke(error or AssertionError("the reconciler of config ended"))


class _Loop(VirtualLoop):
    """Looks for snapshots that nobody names come for ever; time does not go on for them alone."""

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Time goes on between two looks at the clock, as it does anywhere else."""
        later = max(delay, _MOMENT) if delay else 0
        return super().call_later(later, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if not (args and isinstance(args[0], tuple) and args[0][-1:] == ("",)):
            return super().call_at(when, callback, *args, context=context)
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._virtual.idly(round(when * 1000) - self._virtual.now, self._ring, handle)
        return handle


class _Tables(FollowingStore):
    """Those of contents are its own; all others are the engine's."""

    engines: Store

    def table(self, kind: Kind, namespace: str | None = None) -> Table:
        if kind in KINDS.values():
            return super().table(kind, namespace)
        return self.engines.table(kind, namespace)

    def tell(self, change: Change) -> None:
        self._told(change)


class _Reconciler(ConfigReconciler):
    """The real one; what it would log as a bug of its own is a finding."""

    broke: Callable[[BaseException], None]

    def _failed(self, key: Key, error: Exception) -> None:
        if not isinstance(error, _ORDINARY):
            self.broke(error)
        super()._failed(key, error)
