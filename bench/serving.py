"""What the servers under test have in common: a certificate, a core, a loop, a way to be ended."""

import asyncio
import os
import signal
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address

import uvloop
from aiohttp import web

from certs import tls
from certs.authority import Authority
from certs.leaf import Leaf, Subject, issue
from webhook.admission.limits import Limits

HOST = "127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_leaf() -> tuple[Authority, Leaf]:
    """Make a CA and a certificate for 127.0.0.1, as Slipway's webhook would have them."""
    now = datetime.now(UTC)
    authority = Authority.create(now)
    return authority, issue(authority, Subject(ips=(ip_address(HOST),)), now)


def tls_context() -> ssl.SSLContext:
    """A TLS 1.3 server context with a fresh certificate."""
    context = tls.server_context()
    tls.load(context, make_leaf()[1])
    return context


def serve(start: Callable[[ssl.SSLContext], Awaitable[int]], core: int | None = None) -> None:
    """Run a server on uvloop until SIGTERM; prints the port on which it listens.

    ``core`` is the CPU it is to stay on.
    """
    if core is not None:
        os.sched_setaffinity(0, {core})

    async def main() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        print(await start(tls_context()), flush=True)
        await stopped.wait()

    uvloop.run(main())


async def start_app(handler: Handler, context: ssl.SSLContext, port: int = 0) -> int:
    """Put a handler behind ``/mutate`` of a stock aiohttp application, access log off."""
    app = web.Application(client_max_size=Limits().body)
    app.router.add_post("/mutate", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, ssl_context=context).start()
    return int(runner.addresses[0][1])
