"""Virtual time: one heap of what happens next, and coroutines that sleep on it.

Times are whole milliseconds since `EPOCH`. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any

EPOCH = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)


class Clock:
    """What is to happen, in order; two things at one moment keep the order of their booking."""

    def __init__(self) -> None:
        self.now = 0
        self.passed = 0
        """How many things have happened."""
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._booked = 0
        self._idle = 0

    def after(self, ms: int, what: Callable[..., None], *args: Any) -> None:
        """Let something happen in so many milliseconds."""
        self._booked += 1
        heappush(self._heap, (self.now + max(0, ms), self._booked, what, args))

    def idly(self, ms: int, what: Callable[..., None], *args: Any) -> None:
        """As `after`, of what comes now and then for ever: for it alone time does not go on."""
        self._idle += 1
        self.after(ms, self._idly, what, args)

    def _idly(self, what: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._idle -= 1
        what(*args)

    def step(self) -> bool:
        """Let the next thing happen; False if nothing is left."""
        if len(self._heap) == self._idle:
            return False
        when, _, what, args = heappop(self._heap)
        self.now = when
        self.passed += 1
        what(*args)
        return True

    def time(self) -> datetime:
        """The moment as the programs under test know it."""
        return EPOCH + timedelta(milliseconds=self.now)

    def stamp(self) -> str:
        """The moment as objects carry it: whole seconds, as a real API server stores them."""
        return _stamp(self.now // 1000)

    def until(self, moment: datetime) -> int:
        """Milliseconds until a moment, rounded up."""
        return -int((self.time() - moment) / timedelta(milliseconds=1) // 1)


@lru_cache(maxsize=4096)
def _stamp(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Later:
    """``await Later(ms)`` inside a `Task`."""

    ms: int

    def __await__(self) -> Generator[int, None, None]:
        yield self.ms


class Task:
    """A coroutine of the programs under test, moved on by the clock alone."""

    def __init__(
        self,
        clock: Clock,
        work: Coroutine[Any, Any, None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        self._clock, self._work, self._ended = clock, work, ended
        self._dead = False

    def step(self) -> None:
        """Go on until the next `Later`."""
        if self._dead:
            return
        try:
            ms = self._work.send(None)
        except StopIteration:
            self._over(None)
        except BaseException as error:  # told to whoever started it
            self._over(error)
        else:
            self._clock.after(ms, self.step)

    def kill(self) -> None:
        """End it where it sleeps, as the end of its process does."""
        if not self._dead:
            self._dead = True
            self._work.close()

    def _over(self, error: BaseException | None) -> None:
        self._dead = True
        self._ended(error)
