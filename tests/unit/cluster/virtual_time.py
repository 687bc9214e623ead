"""Time that passes only when a test says so."""

import asyncio
from collections.abc import Callable


class VirtualTime:
    """A clock and a sleep. ``flowing``: each sleep ends at once and moves the clock.

    ``suspended`` seconds are seen by the wall clock alone, as on a machine that slept.
    """

    def __init__(self, *, flowing: bool = True) -> None:
        self.flowing = flowing
        self.slept: list[float] = []
        self._now = 1000.0
        self._suspended = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return 1_800_000_000.0 + self._now + self._suspended

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.flowing:
            self._now += seconds
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + seconds, waiter))
        await waiter

    def suspend(self, seconds: float) -> None:
        self._suspended += seconds

    async def advance(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass in small steps, with room for real I/O on loopback after each wake-up."""
        end = self._now + seconds
        while self._now < end:
            self._now = min(end, self._now + step)
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now]
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]
            for _, waiter in due:
                if not waiter.done():
                    waiter.set_result(None)
            if due:
                await self.settle(len(self._sleepers) + len(due))

    async def settle(self, sleepers: int = 1) -> None:
        """Wait until so many tasks sleep again, or have had ample time to do so."""
        for _ in range(60):
            await asyncio.sleep(0.001)
            if len(self._sleepers) >= sleepers:
                return


async def eventually(condition: Callable[[], object], within: float = 5.0) -> None:
    """Wait until a condition holds; fail with its source of truth if it never does."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"did not come true within {within} s")
        await asyncio.sleep(0.002)
