"""HTTP as the API server, kubelets and strangers speak it, in raw bytes."""

import asyncio
import contextlib
import json
import socket
from typing import Any

import pytest
from admission_wire import DEADLINE, post, review, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = json.dumps(review()).encode()


async def test_one_connection_serves_many_reviews(rig: Any) -> None:
    """The API server keeps its connections."""
    async with rig.client.wire() as wire:
        for number in range(20):
            await wire.send(post(review(uid=f"u-{number}")))
            reply = await wire.reply()
            assert reply.response["uid"] == f"u-{number}"
            assert "connection" not in reply.headers


async def test_pipelined_reviews_are_answered_in_order(rig: Any) -> None:
    """Ten requests in one write, ten answers."""
    async with rig.client.wire() as wire:
        await wire.send(b"".join(post(review(uid=f"u-{number}")) for number in range(10)))
        uids = [(await wire.reply()).response["uid"] for _ in range(10)]
        assert uids == [f"u-{number}" for number in range(10)]


async def test_a_review_may_arrive_byte_by_byte(rig: Any) -> None:
    """Within the time that a request has."""
    async with rig.client.wire() as wire:
        for byte in post(GOOD):
            wire.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await wire.reply()).status == 200


async def test_a_review_may_arrive_in_chunks(rig: Any) -> None:
    """Transfer-Encoding: chunked, with an extension."""
    head = post(b"", Content_Length=None, Transfer_Encoding="chunked")
    pieces = [GOOD[at : at + 100] for at in range(0, len(GOOD), 100)]
    body = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    async with rig.client.wire() as wire:
        await wire.send(head + body + b"0\r\n\r\n")
        assert (await wire.reply()).status == 200
        await wire.send(post(GOOD))
        assert (await wire.reply()).status == 200


async def test_http_1_0_is_answered_and_closed(rig: Any) -> None:
    """An old client gets its answer."""
    async with rig.client.wire() as wire:
        await wire.send(post(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        reply = await wire.reply()
        assert reply.status == 200
        assert await wire.closed()


async def test_a_client_that_wants_to_leave_may_leave(rig: Any) -> None:
    """Connection: close is kept."""
    async with rig.client.wire() as wire:
        await wire.send(post(GOOD, Connection="close"))
        assert (await wire.reply()).headers["connection"] == "close"
        assert await wire.closed()


async def test_expect_100_continue_is_answered_before_the_body(rig: Any) -> None:
    """And a review that would be refused is refused before its body is sent."""
    async with rig.client.wire() as wire:
        head, body = post(GOOD, Expect="100-continue").split(b"\r\n\r\n", 1)
        await wire.send(head + b"\r\n\r\n")
        assert (await wire.reply(head_only=True)).status == 100
        await wire.send(body)
        assert (await wire.reply()).status == 200
        await wire.send(post(b"", Expect="100-continue", Content_Length="99999999"))
        assert (await wire.reply()).status == 413
    assert (await rig.client.post(GOOD, Expect="a-pony")).status == 417


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/healthz", 405),
        ("GET", "/mutate", 405),
        ("HEAD", "/mutate", 405),
        ("PUT", "/mutate", 405),
        ("DELETE", "/validate", 405),
        ("OPTIONS", "/mutate", 405),
        ("GET", "/", 404),
        ("GET", "/mutate/../metrics", 404),
        ("GET", "//healthz", 404),
        ("GET", "/%68ealthz", 200),
        ("GET", "/%2fhealthz", 404),
        ("GET", "http://169.254.169.254/", 404),
    ],
)
async def test_each_path_takes_its_methods(rig: Any, method: str, path: str, status: int) -> None:
    """Anything else is 404 or 405, never a redirect."""
    reply = await rig.client.get(path, method)
    assert reply.status == status
    if status == 405:
        assert reply.headers["allow"] in ("POST", "GET, HEAD")


BROKEN: dict[str, bytes] = {
    "nonsense": b"\x00\x01\x02 hello\r\n\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"FROB / HTTP/1.1\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nA : b\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nA: \x00\r\n\r\n",
    "two lengths": post(GOOD).replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n", 1),
    "length and chunks": post(GOOD, Transfer_Encoding="chunked"),
    "a negative length": post(GOOD, Content_Length="-5"),
    "an endless length": post(GOOD, Content_Length="9" * 40),
    "a length that is no number": post(GOOD, Content_Length="ten"),
    "an endless chunk": post(b"f" * 20 + b"\r\n", Content_Length=None, Transfer_Encoding="chunked"),
    "a chunk that is no number": post(b"zz\r\n", Content_Length=None, Transfer_Encoding="chunked"),
    "a strange transfer coding": post(b"", Content_Length=None, Transfer_Encoding="gzip, chunked"),
    "an upgrade of a review": post(GOOD, Connection="upgrade", Upgrade="h2c"),
    "a tunnel": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "an endless target": b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n",
    "an endless header": b"GET /healthz HTTP/1.1\r\nA: " + b"a" * 300_000 + b"\r\n\r\n",
    "ten thousand headers": b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    "a header that never ends": b"GET /healthz HTTP/1.1\r\nA: " + b"a" * 900_000,
}


@pytest.mark.parametrize("case", BROKEN)
async def test_broken_http_is_refused_and_the_connection_closed(rig: Any, case: str) -> None:
    """One 4xx, with no traceback; whatever follows on that connection is not understood."""
    async with rig.client.wire() as wire:
        try:
            await wire.send(BROKEN[case] + b"\r\n" * 3)
        except ConnectionError:
            return  # closed while we were still sending, which is as good
        reply = await wire.reply()
        assert 400 <= reply.status < 500
        assert list(reply.json) == ["error"]
        assert await wire.closed()


async def test_an_upgrade_of_a_page_is_not_taken_up(rig: Any) -> None:
    """The answer is that of HTTP/1.1, and the connection still speaks it."""
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    async with rig.client.wire() as wire:
        await wire.send(head + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (await wire.reply()).status == 200
        await wire.send(head + b"\r\n")
        assert (await wire.reply()).status == 200


async def test_an_answer_names_no_versions(rig: Any) -> None:
    """Strangers learn nothing of what the server is made with."""
    assert (await rig.plain.get("/healthz")).headers["server"] == "slipway"


async def test_a_client_that_goes_away_in_mid_review_leaves_nothing_behind(rig: Any) -> None:
    """Its memory and its seat are given back."""
    site = rig.server._dispatch
    async with rig.client.wire() as wire:
        await wire.send(post(GOOD)[:-5])
        await until(lambda: site.in_flight == 1)
        assert site.buffered == len(GOOD)
    await until(lambda: site.in_flight == 0)
    await until(lambda: rig.server._listener.connections == 0)
    assert site.buffered == 0


async def test_a_half_closed_client_is_let_go(rig: Any) -> None:
    """A plain TCP FIN in mid-request ends the connection at once."""
    with socket.create_connection(("127.0.0.1", rig.plain.port)) as raw:
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, b"GET /healthz HTTP/1.1\r\nHost:")
        raw.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(DEADLINE):
            assert await loop.sock_recv(raw, 100) == b""


async def test_a_client_that_speaks_no_tls_is_let_go(rig: Any) -> None:
    """Plain HTTP on the TLS port gets nothing, and costs nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.client.port)
    writer.write(post(GOOD))
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionResetError):
            assert b"AdmissionReview" not in await reader.read()
    writer.close()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cut=st.integers(0, 200),
    noise=st.binary(min_size=1, max_size=60),
    skip=st.integers(0, 30),
)
async def test_no_bytes_break_the_server(rig: Any, cut: int, noise: bytes, skip: int) -> None:
    """Damaged HTTP ends in an answer below 500 or a closed connection, in time."""
    wire_bytes = post(GOOD, Connection="close")
    async with rig.plain.wire() as wire:
        await wire.send(wire_bytes[:cut] + noise + wire_bytes[cut + skip :])
        wire.writer.write_eof()
        async with asyncio.timeout(DEADLINE):
            try:
                answer = await wire.reader.read()
            except ConnectionResetError:
                return
        assert answer == b"" or b"100" <= answer[9:12] < b"500"
