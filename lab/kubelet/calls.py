"""gRPC on the ports that are named for it: every unary call is answered, whatever its name."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

Answer = Callable[[], Awaitable[tuple[bool, dict[str, str]]]]
"""Whether the call succeeds, and the metadata of the answer."""


class _Everything(grpc.GenericRpcHandler):  # type: ignore[misc]  # no types
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._call)

    async def _call(self, _request: bytes, context: Any) -> bytes:
        fine, metadata = await self._answer()
        context.set_trailing_metadata(tuple(metadata.items()))
        if not fine:
            await context.abort(grpc.StatusCode.INTERNAL, "as its environment says")
        return b""


async def serve(address: str, port: int, answer: Answer) -> Any:
    """Start a ``grpc.aio.Server`` without TLS (h2c); OSError if the port is taken."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_Everything(answer),))
    try:
        server.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise OSError(str(error)) from error
    await server.start()
    return server
