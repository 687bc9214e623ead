"""A bare handler on a stock aiohttp application: what a general framework costs on this core."""

import ssl
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from bench.bare import ALLOWED
from bench.serving import HOST, serve


async def allow(request: web.Request) -> web.Response:
    """Echo the uid."""
    uid: str = orjson.loads(await request.read())["request"]["uid"]
    return web.Response(body=ALLOWED % uid.encode(), content_type="application/json")


async def start_app(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], context: ssl.SSLContext
) -> int:
    """Put a handler behind ``/mutate`` of an aiohttp application, access log off."""
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/mutate", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
    return int(runner.addresses[0][1])


async def start(context: ssl.SSLContext) -> int:
    """Start the server."""
    return await start_app(allow, context)


if __name__ == "__main__":
    serve(start, core=0)
