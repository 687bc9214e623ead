"""Clients that keep a connection and send nothing: as the API server does, but not for ever."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from admission_wire import post, review

from webhook.admission.limits import Limits

GOOD = json.dumps(review()).encode()
HALF_A_HEAD = b"POST /mutate HTTP/1.1\r\nHost:"


@pytest.fixture
def limits() -> Limits:
    """A head may take far less time than a connection may be idle."""
    return replace(Limits(), head_seconds=0.5, keepalive_seconds=3.0, linger_seconds=0.5)


async def test_half_a_head_behind_a_request_ends_the_connection(rig: Any) -> None:
    """The request is answered; what follows has no longer than an idle connection."""
    async with rig.client.wire() as wire:
        await wire.send(post(GOOD) + HALF_A_HEAD)
        assert (await wire.reply()).status == 200
        assert await wire.closed()


async def test_a_connection_may_be_idle_for_longer_than_a_head_may_take(rig: Any) -> None:
    """The API server keeps connections, and may open some before it needs them."""
    async with rig.client.wire() as wire:
        for _ in range(2):
            await asyncio.sleep(1.0)  # twice as long as a head may take
            await wire.send(post(GOOD))
            reply = await wire.reply()
            assert reply.status == 200
            assert "connection" not in reply.headers


async def test_an_idle_connection_ends_after_its_time(rig: Any) -> None:
    """By a clean close, whether it has served or not."""
    async with rig.client.wire() as silent, rig.client.wire() as served:
        await served.send(post(GOOD))
        assert (await served.reply()).status == 200
        assert await served.closed()
        assert await silent.closed()
