"""Store and client of a program that runs on asyncio, on watches and calls of the model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from tests.simulation.api_server import ApiServer
from tests.simulation.client import Crashed, FakeClient, Trouble
from tests.simulation.clock import Clock
from tests.simulation.eventloop import VirtualLoop
from tests.simulation.patches import Object
from tests.simulation.watches import Watch
from webhook.cluster import errors
from webhook.cluster.errors import Call
from webhook.cluster.kinds import Kind
from webhook.cluster.store import Store, Table
from webhook.cluster.table import Change

_LOOK = 0.01


class LoopClient(FakeClient):
    """Calls sleep on asyncio; a crash stops the process where it is, and is told."""

    def __init__(
        self,
        api: ApiServer,
        trouble: Trouble,
        loop: VirtualLoop,
        crashed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(api, trouble, self._sleep)
        self._loop, self._crashed = loop, crashed

    async def _sleep(self, ms: int) -> None:
        if self._loop.dead:
            raise Crashed
        future = self._loop.create_future()
        self._loop.call_later(ms / 1000, _wake, future)
        await future

    async def _write(self, *args: Any) -> Any:
        try:
            return await super()._write(*args)
        except Crashed:
            self._loop.dead = True
            self._crashed()
            raise


def _wake(future: Any) -> None:
    if not future.done():
        future.set_result(None)


class FollowingStore(Store):
    """As `Store`, with modelled watches in place of reflectors."""

    def __init__(
        self,
        client: Any,
        loop: VirtualLoop,
        clock: Clock,
        api: ApiServer,
        dice: random.Random,
        slow: Callable[[Kind], int],
    ) -> None:
        super().__init__(client)
        self._loop, self._clock, self._api, self._dice, self._slow = loop, clock, api, dice, slow
        self._watches: dict[tuple[Kind, str | None], Watch] = {}
        self._users: dict[tuple[Kind, str | None], int] = {}

    async def follow(
        self,
        kind: Kind,
        namespace: str | None = None,
        labels: str | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 as the real one
    ) -> Table:
        scope = (kind, namespace)
        if scope not in self._watches:
            table, slowest = self.table(*scope), self._slow(kind)
            watch = Watch(self._clock, self._api, self._dice, table, self._told, slowest)
            self._watches[scope] = watch
            watch.open()
        self._users[scope] = self._users.get(scope, 0) + 1
        until = self._loop.time() + (timeout or 1000)
        while not self.table(*scope).synced:
            if self._loop.time() > until:
                await self.unfollow(*scope)
                raise errors.Timeout(Call("list", kind.kind), "not complete in time")
            await asyncio.sleep(_LOOK)
        return self.table(*scope)

    async def unfollow(self, kind: Kind, namespace: str | None = None) -> None:
        scope = (kind, namespace)
        if scope not in self._watches:
            return
        self._users[scope] -= 1
        if not self._users[scope]:
            self._watches.pop(scope).close()
            self._tables.pop(scope).synced = False

    def heard(self, kind: Kind, type_: str, obj: Object) -> None:
        """The API server has something to tell."""
        for (each, _), watch in self._watches.items():
            if each is kind:
                watch.heard(type_, obj)

    def cut(self, kind: Kind | None, ms: int) -> None:
        for (each, _), watch in self._watches.items():
            if kind in (None, each):
                watch.cut(ms)

    def freeze(self) -> None:
        """All watches hang."""
        for watch in self._watches.values():
            watch.freeze()

    def stop(self) -> None:
        for watch in self._watches.values():
            watch.close()

    def _told(self, change: Change) -> None:
        self._loop.do(self._publish, change)
