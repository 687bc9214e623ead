"""One container: it starts, serves, crashes, comes back, and ends."""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from lab.kubelet import behaviour
from lab.kubelet.config import Config, ConfigMissing
from lab.kubelet.readiness import Prober
from lab.kubelet.server import Server
from lab.kubelet.status import ContainerSeen

_BACKOFF_FIRST: Final = 1.0  # seconds before the first restart, doubled each time
_BACKOFF_MOST: Final = 60.0
_LOOKS_AGAIN: Final = 0.5  # seconds; a kubelet takes a few for a missing ConfigMap


class Container:
    """A container of a pod at ``address``; ``on_change`` is called when its status changes."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        pod: Mapping[str, Any],
        address: str,
        session: aiohttp.ClientSession,
        config: Config,
        on_change: Callable[[], None],
    ) -> None:
        self._first = spec["name"] == pod["spec"]["containers"][0]["name"]
        self.server = Server(behaviour.read(spec, first=self._first), pod["metadata"]["name"])
        self._config = config
        self._spec = spec
        self._address = address
        self._session = session
        self._on_change = on_change
        self._prober = self._new_prober()
        self._crash = asyncio.Event()
        self._down: float | None = None
        self._restarts = 0
        self._running = False
        self._waiting = "ContainerCreating"
        self._since = now_text()

    @property
    def seen(self) -> ContainerSeen:
        """What its status should say now."""
        return ContainerSeen(
            name=self._spec["name"],
            image=self._spec.get("image", ""),
            running=self._running,
            ready=self._running and self._prober.ready,
            restarts=self._restarts,
            since=self._since,
            waiting=self._waiting,
        )

    def crash(self, down: float | None = None) -> None:
        """End at once; come back after ``down`` seconds (default: the usual back-off)."""
        self._down = down
        self._crash.set()

    async def run(self) -> None:
        """Live until cancelled, restarting after each crash."""
        if not self.server.behaviour.pullable:
            self._turn(running=False, waiting="ImagePullBackOff")
            return
        while True:
            await self._configure()
            await self._live()
            self._prober = self._new_prober()
            self._restarts += 1
            self._turn(running=False, waiting="CrashLoopBackOff")
            backoff = min(_BACKOFF_FIRST * 2 ** (self._restarts - 1), _BACKOFF_MOST)
            await asyncio.sleep(backoff if self._down is None else self._down)
            self._down = None

    async def stop(self, longest: float) -> None:
        """As on SIGTERM; what is in flight has ``longest`` seconds."""
        await self.server.drain(longest)
        self._turn(running=False, waiting="")

    async def _configure(self) -> None:
        """Read the config of this start; wait for what is missing, as long as it takes."""
        while True:
            try:
                spec = await self._config.applied(self._spec)
            except ConfigMissing as missing:
                if self._waiting != missing.reason:
                    self._turn(running=False, waiting=missing.reason)
                await asyncio.sleep(_LOOKS_AGAIN)
            else:
                self.server.become(behaviour.read(spec, first=self._first))
                return

    async def _live(self) -> None:
        self._crash.clear()
        self._turn(running=True, waiting="")
        probing = asyncio.create_task(self._prober.run(self._on_change))
        try:
            if not await self._crashes_within(self.server.behaviour.start_after):
                with suppress(OSError):  # a port that is taken ends the program, as anywhere
                    await self.server.listen(self._address)
                    await self._crashes_within(self.server.behaviour.crash_after)
        finally:
            probing.cancel()
        self.server.crash()

    async def _crashes_within(self, seconds: float) -> bool:
        if seconds <= 0:
            return self._crash.is_set()
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._crash.wait()
        except TimeoutError:
            return False
        return True

    def _turn(self, *, running: bool, waiting: str) -> None:
        self._running, self._waiting, self._since = running, waiting, now_text()
        self._on_change()

    def _new_prober(self) -> Prober:
        return Prober(self._spec, self.server, self._address, self._session)


def now_text() -> str:
    """The time now as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
