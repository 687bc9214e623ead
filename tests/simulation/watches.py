"""Watches: each kind comes in order, and late; kinds overtake each other; connections break."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.api_server import ApiServer
from tests.simulation.clock import Clock
from tests.simulation.patches import Object
from webhook.cluster.table import Change, Table


class Watch:
    """One process's watch of one kind, into a real table."""

    def __init__(
        self,
        clock: Clock,
        api: ApiServer,
        dice: random.Random,
        table: Table,
        changed: Callable[[Change], None],
        slowest: int,
    ) -> None:
        self._clock, self._api, self._dice = clock, api, dice
        self.table, self._told, self._slowest = table, changed, slowest
        self._queue: list[tuple[str, Object]] = []
        self._epoch = 0
        self._connected = False
        self._frozen = False

    @property
    def synced(self) -> bool:
        return self.table.synced

    def open(self) -> None:
        """List, after a moment, and follow from there."""
        self._epoch += 1
        self._connected = False
        self._clock.after(self._dice.randrange(1, 20), self._list, self._epoch)

    def close(self) -> None:
        """Nothing more is heard."""
        self._epoch += 1
        self._connected = False
        self._queue.clear()

    def cut(self, ms: int) -> None:
        """The connection breaks, what was on its way is lost, and after a while it is listed."""
        if self._connected:
            self.close()
            self._clock.after(ms, self._list, self._epoch)

    def freeze(self) -> None:
        """The connection hangs: nothing comes any more, and nobody notices."""
        self._frozen = True

    def heard(self, type_: str, obj: Object) -> None:
        """The API server has something to tell."""
        if not self._connected or self._frozen:
            return
        if not self._queue:
            self._clock.after(self._delay(), self._deliver, self._epoch)
        self._queue.append((type_, obj))

    def _delay(self) -> int:
        often = self._dice.random() < 0.9
        return self._dice.randrange(1, max(2, self._slowest // 10 if often else self._slowest))

    def _list(self, epoch: int) -> None:
        if epoch != self._epoch or self._frozen:
            return
        table = self.table
        found = [
            table.trim(obj)
            for obj in self._api.all(table.kind)
            if table.namespace in (None, obj["metadata"].get("namespace"))
        ]
        self._connected = True
        self._queue.clear()
        for change in table.replace(found, str(self._api.version)):
            self._told(change)
        self._told(Change(table.kind, "RELISTED", {}))

    def _deliver(self, epoch: int) -> None:
        if epoch != self._epoch or self._frozen:
            return
        queue, self._queue = self._queue, []
        for type_, obj in queue:
            self._observe(type_, obj)
        if self._dice.random() < 0.03:  # one comes twice
            self._observe(*self._dice.choice(queue))

    def _observe(self, type_: str, obj: Object) -> None:
        change = self.table.observe(type_, obj)
        if change is not None:
            self._told(change)
