"""The one process that keeps a lab's network namespace and is its door.

Runs inside the namespace with nothing but the standard library (it is started by path, without
site-packages). It gives the namespace its routes, says ``ready`` on stdout, and then carries
connections in: from a Unix socket (first line ``HOST PORT``), and from listening sockets that it
inherited from outside (``--forward FD:PORT``). It ends when its stdin does, which is when the
process that owns the lab ends, however that ends.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import subprocess
import sys

_NETWORKS = ("10.244.0.0/16", "10.96.0.0/16")
_CHUNK = 1 << 16


def main() -> None:
    """Set up the namespace, then serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--door", required=True, help="path of the Unix socket to listen on")
    parser.add_argument("--forward", action="append", default=[], metavar="FD:PORT")
    options = parser.parse_args()
    _run("ip", "link", "set", "lo", "up")
    for network in _NETWORKS:
        _run("ip", "route", "add", "local", network, "dev", "lo")
    asyncio.run(_serve(options.door, options.forward))


async def _serve(door: str, forwards: list[str]) -> None:
    servers = [await asyncio.start_unix_server(_through_the_door, door)]
    for forward in forwards:
        fd, port = (int(part) for part in forward.split(":"))
        listener = socket.socket(fileno=fd)
        servers.append(await asyncio.start_server(_to_port(port), sock=listener))
    os.write(sys.stdout.fileno(), b"ready\n")
    await _end_of_stdin()


async def _end_of_stdin() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


async def _through_the_door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host, port = (await reader.readline()).decode().split()
    await _splice(reader, writer, host, int(port))


def _to_port(port: int):  # type: ignore[no-untyped-def]  # no typing module: started bare
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _splice(reader, writer, "127.0.0.1", port)

    return connected


async def _splice(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(host, port)
    except OSError:
        writer.transport.abort()  # refused inside is reset outside
        return
    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
