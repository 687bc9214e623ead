"""One HTTP answer, and the aiohttp response that carries it."""

from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Final, NamedTuple

import orjson
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
_NAME: Final = "slipway"


class Answer(NamedTuple):
    """Status, body and what else a client is told."""

    status: int
    body: bytes
    content_type: str = JSON
    extra: tuple[tuple[str, str], ...] = ()
    """More headers, by name and value."""


def refusal(status: int, error: str, extra: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Say in plain JSON why a request is not served."""
    return Answer(status, orjson.dumps({"error": error}), JSON, extra)


def respond(request: web.BaseRequest, answer: Answer, *, close: bool) -> web.StreamResponse:
    """Make the response to a request; ``close`` as in `response`."""
    status, body, content_type, extra = answer
    usual = request.method == "POST" and status == 200 and content_type is JSON and not extra
    if usual and not close and request.version == HttpVersion11 and request.keep_alive:
        return _Reviewed(body)
    return response(answer, close=close)


class _Reviewed(web.StreamResponse):
    """The answer to a review, for a client that stays: head and body are one write.

    Of its own aiohttp would build, fill and print a multidict of headers that differ from one
    review to the next in their length only: a tenth of what a review costs.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._whole = _head(int(time())) % len(body) + body

    @property
    def keep_alive(self) -> bool:
        """The connection is used again."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send everything."""
        await request.writer.write_eof(self._whole)
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""


@lru_cache(maxsize=1)
def _head(second: int) -> bytes:
    """The head of an answer at a time, which lacks the body's length."""
    fields = {
        hdrs.CONTENT_TYPE: JSON,
        hdrs.SERVER: _NAME,
        hdrs.CONTENT_LENGTH: "%d",
        hdrs.DATE: formatdate(second, usegmt=True),
    }
    lines = ("HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in fields.items()), "", "")
    return "\r\n".join(lines).encode()


def response(answer: Answer, *, close: bool) -> web.Response:
    """Make the response; ``close`` tells the client to use another connection."""
    status, body, content_type, extra = answer
    # Of itself aiohttp would name its own and Python's version to strangers.
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: content_type, hdrs.SERVER: _NAME}
    if extra:
        headers.update(extra)
    made = web.Response(status=status, body=body, headers=headers)
    if close:
        made.force_close()
    return made
