"""One HTTP/1.1 connection, from bytes to a handler and back.

Parsing is httptools (llhttp). What is ours is when to refuse: early, in plain JSON, and without
holding memory or time. A handler is synchronous, so there is no task, queue or timer per
request: on one core a general framework costs more here than decoding, deciding and encoding.
"""

import asyncio
from typing import Final, cast

import httptools
import structlog

from webhook.admission.answer import Answer, refusal, wire
from webhook.admission.site import Route, Site
from webhook.admission.target import parse_target

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_GONE: Final = refusal(404, "not found; reviews go to /mutate and /validate")
_BROKEN: Final = refusal(500, "this answer could not be made; see the log")

log = structlog.get_logger(__name__)


class Connection(asyncio.Protocol):
    """Serves requests one after the other, pipelined ones included.

    ``since`` is when the current state began (loop clock): idle, reading, lingering or blocked.
    """

    __slots__ = (
        "_blocked",
        "_body",
        "_claimed",
        "_done",
        "_fresh",
        "_head_size",
        "_headers",
        "_in_head",
        "_lingering",
        "_loop",
        "_parser",
        "_read_seconds",
        "_route",
        "_site",
        "_size",
        "_transport",
        "_url",
        "_wire_size",
        "reading",
        "since",
    )

    def __init__(self, site: Site) -> None:
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._blocked = self._done = self._lingering = self._in_head = self._fresh = False
        self._claimed = -1
        self._route: Route | None = None
        self._read_seconds = site.limits.read_seconds
        self.reading = False
        self.since = self._loop.time()
        self._start()

    def _start(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_size = self._wire_size = 0
        self._body: list[bytes] = []
        self._size = 0

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a seat, or leave."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._site.welcome(self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self._done = True
        self._give_back()
        self._site.farewell(self)
        self._transport = None

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read our answers."""
        self._blocked = True
        self.since = self._loop.time()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._blocked = False
        self.since = self._loop.time()
        if self._transport is not None and not self._done:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse; the parser calls the ``on_`` methods below."""
        if self._done:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(refusal(400, "no other protocol is spoken here"))
        except httptools.HttpParserCallbackError as error:
            log.error("connection_failed", error=repr(error.__context__))
            self._last_word(_BROKEN)
        except httptools.HttpParserError:
            self._last_word(refusal(400, "this is not HTTP/1.1"))
        if self.reading:
            self._check_size(len(data))

    def _check_size(self, arrived: int) -> None:
        """Bound what the parser holds or skips and tells nobody: half a header, chunk framing."""
        if self._fresh:  # some of these bytes belong to the request before
            self._fresh = False
            return
        limits = self._site.limits
        self._wire_size += arrived
        if self._in_head and self._wire_size > limits.head:
            self._last_word(refusal(431, "the request head is too long"))
        elif self._wire_size > 2 * limits.body + limits.head:
            self._last_word(self._too_large())

    # From the parser

    def on_message_begin(self) -> None:
        """Begin to count the time."""
        if self._done:
            return
        self._start()
        self.reading = self._in_head = self._fresh = True
        self.since = self._loop.time()
        self._read_seconds = self._site.limits.read_seconds

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in parts."""
        self._url += url
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; of several with one name, the last. Trailers say nothing to us."""
        if not self._in_head:
            return
        self._headers[name.lower()] = value
        self._head_size += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Refuse now what will be refused anyway; nothing of its body is kept."""
        self._in_head = False
        if self._done or self._lingering:
            return
        no = self._judge()
        if no is not None:
            self._refuse(no)
        elif self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._write(_CONTINUE)

    def on_body(self, chunk: bytes) -> None:
        """Keep a part of the body, up to the limit."""
        if self._done or self._lingering:
            return
        self._size += len(chunk)
        if self._size > self._site.limits.body:
            self._refuse(self._too_large())
            return
        self._body.append(chunk)

    def on_message_complete(self) -> None:
        """Answer."""
        self.reading = False
        if self._done:
            return
        if self._lingering:
            self.close()
            return
        self._give_back()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self._send(self._handled(body))
        self.since = self._loop.time()

    # Decisions

    def _judge(self) -> Answer | None:
        """Return the refusal that the head of the request earns, None if it is fine."""
        headers = self._headers
        if self._head_size > self._site.limits.head:
            return refusal(431, "the request head is too long")
        target = parse_target(self._url)
        route = self._route = self._site.routes.get(target.path)
        if route is None:
            return _GONE
        method = self._parser.get_method()
        if method not in route.methods:
            allowed = b", ".join(route.methods).decode()
            return refusal(405, f"this path takes {allowed}", (("Allow", allowed),))
        if b"upgrade" in headers:
            return refusal(400, "no other protocol is spoken here")
        if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
            return refusal(417, "only Expect: 100-continue is understood")
        if not route.takes_review:
            return None
        if target.timeout is not None:
            self._read_seconds = min(self._read_seconds, max(target.timeout, 0.1))
        return self._judge_body()

    def _judge_body(self) -> Answer | None:
        headers = self._headers
        kind = headers.get(b"content-type", b"")
        if kind != b"application/json" and not _is_json(kind):
            return refusal(415, "Content-Type is not application/json")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return refusal(415, "Content-Encoding is not taken; send the review as it is")
        if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            return refusal(415, "Transfer-Encoding other than chunked is not taken")
        limit = self._site.limits.body
        size = int(headers.get(b"content-length", limit))
        if size > limit:
            return self._too_large()
        no = self._site.reserve(size)
        if no is None:
            self._claimed = size
        return no

    def _too_large(self) -> Answer:
        return refusal(413, f"the review is longer than {self._site.limits.body} bytes")

    def _handled(self, body: bytes) -> Answer:
        if self._route is None:
            return _GONE
        try:
            return self._route.handle(body)
        except Exception:  # one broken answer must not end the connection, or the process
            log.exception("handler_failed", target=parse_target(self._url).path)
            return _BROKEN

    # Writing and leaving

    def _send(self, answer: Answer) -> None:
        close = self._site.draining or not self._parser.should_keep_alive()
        head_only = self._parser.get_method() == b"HEAD"
        self._write(wire(answer, close=close, head_only=head_only))
        if close:
            self.close()

    def _refuse(self, answer: Answer) -> None:
        """Answer before the request has ended; read what still comes, but keep none of it."""
        if self._done or self._lingering:
            return
        head_only = self._parser.get_method() == b"HEAD"
        self._write(wire(answer, close=True, head_only=head_only))
        self._give_back()
        self._body = []
        self._lingering = True
        self.since = self._loop.time()

    def _last_word(self, answer: Answer) -> None:
        """Answer where no further byte can be understood."""
        if not (self._done or self._lingering):
            self._write(wire(answer, close=True))
        self.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _give_back(self) -> None:
        if self._claimed >= 0:
            self._site.release(self._claimed)
            self._claimed = -1

    def close(self) -> None:
        """Send what is still to be sent and close."""
        self._done = True
        self.since = self._loop.time()
        self.reading = False
        self._give_back()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._done = True
        self.reading = False
        self._give_back()
        if self._transport is not None:
            self._transport.abort()

    def check_time(self, now: float) -> None:
        """Let go of a client that is too slow, and of one that has been idle for long."""
        limits = self._site.limits
        age = now - self.since
        if self._blocked or self._done:
            if age > limits.write_seconds:
                self.abort()
        elif self._lingering:
            if age > limits.linger_seconds:
                self.close()
        elif self.reading:
            if age > self._read_seconds:
                self._last_word(refusal(408, "the request did not arrive in time"))
        elif age > limits.keepalive_seconds:
            self.close()


def _is_json(content_type: bytes) -> bool:
    kind, _, parameters = content_type.partition(b";")
    charset = parameters.strip().lower().replace(b'"', b"")
    return kind.strip().lower() == b"application/json" and charset in (b"", b"charset=utf-8")
