"""Which Deployments want a look, and when: each at most once at a time."""

import asyncio
from datetime import UTC, datetime
from typing import TypeAlias

Key: TypeAlias = tuple[str, str]
"""(namespace, name) of a Deployment."""


def utc() -> datetime:
    """The time of day; beside it only the event loop has a clock."""
    return datetime.now(UTC)


class WorkQueue:
    """Keys that are due. A key added while it is worked on comes again afterwards."""

    def __init__(self) -> None:
        self._due: dict[Key, None] = {}
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, tuple[float, asyncio.TimerHandle]] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def idle(self) -> bool:
        """Whether no key is due, worked on, or due later."""
        return not (self._due or self._busy or self._timers)

    def add(self, key: Key) -> None:
        """Make a key due now."""
        if key in self._busy:
            self._again.add(key)
            return
        self._due[key] = None
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Make a key due later; an earlier time that is set already stays."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, seconds)
        known = self._timers.get(key)
        if known:
            if known[0] <= at:
                return
            known[1].cancel()
        handle = loop.call_later(max(0.0, seconds), self._ring, key)
        self._timers[key] = (at, handle)

    async def get(self) -> Key:
        """The next due key; call `done` with it afterwards."""
        while not self._due:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._due))
        del self._due[key]
        self._busy.add(key)
        return key

    def done(self, key: Key) -> None:
        """The work on a key is over."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _ring(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)
