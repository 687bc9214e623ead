"""The client that the real actuator writes through: calls take time, fail, and can be the last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from tests.simulation.api_server import ApiServer, Refused, Who
from tests.simulation.clock import Later
from tests.simulation.patches import Object
from tests.simulation.webhook import IDENTITY
from webhook import names
from webhook.cluster import errors
from webhook.cluster.errors import Call
from webhook.cluster.kinds import Kind
from webhook.cluster.wire import Page, PatchType

SLIPWAY = Who(IDENTITY, names.FIELD_MANAGER)


class Crashed(BaseException):
    """The process ends at this very point; nothing of it may catch this."""


class Trouble(Protocol):
    """Decides what becomes of a write."""

    def before(self, call: Call) -> str:
        """The fault of this write, or an empty text."""
        ...

    def latency(self) -> int:
        """Milliseconds until a request arrives, or its answer."""
        ...

    def wrote(self, call: Call, body: Any) -> None:
        """A write took effect."""
        ...

    def meanwhile(self, *, webhook_down: bool) -> None:
        """Whether a write meets no webhook."""
        ...


class FakeClient:
    """As `webhook.cluster.client.Client`, as far as the reconciler uses it."""

    def __init__(
        self, api: ApiServer, trouble: Trouble, pause: Callable[[int], Awaitable[None]] = Later
    ) -> None:
        self._api, self._trouble, self._pause = api, trouble, pause

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        call = Call("get", kind.kind, name, namespace or "")
        await self._pause(self._trouble.latency())
        return _translated(call, lambda: self._api.get(kind, namespace or "", name))

    async def list(self, kind: Kind, namespace: str | None = None, **options: Any) -> Page:
        await self._pause(self._trouble.latency())
        trim = options.get("trim") or (lambda obj: obj)
        found = [
            obj
            for obj in self._api.all(kind)
            if namespace in (None, obj["metadata"].get("namespace"))
            and options.get("labels") in (None, *(obj["metadata"].get("labels") or ()))
        ]
        return Page([trim(obj) for obj in found], str(self._api.version))

    async def create(self, kind: Kind, body: Object, namespace: str | None = None) -> Object:
        call = Call("create", kind.kind, body["metadata"]["name"], namespace or "")
        return await self._write(call, body, lambda: self._api.create(kind, body, SLIPWAY))

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Mapping[str, Any] | Sequence[Any],
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        content: PatchType = PatchType.MERGE,
    ) -> Object:
        call = Call("patch", kind.kind, name, namespace or "")
        key = (namespace or "", name)
        return await self._write(
            call, body, lambda: self._api.patch(kind, key, body, SLIPWAY, content, subresource)
        )

    async def delete(
        self, kind: Kind, name: str, namespace: str | None = None, *, uid: str | None = None
    ) -> None:
        call = Call("delete", kind.kind, name, namespace or "")
        await self._write(call, {}, lambda: self._api.delete(kind, (namespace or "", name), uid))

    async def _write(self, call: Call, body: Any, effect: Callable[[], Any]) -> Any:
        fault = self._trouble.before(call)
        await self._pause(self._trouble.latency())
        if fault == "late":
            await self._pause(9000)
        if fault == "crash before":
            raise Crashed
        _refuse_early(call, fault)
        self._trouble.meanwhile(webhook_down=fault == "no webhook")
        try:
            made = _translated(call, effect)
        finally:
            self._trouble.meanwhile(webhook_down=False)
        self._trouble.wrote(call, body)
        if fault == "crash after":
            raise Crashed
        if fault == "timeout":
            await self._pause(10_000)
            raise errors.Timeout(call, "no answer within 10 s")
        await self._pause(self._trouble.latency())
        return made


def _refuse_early(call: Call, fault: str) -> None:
    if fault in ("409", "429", "500"):
        raise errors.from_status(call, int(fault), {"message": "as the simulation wants it"})
    if fault == "unreached":
        raise errors.Unavailable(call, "no answer: connection refused")


def _translated(call: Call, effect: Callable[[], Any]) -> Any:
    try:
        return effect()
    except Refused as error:
        body = {"reason": error.reason, "message": error.message}
        raise errors.from_status(call, error.code, body) from None
