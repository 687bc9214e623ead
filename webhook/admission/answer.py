"""One HTTP answer, and how it looks on the wire."""

from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


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


def wire(answer: Answer, *, close: bool, head_only: bool = False) -> bytes:
    """Write an answer as HTTP/1.1; ``close`` tells the client to use another connection."""
    status, body, content_type, extra = answer
    if status == 200 and content_type is JSON and not (close or extra or head_only):
        return _OK % (len(body), body)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in extra),
    ]
    if close:
        lines.append("Connection: close")
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    return head if head_only else head + body
