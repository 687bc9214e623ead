"""What goes over the wire between the client and the API server, apart from who we are."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import aiohttp
import orjson
import tenacity

from webhook import names
from webhook.cluster import errors
from webhook.cluster.errors import Call
from webhook.cluster.kinds import Kind, Object
from webhook.cluster.trims import Trim


class PatchType(StrEnum):
    """Content types of a patch. ``APPLY`` is server-side apply and takes fields over (force)."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Page:
    """All objects of a list, and the resourceVersion from which to watch for what follows."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch; ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


def selectors(labels: str | None, fields: str | None) -> dict[str, str]:
    """Return the query that narrows a list or a watch."""
    query = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in query.items() if value}


def next_page(token: str) -> dict[str, str]:
    """Return the query that continues a list."""
    return {"continue": token} if token else {}


def managed(*, dry_run: bool) -> dict[str, str]:
    """Return the query of a write: in whose name, and whether it is only tried."""
    return {"fieldManager": names.FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})


def complete(item: Object, kind: Kind, trim: Trim | None) -> Object:
    """Give an item of a list the two fields that the API server leaves out there."""
    item.setdefault("apiVersion", kind.api_version)
    item.setdefault("kind", kind.kind)
    return trim(item) if trim else item


@asynccontextmanager
async def within(call: Call, seconds: float) -> AsyncIterator[None]:
    """Put a deadline on what happens inside.

    Raises:
        errors.Timeout: it took longer.

    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise errors.Timeout(call, f"no answer within {seconds:g} s") from None


def waits_as_asked(
    deadline: float, sleep: Callable[[float], Awaitable[None]]
) -> tenacity.AsyncRetrying:
    """Repeat a read as long as the server asks to come later and ``deadline`` (s) allows it."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(_asked_to_wait),
        wait=_time_asked_for,
        stop=tenacity.stop_before_delay(deadline),
        sleep=sleep,
        reraise=True,
    )


def _asked_to_wait(error: BaseException) -> bool:
    if isinstance(error, errors.TooManyRequests):
        return True
    return isinstance(error, errors.Unavailable) and error.retry_after is not None


def _time_asked_for(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after if isinstance(error, errors.ApiError) else None) or 1.0


_PROBE_AFTER: Final = 30
_PROBE_EVERY: Final = 10
_PROBES: Final = 3


def probe_idle_connection(response: aiohttp.ClientResponse) -> None:
    """Let the kernel find within about a minute that the other end of an idle watch is gone."""
    transport = response.connection.transport if response.connection else None
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _PROBE_AFTER),
        ("TCP_KEEPINTVL", _PROBE_EVERY),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, option):  # not every system has all three
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def lines(
    call: Call, response: aiohttp.ClientResponse, until: float
) -> AsyncGenerator[bytes, None]:
    """Yield the complete lines of a stream, however long; a line cut off at the end is dropped.

    Raises:
        errors.Timeout: the stream is still open at ``until`` (time of the running loop).
        errors.Unavailable: the connection broke.

    """
    begun: list[bytes] = []
    while chunk := await _chunk(call, response, until):
        first, *rest = chunk.split(b"\n")
        begun.append(first)
        if not rest:
            continue
        yield b"".join(begun)
        for line in rest[:-1]:
            yield line
        begun = [rest[-1]]


async def _chunk(call: Call, response: aiohttp.ClientResponse, until: float) -> bytes:
    try:
        async with asyncio.timeout_at(until):
            return await response.content.readany()
    except TimeoutError:
        raise errors.Timeout(call, "the server did not end the watch in time") from None
    except (aiohttp.ClientError, OSError) as error:
        raise errors.Unavailable(call, f"the watch broke: {error}") from error


def decode(call: Call, raw: bytes) -> Object:
    """Read one JSON object.

    Raises:
        errors.Unavailable: it is not one, so it was not the API server that answered.

    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.Unavailable(call, f"the answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise errors.Unavailable(call, "the answer is not a JSON object")
    return value


def event(call: Call, line: bytes) -> WatchEvent:
    """Read one line of a watch.

    Raises:
        errors.Gone: the resourceVersion is too old; list again.
        errors.ApiError: any other ERROR event, by its code.

    """
    value = decode(call, line)
    kind, body = value.get("type"), value.get("object")
    if not isinstance(kind, str) or not isinstance(body, dict):
        raise errors.Unavailable(call, "the answer is not a watch event")
    if kind == "ERROR":
        raise errors.from_status(call, int(body.get("code") or 500), body)
    return WatchEvent(kind, body)


def failure(call: Call, response: aiohttp.ClientResponse, raw: bytes) -> errors.ApiError:
    """Translate an answer with an error status; its body is a Status object, or else plain text."""
    body: Object = {}
    if response.content_type == "application/json":
        try:
            decoded = orjson.loads(raw)
        except orjson.JSONDecodeError:
            decoded = None
        body = decoded if isinstance(decoded, dict) else {}
    if not body:
        body = {"message": raw[:300].decode(errors="replace").strip()}
    return errors.from_status(call, response.status, body, _retry_after(response))


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None
