"""Pages of pods are fetched within bounds; whatever a pod answers, nothing else suffers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from webhook.counters.pages import NoPage, Pages

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server with one handler; gives its URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_a_page_is_read_whole(serve: Serve) -> None:
    """In as many pieces as it comes."""

    async def chunks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"a_total 1\n")
            await asyncio.sleep(0)
        return response

    async with Pages() as pages:
        assert await pages.get(await serve(chunks)) == "a_total 1\n" * 3


async def test_a_pod_cannot_lead_the_scrape_elsewhere(serve: Serve) -> None:
    """A redirect is not followed: it could name the API server or a cloud's metadata."""
    visited: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        visited.append(request.path)
        raise web.HTTPFound("/secret")

    async with Pages() as pages:
        with pytest.raises(NoPage, match="answered 302"):
            await pages.get(await serve(elsewhere))
    assert visited == ["/metrics"]


async def test_a_page_without_end_is_left(serve: Serve) -> None:
    """4 MiB are enough for anybody."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async with Pages() as pages:
        with pytest.raises(NoPage, match=r"larger than|Timeout"):
            await pages.get(await serve(endless))


async def test_a_pod_that_does_not_answer_is_not_waited_for(serve: Serve) -> None:
    """The next look comes in a second."""

    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with Pages() as pages:
        with pytest.raises(NoPage, match="TimeoutError"):
            await pages.get(await serve(silent))


async def test_an_address_where_nobody_listens_is_no_page() -> None:
    """A pod that has just gone."""
    async with Pages() as pages:
        with pytest.raises(NoPage, match="ClientConnectorError"):
            await pages.get("http://127.0.0.1:9/metrics")
