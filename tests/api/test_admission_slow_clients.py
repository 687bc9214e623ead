"""Clients that are slow, silent or deaf: none holds a connection for long."""

import asyncio
import contextlib
import json
import ssl
from dataclasses import replace
from typing import Any

import pytest
from admission_wire import DEADLINE, Wire, post, review, until

from webhook.admission.limits import MIB, Limits

GOOD = json.dumps(review()).encode()
HALF_A_HEAD = b"POST /mutate HTTP/1.1\r\nHost:"


@pytest.fixture
def limits() -> Limits:
    """As in production, with its 120 s of idleness, but impatient with all else."""
    return replace(
        Limits(), head_seconds=0.5, body_seconds=0.5, write_seconds=0.5, linger_seconds=0.5
    )


async def test_a_review_in_parts_is_answered(rig: Any) -> None:
    """What counts is when it ends, not in how many pieces it comes."""
    whole = post(GOOD)
    async with rig.client.wire() as wire:
        for _ in range(2):
            for part in (whole[:20], whole[20:-30], whole[-30:]):
                await wire.send(part)
                await asyncio.sleep(0.1)  # so that each part is read by itself
            assert (await wire.reply()).status == 200


async def test_half_a_head_ends_the_connection(rig: Any) -> None:
    """On a new connection, and on one that has served before."""
    async with rig.client.wire() as wire:
        await wire.send(HALF_A_HEAD)
        assert await wire.closed()
    async with rig.client.wire() as wire:
        await wire.send(post(GOOD))
        assert (await wire.reply()).status == 200
        await wire.send(HALF_A_HEAD)
        assert await wire.closed()


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_half_a_body_ends_with_408(rig: Any, framing: str) -> None:
    """The review that does not arrive is answered, and its connection closed."""
    chunked = {"Content_Length": None, "Transfer_Encoding": "chunked"}
    half = post(GOOD)[:-10] if framing == "length" else post(b"5\r\nhello\r\n", **chunked)
    async with rig.client.wire() as wire:
        await wire.send(half)
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (408, "close")
        assert await wire.closed()


async def test_a_dripping_head_ends_the_connection(rig: Any) -> None:
    """A byte now and then does not extend the deadline."""
    async with rig.client.wire() as wire, asyncio.timeout(DEADLINE):
        await wire.send(HALF_A_HEAD)
        assert await drip(wire) == b""


async def test_a_dripping_body_ends_with_408(rig: Any) -> None:
    """A byte now and then does not extend the deadline."""
    async with rig.client.wire() as wire, asyncio.timeout(DEADLINE):
        await wire.send(post(b"", Content_Length="100000"))
        assert b" 408 " in await drip(wire)


async def drip(wire: Wire) -> bytes:
    """Send a byte now and then, until the server closes; returns what it said."""
    heard = asyncio.create_task(wire.reader.read())
    while not heard.done():
        with contextlib.suppress(OSError):
            wire.writer.write(b"x")
        await asyncio.sleep(0.05)
    try:
        return await heard
    except (OSError, ssl.SSLError):
        return b""


async def test_a_refused_client_that_keeps_sending_is_cut_off(rig: Any) -> None:
    """The refusal is sent, a little more is read, then the connection ends."""
    async with rig.client.wire() as wire:
        await wire.send(post(b"x", Content_Length=str(2**30)))
        assert (await wire.reply()).status == 413
        async with asyncio.timeout(DEADLINE):
            with contextlib.suppress(OSError):
                while not wire.reader.at_eof():
                    await wire.send(b"x" * 65536)


async def test_a_refused_client_that_falls_silent_is_let_go(rig: Any) -> None:
    """Its refusal is not waited upon for long."""
    async with rig.client.wire() as wire:
        await wire.send(post(b"x", Content_Length=str(2**30)))
        assert (await wire.reply()).status == 413
        assert await wire.closed()


async def test_a_client_that_reads_nothing_is_let_go(rig: Any) -> None:
    """Answers that nobody reads are not piled up in memory."""
    async with rig.client.wire() as wire:
        await wire.send(post(GOOD))
        assert (await wire.reply()).status == 200  # the handshake is over on both sides
        wire.writer.transport.pause_reading()
        (connection,) = rig.server._listener._server.connections
        server_side = connection.transport
        flooding = asyncio.create_task(flood(wire))
        await until(lambda: connection.writing_paused, 90)  # the sockets hold some MiB first
        assert server_side.get_write_buffer_size() < 4 * MIB
        await until(lambda: rig.server._listener.connections == 0)
        flooding.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await flooding


async def flood(wire: Wire) -> None:
    """Ask for ever, as fast as the server takes it."""
    while True:
        wire.writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        await wire.writer.drain()
        await asyncio.sleep(0)
