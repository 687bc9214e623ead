"""aiohttp's server connection, with the deadlines that it lacks and answers in plain JSON.

Only methods that aiohttp or asyncio name without an underscore are overridden.
"""

import asyncio
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from webhook.admission import failures
from webhook.admission.answer import refusal, response
from webhook.admission.limits import Limits

BROKEN: Final = refusal(500, "this answer could not be made; see the log")
_NOT_HTTP: Final = refusal(400, "this is not HTTP/1.1 as it is understood here")

log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """Serves the requests of one client.

    aiohttp bounds how long a connection is idle. It does not bound how long the head of a
    request takes to arrive, nor how long a client leaves its answers unread: both are here.
    """

    __slots__ = ("_answering", "_clock", "_head_since", "_head_timer", "_limits", "_write_timer")

    def __init__(self, server: web.Server, limits: Limits) -> None:
        options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,  # Content-Encoding is refused; nothing may be inflated
            "keepalive_timeout": limits.keepalive_seconds,
            "lingering_time": limits.linger_seconds,
            "max_line_size": limits.line,
            "max_field_size": limits.field,
            "max_headers": limits.fields,
        }
        self._clock = asyncio.get_running_loop()
        super().__init__(server, loop=self._clock, **options)
        self._limits = limits
        self._answering = False
        self._head_since: float | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # From the event loop

    def data_received(self, data: bytes) -> None:
        """Begin to count with the first byte of a head; `began` ends it.

        The part of a head that came while the request before it was answered is not counted:
        if nothing follows it, the connection ends as an idle one does.
        """
        if data and not self._answering and self._head_since is None:
            self._head_since = self._clock.time()
            self._watch_head()
        super().data_received(data)

    def pause_writing(self) -> None:
        """Give a client that does not read its answers some time, but not for ever."""
        super().pause_writing()
        self._write_timer = self._clock.call_later(self._limits.write_seconds, self.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        _cancel(self._write_timer)
        self._write_timer = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let nothing fire any more."""
        _cancel(self._head_timer)
        _cancel(self._write_timer)
        super().connection_lost(exc)

    # From whoever answers

    def began(self) -> None:
        """Note that a request's head is complete."""
        self._answering = True
        self._head_since = None

    def ended(self) -> None:
        """Note that the request is answered: what comes now is another head."""
        self._answering = False

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()

    def _watch_head(self) -> None:
        """Close when a head is late. One timer serves many heads: a new one for each is dear."""
        if self._head_timer is None:
            wait = self._limits.head_seconds
            self._head_timer = self._clock.call_later(wait, self._look_at_head)

    def _look_at_head(self) -> None:
        self._head_timer = None
        if self._head_since is None:
            return
        left = self._head_since + self._limits.head_seconds - self._clock.time()
        if left <= 0:
            self.force_close()
        else:
            self._head_timer = self._clock.call_later(left, self._look_at_head)

    # From aiohttp

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP, in JSON and with no line in the log for each stranger."""
        if status < 500:
            log.debug("request_not_understood", error=type(exc).__name__)
            return response(_NOT_HTTP, close=True)
        self.log_exception("handler_failed", exc_info=exc)
        return response(BROKEN, close=True)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log an error of ours by type and frames; a client's broken body is none."""
        error = kw.get("exc_info")
        if isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
            log.debug("request_not_understood", error=type(error).__name__)
        elif isinstance(error, BaseException):
            log.error("connection_failed", **failures.fields(error))
        else:
            log.error("connection_failed", error=str(args[0]))


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
