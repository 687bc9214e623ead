"""From an HTTP request to the handler of its path, or to the refusal that it earns."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

import structlog
from aiohttp import HttpVersion11, StreamReader, hdrs, web

from webhook.admission import failures
from webhook.admission.answer import JSON, Answer, refusal, respond
from webhook.admission.connection import BROKEN, Connection
from webhook.admission.limits import Limits
from webhook.admission.observer import Observer

Page = Callable[[], Answer]
Review = Callable[[bytes], Answer | Awaitable[Answer]]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_GONE: Final = refusal(404, "not found; reviews go to /mutate and /validate")
_BROKEN_BODY: Final = refusal(400, "the body is broken, or the client went away")
_LATE: Final = refusal(408, "the review did not arrive in time")
_OVERLOAD: Final = refusal(429, "too many reviews at once; try again", (("Retry-After", "1"),))
_NOT_JSON: Final = refusal(415, "Content-Type is not application/json")
_ENCODED: Final = refusal(415, "Content-Encoding is not taken; send the review as it is")
_UPGRADE: Final = refusal(400, "no other protocol is spoken here")
_EXPECTS: Final = refusal(417, "only Expect: 100-continue is understood")

log = structlog.get_logger(__name__)


class _TooLongError(ValueError):
    """A body is longer than it may be."""


class Dispatch:
    """Answers the requests of one listener.

    ``pages`` are served to GET and HEAD, ``reviews`` to POST; both by path. Handlers are short
    and nearly all synchronous: no threads, no tasks.
    """

    def __init__(
        self,
        pages: Mapping[str, Page],
        reviews: Mapping[str, Review],
        limits: Limits,
        observer: Observer,
    ) -> None:
        self._pages = pages
        self._reviews = reviews
        self._limits = limits
        self._observer = observer
        self._too_large = refusal(413, f"the review is longer than {limits.body} bytes")
        self.draining = False
        """True: every answer tells the client to leave."""
        self.in_flight = 0
        """Reviews whose body is still arriving, or whose answer waits for the API server."""
        self.buffered = 0
        """Bytes that these have claimed."""
        self.quiet = asyncio.Event()
        """Set while none is in flight."""
        self.quiet.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever goes wrong."""
        connection = cast("Connection", request.protocol)
        connection.began()
        try:
            answer = await self._answered(request)
        except (ConnectionError, web.RequestPayloadError):
            answer = _BROKEN_BODY
        except Exception as error:  # one broken answer must not end the process
            log.error("handler_failed", path=request.path, **failures.fields(error))
            answer = BROKEN
        finally:
            connection.ended()
        return respond(request, answer, close=self.draining or _is_last(request))

    async def _answered(self, request: web.BaseRequest) -> Answer:
        path, method = request.path, request.method
        review = self._reviews.get(path)
        if review is not None:
            return await self._reviewed(request, review) if method == "POST" else _only("POST")
        page = self._pages.get(path)
        if page is None:
            return _GONE
        return page() if method in ("GET", "HEAD") else _only("GET, HEAD")

    async def _reviewed(self, request: web.BaseRequest, review: Review) -> Answer:
        no = self._judge(request)
        if no is not None:
            return no
        limits = self._limits
        size = request.content_length
        claim = limits.body if size is None else size
        if self.in_flight >= limits.in_flight or self.buffered + claim > limits.buffered:
            self._observer.failed("overload")
            return _OVERLOAD
        content = request.content
        if content.is_eof() and content.total_bytes <= limits.body:
            answer = review(content.read_nowait())  # nearly always: it came with its head
            return answer if isinstance(answer, Answer) else await self._kept(claim, answer)
        return await self._kept(claim, self._arriving(request, review))

    async def _kept(self, claim: int, answer: Awaitable[Answer]) -> Answer:
        """What takes a while has its place among the reviews in flight."""
        self._claim(1, claim)
        try:
            return await answer
        finally:
            self._claim(-1, -claim)

    async def _arriving(self, request: web.BaseRequest, review: Review) -> Answer:
        try:
            body = await self._body(request)
        except TimeoutError:
            return _LATE
        except _TooLongError:
            return self._too_large
        answer = review(body)
        return answer if isinstance(answer, Answer) else await answer

    async def _body(self, request: web.BaseRequest) -> bytes:
        if hdrs.EXPECT in request.headers:
            await _go_on(request)
        async with asyncio.timeout(self._limits.body_seconds):
            return await _read(request.content, self._limits.body)

    def _judge(self, request: web.BaseRequest) -> Answer | None:
        """Return the refusal that the head of a review earns, None if it is fine."""
        headers = request.headers
        if headers.get(hdrs.CONTENT_TYPE) != JSON and not _says_json(request):
            return _NOT_JSON
        if hdrs.UPGRADE in headers:
            return _UPGRADE  # aiohttp holds what follows such a head back
        if headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            return _ENCODED
        if headers.get(hdrs.EXPECT, "100-continue").lower() != "100-continue":
            return _EXPECTS
        if (request.content_length or 0) > self._limits.body:
            return self._too_large
        return None

    def _claim(self, reviews: int, size: int) -> None:
        self.in_flight += reviews
        self.buffered += size
        if self.in_flight:
            self.quiet.clear()
        else:
            self.quiet.set()


def _says_json(request: web.BaseRequest) -> bool:
    """Whether the Content-Type is JSON's, in whatever words."""
    return request.content_type == JSON and (request.charset or "utf-8").lower() == "utf-8"


async def _read(content: StreamReader, limit: int) -> bytes:
    """Read a body to its end; raises _TooLongError as soon as it is longer than the limit."""
    parts: list[bytes] = []
    size = 0
    while part := await content.readany():
        size += len(part)
        if size > limit:
            raise _TooLongError
        parts.append(part)
    return b"".join(parts)


async def _go_on(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send its body."""
    if request.version < HttpVersion11:
        return
    await request.writer.write(_CONTINUE)
    request.writer.output_size = 0  # of the answer itself nothing is sent yet


def _is_last(request: web.BaseRequest) -> bool:
    """Whether nothing that follows on this connection can be understood as a request.

    A body that was not read to its end can't be told from what comes after it; aiohttp parses
    nothing that follows a tunnel's head, nor the body of a POST that asks for an upgrade.
    """
    upgrade = request.method == "POST" and hdrs.UPGRADE in request.headers
    return upgrade or request.method == "CONNECT" or not request.content.is_eof()


def _only(methods: str) -> Answer:
    return refusal(405, f"this path takes {methods}", (("Allow", methods),))
