"""An asyncio event loop on virtual time: what asks asyncio for tasks and sleep runs as it is."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.simulation.clock import Clock


class VirtualLoop(asyncio.BaseEventLoop):
    """Each callback is one thing that happens on the clock; nothing here waits."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._virtual = clock
        self._waiting: deque[asyncio.Handle] = deque()
        self.dead = False

    def begin(
        self, work: Coroutine[Any, Any, None], ended: Callable[[BaseException | None], None]
    ) -> None:
        """Run a coroutine; ``ended`` gets its exception, or None."""

        def over(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                ended(task.exception())

        self.create_task(work).add_done_callback(over)

    def do(self, what: Callable[..., None], *args: Any) -> None:
        """Call something at once that may ask for the running loop."""
        if not self.dead:
            self._call(asyncio.Handle(what, args, self))

    def bury(self) -> None:
        """Unwind what stands still, so that nothing is left open; no write of it takes effect."""
        self.dead = True
        for task in asyncio.all_tasks(self):
            task.cancel()
        while self._waiting:
            self._call(self._waiting.popleft())
        self.close()

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._virtual.now / 1000

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._waiting.append(handle)
        if not self.dead:
            self._virtual.after(0, self._next)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._virtual.after(round(when * 1000) - self._virtual.now, self._ring, handle)
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What dies with its process is no news; all else is a finding."""
        if not self.dead and "exception" in context:
            raise context["exception"]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        return

    def _next(self) -> None:
        if not self.dead:
            self._call(self._waiting.popleft())

    def _ring(self, handle: asyncio.TimerHandle) -> None:
        if not self.dead:
            self._call(handle)

    def _call(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        events._set_running_loop(self)
        try:
            handle._run()
        finally:
            events._set_running_loop(None)


def has_crashed(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether a kind of exception is what ended some work, also as one of a group."""
    if isinstance(error, BaseExceptionGroup):
        return any(has_crashed(each, kind) for each in error.exceptions)
    return isinstance(error, kind)
