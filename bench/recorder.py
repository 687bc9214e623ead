"""A webhook that lets everything pass and keeps what it was sent; `bench.record` starts it."""

import asyncio
import ssl
import sys
from itertools import count
from pathlib import Path

import orjson
import uvloop
from aiohttp import web

from bench.bare import allow
from bench.serving import make_leaf, start_app
from certs import tls


def keep_in(folder: Path, body: bytes, number: int) -> None:
    """Write one review to a file of its own, under its final name once it is whole."""
    asked = orjson.loads(body)["request"]
    name = f"{number:03}-{asked['kind']['kind']}-{asked['operation']}.json"
    (folder / "part").write_bytes(body)
    (folder / "part").rename(folder / name)


async def main(folder: Path, port: int) -> None:
    """Record until the process is ended; ``ca.pem`` is there once it listens."""
    authority, leaf = make_leaf()
    context: ssl.SSLContext = tls.server_context()
    tls.load(context, leaf)
    numbers = count(1)

    async def keep(request: web.Request) -> web.Response:
        keep_in(folder, await request.read(), next(numbers))
        return await allow(request)

    await start_app(keep, context, port)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
