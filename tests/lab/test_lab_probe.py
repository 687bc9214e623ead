"""The probe counts every loss, and only losses; tried on small servers with bad manners."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from msgspec.structs import replace

from lab.probe import generator
from lab.probe.generator import Generator, Target
from lab.probe.report import Answer, Report, decode, encode

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 2\r\n\r\nok"


async def test_requests_leave_on_their_turn_whatever_the_server_does() -> None:
    """A server that takes a second for each answer still gets every request in time."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _request(reader):
            await asyncio.sleep(1)
            writer.write(OK)

    report = await _probe(slow, rate=50, seconds=1)
    assert 48 <= report.total <= 52, report
    assert report.failed == 0, report
    assert report.worst_late < 0.5, report
    assert report.latency(0.5) >= 1


async def test_half_of_the_connections_are_kept_and_half_are_new() -> None:
    """Kept-alive connections hide some outages and new ones others; both are tried."""
    connections = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await _request(reader):
            writer.write(OK)

    report = await _probe(counting, rate=100, seconds=0.5)
    reused = sum(answer.reused for answer in report.answers)
    assert reused + connections == report.total
    assert abs(reused - report.total / 2) <= 5, report


async def test_an_idle_connection_that_the_server_closes_is_no_loss() -> None:
    """A GET on a reused connection that ends before any answer is sent once more."""
    second_requests = 0

    async def closes_on_reuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal second_requests
        await _request(reader)
        writer.write(OK)
        if await _request(reader):
            second_requests += 1

    report = await _probe(closes_on_reuse, rate=100, seconds=0.5)
    assert second_requests > 10
    assert report.failed == 0, report


async def test_a_new_connection_without_an_answer_is_a_loss() -> None:
    """There is no second try on a new connection."""

    async def closes(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await _request(reader)

    report = await _probe(closes, rate=50, seconds=0.3)
    assert report.failed == report.total > 10
    assert "before an answer" in report.failures[0].error


async def test_half_an_answer_on_a_kept_connection_is_a_loss() -> None:
    """Once the first byte of an answer has come, nothing is sent again."""

    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(OK)
        if await _request(reader):
            writer.write(OK[:-1])

    report = await _probe(breaks_off, rate=100, seconds=0.3)
    assert report.failed > 5
    assert {answer.error for answer in report.failures} == {
        "ConnectionError: closed within an answer"
    }


async def test_a_refused_connection_is_a_loss() -> None:
    """Nobody listens at the address."""
    with_nobody = Target("http://127.0.0.1:1/")
    report = await _run(with_nobody, rate=50, seconds=0.2)
    assert report.failed == report.total > 5
    assert report.by_status[0] == report.total


async def test_silence_is_a_loss_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gets no answer in time counts as failed, and the probe ends all the same."""
    monkeypatch.setattr(generator, "TIMEOUT", 0.2)

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await _request(reader):
            pass

    report = await _probe(silent, rate=50, seconds=0.2)
    assert report.failed == report.total > 5
    assert "no answer in" in str(report)


async def test_a_chunked_answer_is_read_whole() -> None:
    """The connection serves again after an answer of unknown length."""
    head = b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def chunked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _request(reader):
            writer.write(head + b"2\r\nok\r\n0\r\n\r\n")

    report = await _probe(chunked, rate=100, seconds=0.3)
    assert report.failed == 0, report
    assert sum(answer.reused for answer in report.answers) > 5


def test_a_report_tells_shares_and_names_each_failure() -> None:
    """Shares count good answers only, in any part of the time."""
    answers = (
        Answer(10.0, 0, 0.1, 200, "v1", "", False),
        Answer(11.0, 0, 0.1, 200, "v2", "", True),
        Answer(12.0, 0, 0.1, 200, "v2", "", True),
        Answer(13.0, 0, 0.1, 502, "v2", "", True),
        Answer(14.0, 0, 0.1, 0, "", "refused", False),
    )
    report = Report(tuple(decode(encode(answers))))
    assert report.answers == answers
    assert (report.total, report.failed) == (5, 2)
    assert report.share("v2") == pytest.approx(2 / 3)
    assert report.share("v2", since=11.0, until=13.0) == 1
    assert report.share("v3") == 0
    assert report.versions == ["v1", "v2"]
    assert "at 13.000: status 502 from v2" in str(report)
    assert "at 14.000: refused from nobody" in str(report)


async def _probe(serve: Serve, rate: float, seconds: float) -> Report:
    async with _listening(serve) as port:
        return await _run(Target(f"http://127.0.0.1:{port}/"), rate, seconds)


async def _run(target: Target, rate: float, seconds: float) -> Report:
    answers: list[Answer] = []
    stopped = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stopped.set)
    await Generator(target, rate, answers.append).run(stopped)
    return Report(tuple(answers))


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def _listening(serve: Serve) -> AsyncIterator[int]:
    handlers: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*(task for task in handlers if task))


def test_requests_are_in_a_row_by_when_they_were_sent_not_by_when_they_ended() -> None:
    """A slow one that was sent before a loss and ended after it does not hide the loss."""
    slow, lost, *good = (_sent(10 + n / 100) for n in range(12))
    slow, lost = replace(slow, latency=1.0), replace(lost, status=502)
    ended = (*good[:1], lost, slow, *good[1:])
    assert Report(ended).calm(10, rate=100) == good[0].start
    assert Report(ended).calm(11, rate=100) is None


def test_a_request_that_has_not_ended_yet_breaks_a_row() -> None:
    """It may still fail."""
    sent = [_sent(10 + n / 100) for n in range(12)]
    assert Report(tuple(sent)).calm(12, rate=100) == sent[0].start
    del sent[5]
    assert Report(tuple(sent)).calm(7, rate=100) is None
    assert Report(tuple(sent)).calm(6, rate=100) == sent[5].start


def test_a_request_under_way_at_an_outage_does_not_count_as_before_it() -> None:
    """It was sent before, and nobody could answer it any more."""
    cut = Answer(9.99, 0, 0.03, 502, "", "", reused=True)
    report = Report((_sent(9.5), cut, _sent(10.5)))
    assert report.between(until=10.0).failed == 1
    assert report.over_by(10.0).answers == (_sent(9.5),)


def _sent(at: float) -> Answer:
    return Answer(at + 0.003, 0.003, 0.001, 200, "v1", "", reused=True)
