"""What the servers under test have in common: a certificate, a core, a loop, a way to be ended."""

import asyncio
import os
import signal
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address

import uvloop

from certs import tls
from certs.authority import Authority
from certs.leaf import Leaf, Subject, issue
from webhook.admission.connection import Connection
from webhook.admission.limits import Limits
from webhook.admission.observer import Silent
from webhook.admission.site import Handler, Route, Site

HOST = "127.0.0.1"


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


async def serve_one_route(handler: Handler, context: ssl.SSLContext, port: int = 0) -> int:
    """Put a handler behind ``/mutate`` of Slipway's own HTTP server."""
    site = Site({"/mutate": Route(handler, (b"POST",), takes_review=True)}, Limits(), Silent())
    listener = await asyncio.get_running_loop().create_server(
        lambda: Connection(site), HOST, port, ssl=context
    )
    return int(listener.sockets[0].getsockname()[1])
