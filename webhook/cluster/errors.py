"""What can go wrong between Slipway and the API server, as types that callers can act on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


class NotConfigured(Exception):
    """No way to an API server was found, or the kubeconfig is not usable; the text says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked of the API server: the verb and the object."""

    verb: str
    kind: str
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.verb} {self.kind} {where}".rstrip()


class ApiError(Exception):
    """A call that failed: what was asked, what came back, and what to do about it.

    ``status`` is the HTTP status (0: no answer), ``reason`` the API's own word for it,
    ``retry_after`` the seconds that the server asked to wait, if it did.
    """

    remedy: ClassVar[str] = ""

    def __init__(
        self,
        call: Call,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.call = call
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        answer = " ".join(part for part in (str(status) if status else "", reason) if part)
        text = ": ".join(part for part in (str(call), answer, message) if part)
        super().__init__(f"{text} ({self.remedy})" if self.remedy else text)

    @property
    def kind(self) -> str:
        """Kind of the object the call was about."""
        return self.call.kind

    @property
    def name(self) -> str:
        """Name of the object the call was about; empty for a collection."""
        return self.call.name

    @property
    def namespace(self) -> str:
        """Namespace of the object the call was about; empty if it has none."""
        return self.call.namespace


class NotFound(ApiError):
    """The object, or the whole kind, is not there."""


class AlreadyExists(ApiError):
    """An object of that name was there before the create."""


class Conflict(ApiError):
    """The object is no longer what the write was based on; read it again and decide anew."""


class Gone(ApiError):
    """The resourceVersion or continue token is too old; list again."""


class Unauthorized(ApiError):
    """The API server does not know who is asking."""

    remedy = "check the token or client certificate"


class Forbidden(ApiError):
    """Not allowed, by RBAC or by an admission webhook; the message says which."""

    remedy = "grant the right in RBAC, or see the webhook or policy that the message names"


class Invalid(ApiError):
    """The API server refuses the content of the object."""


class TooManyRequests(ApiError):
    """The API server sheds load, or an eviction budget says not now."""

    remedy = "try again later"


class Unavailable(ApiError):
    """The API server failed or could not be reached; whether a write happened is not known."""

    remedy = "try again later"


class Timeout(ApiError):
    """No answer within the deadline; whether a write happened is not known."""

    remedy = "try again later"


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Timeout,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
    504: Timeout,
}


def from_status(
    call: Call, status: int, body: Mapping[str, Any] | None, retry_after: float | None = None
) -> ApiError:
    """Translate an answer that is not a success; ``body`` is its Status object if it has one."""
    body = body or {}
    reason = str(body.get("reason") or "")
    details = body.get("details") or {}
    if retry_after is None and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    return _type_of(status, reason)(
        call,
        str(body.get("message") or ""),
        status=status,
        reason=reason,
        retry_after=retry_after,
    )


def _type_of(status: int, reason: str) -> type[ApiError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if reason == "Expired":
        return Gone
    fallback = Unavailable if status >= 500 else ApiError
    return _BY_STATUS.get(status, fallback)
