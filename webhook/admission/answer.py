"""One HTTP answer, and the aiohttp response that carries it."""

from typing import Final, NamedTuple

import orjson
from aiohttp import hdrs, web

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


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


def response(answer: Answer, *, close: bool) -> web.Response:
    """Make the response; ``close`` tells the client to use another connection."""
    status, body, content_type, extra = answer
    # Of itself aiohttp would name its own and Python's version to strangers.
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: content_type, hdrs.SERVER: "slipway"}
    if extra:
        headers.update(extra)
    made = web.Response(status=status, body=body, headers=headers)
    if close:
        made.force_close()
    return made
