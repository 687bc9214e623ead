"""The open loop: requests go out on their turn, whatever became of those before."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lab.probe.connection import Connection, NoAnswerError
from lab.probe.report import Answer

TIMEOUT: Final = 5.0
"""Seconds after which a request counts as failed."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send: ``url`` names address and path, ``host`` the virtual host."""

    url: str
    host: str | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Address and port to connect to."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    def request(self, *, keep: bool) -> bytes:
        """The bytes of a GET."""
        parts = urlsplit(self.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = self.host or parts.netloc
        connection = "" if keep else "Connection: close\r\n"
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{connection}\r\n".encode()


class Generator:
    """Sends ``rate`` requests a second, every second one over a new connection.

    ``tell`` gets each answer as it comes.
    """

    def __init__(self, target: Target, rate: float, tell: Callable[[Answer], None]) -> None:
        self._target = target
        self._interval = 1 / rate
        self._tell = tell
        self._idle: list[Connection] = []
        self._flying: set[asyncio.Task[None]] = set()

    async def run(self, stopped: asyncio.Event) -> None:
        """Send until ``stopped``, then wait for what is in flight."""
        began = time.monotonic()  # uvloop's own clock is coarse
        number = 0
        while not stopped.is_set():
            turn = began + number * self._interval
            if (ahead := turn - time.monotonic()) > 0:
                await _sleep_or(stopped, ahead)
                continue
            self._send(turn, keep=number % 2 == 0)
            number += 1
        if self._flying:
            await asyncio.wait(self._flying)
        for connection in self._idle:
            connection.close()

    def _send(self, turn: float, *, keep: bool) -> None:
        task = asyncio.create_task(self._one(turn, keep=keep))
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)

    async def _one(self, turn: float, *, keep: bool) -> None:
        started, wall = time.monotonic(), time.time()
        status, version, error, reused = 0, "", "", False
        try:
            async with asyncio.timeout(TIMEOUT):
                status, headers, reused = await self._get(keep=keep)
                version = headers.get("x-version", "")
        except TimeoutError:
            error = f"no answer in {TIMEOUT:g} s"
        except (OSError, asyncio.LimitOverrunError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        took = time.monotonic() - started
        self._tell(Answer(wall, started - turn, took, status, version, error, reused))

    async def _get(self, *, keep: bool) -> tuple[int, dict[str, str], bool]:
        request = self._target.request(keep=keep)
        if keep and self._idle:
            kept = self._idle.pop()
            # RFC 9112 9.3.1: a server may close an idle connection just as it is used again;
            # a GET is then sent once more. A new connection gives no such excuse.
            with suppress(NoAnswerError):
                status, headers = await kept.get(request)
                self._keep(kept)
                return status, headers, True
        connection = await Connection.to(*self._target.address)
        status, headers = await connection.get(request)
        if keep:
            self._keep(connection)
        else:
            connection.close()
        return status, headers, False

    def _keep(self, connection: Connection) -> None:
        if connection.open:
            self._idle.append(connection)


async def _sleep_or(stopped: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopped.wait()
