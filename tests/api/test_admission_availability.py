"""Health, readiness, overload, and leaving without losing a review."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from admission_wire import DEADLINE, post, review, until

from webhook.admission.limits import Limits
from webhook.mutation.request import Outcome, Request


@pytest.fixture
def limits() -> Limits:
    """Room for two."""
    return replace(Limits(), in_flight=2, buffered=30_000)


async def test_readiness_says_why_not(rig: Any) -> None:
    """Liveness does not depend on it."""
    assert (await rig.plain.get("/readyz")).body == b"ok\n"
    rig.ready = (False, "the watch of Deployments is 95 s old")
    for client in (rig.client, rig.plain):
        reply = await client.get("/readyz")
        assert (reply.status, reply.body) == (503, b"the watch of Deployments is 95 s old\n")
        assert (await client.get("/healthz")).status == 200


async def test_metrics_are_served_on_both_listeners(rig: Any) -> None:
    """With the content type that Prometheus negotiates by."""
    for client in (rig.client, rig.plain):
        reply = await client.get("/metrics")
        assert reply.body == b"slipway_leader 1\n"
        assert reply.headers["content-type"] == "text/plain; version=1.0.0"


async def test_the_plain_listener_takes_no_reviews(rig: Any) -> None:
    """Reviews come over TLS only."""
    assert (await rig.plain.post(review())).status == 404


async def test_a_broken_readiness_check_answers_500_and_serving_goes_on(rig: Any) -> None:
    """A bug there must not look like a dead process."""
    rig.ready = None
    async with rig.client.wire() as wire:
        await wire.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = await wire.reply()
        assert reply.status == 500
        assert b"Traceback" not in reply.body
        rig.ready = (True, "")
        await wire.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.reply()).status == 200


async def test_too_many_reviews_at_once_are_put_off(rig: Any) -> None:
    """429 with Retry-After: the API server tries again within the timeout."""
    async with rig.client.wire() as one, rig.client.wire() as two:
        for wire in (one, two):
            await wire.send(post(review())[:-5])
        await until(lambda: rig.server._dispatch.in_flight == 2)
        reply = await rig.client.post(review())
        assert reply.status == 429
        assert reply.headers["retry-after"] == "1"
        assert rig.seen.failures == ["overload"]
    await until(lambda: rig.server._dispatch.in_flight == 0)
    assert (await rig.client.post(review())).status == 200


async def test_a_claim_on_too_much_memory_is_put_off(rig: Any) -> None:
    """All arriving reviews share one bound."""
    assert (await rig.client.post(b" " * 30_001)).status == 429


async def test_a_drain_loses_no_review(rig: Any) -> None:
    """Clients are told to leave, late ones are served, what has begun is finished."""
    answers: list[str] = []
    lost: list[str] = []
    async with rig.client.wire() as late:
        await late.send(post(review(uid="late"))[:-5])
        clients = [asyncio.create_task(keep_asking(rig, answers, lost)) for _ in range(2)]
        await until(lambda: len(answers) >= 20)
        drain = asyncio.create_task(rig.server.drain(grace=0.5, finish=DEADLINE))
        await until(lambda: rig.server._dispatch.draining)
        assert (await rig.plain.get("/readyz")).body == b"draining\n"
        assert (await rig.plain.get("/healthz")).status == 200
        await asyncio.gather(*clients)
        assert not drain.done(), "the drain did not wait for a review that had begun"
        await late.send(post(review(uid="late"))[-5:])
        reply = await late.reply()
        await drain
    assert lost == []
    assert answers.count("close") >= 2, "the clients were not told to leave"
    assert reply.response["uid"] == "late"
    assert reply.headers["connection"] == "close"
    await start_again(rig)


async def keep_asking(rig: Any, answers: list[str], lost: list[str]) -> None:
    """A client that opens a new connection whenever it is told to, until there is none."""
    while True:
        async with AsyncExitStack() as stack:
            try:
                wire = await stack.enter_async_context(rig.client.wire())
            except OSError:
                return  # the listener is closed: a Service would send us elsewhere
            try:
                told = ""
                while told != "close":
                    await wire.send(post(review()))
                    told = (await wire.reply()).headers.get("connection", "open")
                    answers.append(told)
                    await asyncio.sleep(0.002)
            except (OSError, asyncio.IncompleteReadError) as error:
                lost.append(repr(error))


async def start_again(rig: Any) -> None:
    """Let the rig's last check find a server again, without TLS."""
    await rig.server.stop()
    rig.client.port = await rig.server.start("127.0.0.1", 0, None)
    rig.client.tls = None


async def test_a_drain_waits_for_a_decision_that_looks_something_up(rig: Any) -> None:
    """Its body has arrived, and its answer has not left."""
    asked, known = asyncio.Event(), asyncio.Event()

    async def look(request: Request) -> Outcome:
        asked.set()
        await known.wait()
        return Outcome(object=request.object)

    rig.mutate = look
    slow = asyncio.create_task(rig.client.post(review()))
    await asyncio.wait_for(asked.wait(), DEADLINE)
    drain = asyncio.create_task(rig.server.drain(grace=0.0, finish=DEADLINE))
    await until(lambda: not rig.server._listener._sockets[0].is_serving())
    assert (await rig.plain.get("/readyz")).body == b"draining\n"
    assert rig.server._dispatch.in_flight == 1, "the drain would not wait for the answer"
    known.set()
    assert (await slow).response["allowed"] is True
    await drain
    rig.mutate = lambda request: Outcome(object=request.object)
    await start_again(rig)


async def test_a_drain_does_not_wait_for_ever(rig: Any) -> None:
    """A review that never arrives is cut off."""
    async with rig.client.wire() as wire:
        await wire.send(post(review())[:-5])
        await until(lambda: rig.server._dispatch.in_flight == 1)
        async with asyncio.timeout(DEADLINE):
            await rig.server.drain(grace=0.0, finish=0.3)
            assert await wire.closed()
            await start_again(rig)


async def test_a_drain_closes_idle_connections(rig: Any) -> None:
    """A client that says nothing keeps no process from ending."""
    async with rig.client.wire() as wire:
        await wire.send(post(review()))
        assert "connection" not in (await wire.reply()).headers
        await rig.server.drain(grace=0.0)
        assert await wire.closed()
        await start_again(rig)
