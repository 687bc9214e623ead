"""gRPC calls instead of GETs: an open loop, every second call over a connection of its own."""

import asyncio
from typing import Any, Final

import grpc

from lab.probe.generator import Generator, Target

_METHOD: Final = "/lab.Shop/Get"


class CallGenerator(Generator):
    """Sends unary calls; the version is the answer's trailing metadata ``x-version``."""

    _kept: Any = None

    async def _get(self, *, keep: bool) -> tuple[int, dict[str, str], bool]:
        if keep:
            reused = self._kept is not None
            self._kept = self._kept or _channel(self._target)
            return (*await _call(self._kept), reused)
        async with _channel(self._target) as channel:
            return (*await _call(channel), False)

    async def run(self, stopped: asyncio.Event) -> None:
        """As with GETs; the kept connection is closed at the end."""
        await super().run(stopped)
        if self._kept is not None:
            await self._kept.close()


def _channel(target: Target) -> Any:
    host, port = target.address
    options = [
        ("grpc.default_authority", target.host or host),
        ("grpc.use_local_subchannel_pool", 1),  # else channels share connections
        ("grpc.enable_retries", 0),
    ]
    return grpc.aio.insecure_channel(f"{host}:{port}", options=options)


async def _call(channel: Any) -> tuple[int, dict[str, str]]:
    """As HTTP would say it: 200, or an OSError with the code and what the server said."""
    call = channel.unary_unary(_METHOD)(b"")
    try:
        await call
    except grpc.RpcError as error:
        raise ConnectionError(f"{error.code().name}: {error.details()}") from error
    return 200, {key: str(value) for key, value in await call.trailing_metadata()}
