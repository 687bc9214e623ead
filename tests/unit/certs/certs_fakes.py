"""An API server's answers for the few calls that certificates make."""

import asyncio
import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonpatch

from webhook.cluster import errors
from webhook.cluster.errors import Call
from webhook.cluster.kinds import Kind, Object
from webhook.cluster.wire import PatchType

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeCluster:
    """Objects in a dict, with resourceVersions as preconditions; ``fail`` makes writes fail."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.writes: list[str] = []
        self.fail: dict[str, list[Exception]] = {}
        self._version = 0

    def put(self, kind: Kind, body: Object) -> Object:
        self._version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[kind.kind, stored["metadata"]["name"]] = stored
        return copy.deepcopy(stored)

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        await self._answer("get", kind)
        return copy.deepcopy(self._found("get", kind, name))

    async def create(self, kind: Kind, body: Object, namespace: str | None = None) -> Object:
        await self._answer("create", kind)
        name = body["metadata"]["name"]
        if (kind.kind, name) in self.objects:
            raise errors.AlreadyExists(Call("create", kind.kind, name), "there already")
        self.writes.append(f"create {kind.kind}")
        return self.put(kind, body)

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Mapping[str, Any] | Sequence[Any],
        namespace: str | None = None,
        *,
        content: PatchType = PatchType.MERGE,
    ) -> Object:
        await self._answer("patch", kind)
        found = copy.deepcopy(self._found("patch", kind, name))
        call = Call("patch", kind.kind, name)
        if content is PatchType.JSON:
            assert isinstance(body, list)
            try:
                changed = jsonpatch.apply_patch(found, body)
            except jsonpatch.JsonPatchTestFailed as error:
                raise errors.Invalid(call, str(error)) from error
        else:
            assert isinstance(body, Mapping)
            if body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
                raise errors.Conflict(call, "changed")
            changed = found | {"data": {**found["data"], **body["data"]}}
        self.writes.append(f"patch {kind.kind}")
        return self.put(kind, changed)

    async def _answer(self, verb: str, kind: Kind) -> None:
        await asyncio.sleep(0)  # lets another replica in between, as a network does
        planned = self.fail.get(f"{verb} {kind.kind}")
        if planned:
            raise planned.pop(0)

    def _found(self, verb: str, kind: Kind, name: str) -> Object:
        found = self.objects.get((kind.kind, name))
        if found is None:
            raise errors.NotFound(Call(verb, kind.kind, name), "not there")
        return found


class FakeClock:
    """A wall clock that tests move; sleeping moves it too."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def pass_by(self, **duration: float) -> None:
        self.time += timedelta(**duration)

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds=seconds)
        await asyncio.sleep(0)


def configuration(*bundles: str | None) -> Object:
    """A webhook configuration with one webhook for each caBundle; None: it has none."""
    webhooks = [
        {
            "name": f"w{i}",
            "clientConfig": {"service": {"name": "s"}} | ({"caBundle": b} if b else {}),
        }
        for i, b in enumerate(bundles)
    ]
    return {"metadata": {"name": "slipway"}, "webhooks": webhooks}
