"""One aiohttp server: where it listens, who is connected, and how all of them leave."""

import asyncio
import contextlib
from ssl import SSLContext
from typing import Final

from aiohttp import web

from webhook.admission.connection import Connection
from webhook.admission.dispatch import Dispatch
from webhook.admission.limits import Limits

_BACKLOG: Final = 1024
_AT_ONCE: Final = 0.5
"""Seconds for tasks to notice that they were cut off."""


class Listener:
    """Serves what a `Dispatch` answers.

    aiohttp's own sites know no bounds for a TLS handshake, and its own shutdown stops reading
    the reviews that are still arriving. So sockets and the order of leaving are ours.
    """

    def __init__(self, dispatch: Dispatch, limits: Limits) -> None:
        self._dispatch = dispatch
        self._limits = limits
        self._server = web.Server(dispatch.answer)
        self._sockets: list[asyncio.Server] = []

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._server.connections)

    async def listen(self, host: str, port: int, tls: SSLContext | None) -> tuple[str, int]:
        """Open a socket; returns its address, with the port that the system chose for 0."""
        limits = self._limits
        opened = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._server, limits),
            host,
            port,
            ssl=tls,
            backlog=_BACKLOG,
            ssl_handshake_timeout=limits.handshake_seconds if tls else None,
            ssl_shutdown_timeout=limits.shutdown_seconds if tls else None,
        )
        self._sockets.append(opened)
        address = opened.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    def close(self) -> None:
        """Take no new connections."""
        for opened in self._sockets:
            opened.close()

    async def leave(self, seconds: float) -> bool:
        """Finish the reviews in flight, then close all connections; False if some were cut."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._dispatch.quiet.wait()
        finished = self._dispatch.in_flight == 0
        self._server.pre_shutdown()
        await self._server.shutdown(_AT_ONCE)
        return finished

    async def stop(self) -> None:
        """Close everything at once."""
        self.close()
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._server.pre_shutdown()
        await self._server.shutdown(_AT_ONCE)
        for opened in self._sockets:
            await opened.wait_closed()
        self._sockets = []
