"""A small API server over real HTTP: objects, versions, watches with bookmarks, and faults."""

import asyncio
import copy
import json
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonpatch
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from webhook.cluster.kinds import Kind, Object

END = "end"
CUT = "cut"


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def verb(self) -> str:
        return "WATCH" if "watch" in self.query else self.method


@dataclass
class Fault:
    """What the next request of that kind gets instead of an answer."""

    verb: str
    status: int
    body: Any
    headers: dict[str, str]
    times: int


@dataclass
class Collection:
    """All objects of one kind, and all that ever happened to them."""

    kind: Kind
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    events: list[tuple[int, str, Object]] = field(default_factory=list)


def status(code: int, reason: str, message: str = "") -> Object:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason} | {
        "message": message or f"it was {reason}"
    }


class FakeApi:
    """Holds the objects; ``put`` and ``remove`` are what other people do to them."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.collections = {kind.plural: Collection(kind) for kind in kinds}
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.version = 100
        self.compacted = 0
        self.page_tokens_expired = False
        self.hang = False
        self.tokens: set[str] | None = None
        self.watches: list[asyncio.Queue[Any]] = []
        self.url = ""
        self._uid = 0
        self._server: TestServer | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server(ssl=tls, shutdown_timeout=0.05)
        self.url = str(self._server.make_url("")).rstrip("/")

    async def stop(self) -> None:
        self.end_watches(CUT)
        if self._server is not None:
            await self._server.close()
            self._server = None

    # -- other people --------------------------------------------------------------------------

    def put(self, kind: Kind, name: str, namespace: str = "shop", **parts: Any) -> Object:
        """Create or change an object."""
        old = self.collections[kind.plural].objects.get((namespace, name))
        metadata = {"name": name} | ({"namespace": namespace} if kind.namespaced else {})
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts}
        metadata["uid"] = old["metadata"]["uid"] if old else self._new_uid()
        return self._store(kind, obj, "MODIFIED" if old else "ADDED")

    def remove(self, kind: Kind, name: str, namespace: str = "shop") -> Object:
        obj = copy.deepcopy(self.collections[kind.plural].objects.pop((namespace, name)))
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._publish(kind, "DELETED", obj)
        return obj

    def bookmark(self) -> None:
        self.version += 1
        meta = {"metadata": {"resourceVersion": str(self.version)}}
        for queue in self.watches:
            queue.put_nowait(line("BOOKMARK", meta))

    def say(self, raw: bytes) -> None:
        """Send raw bytes on every open watch."""
        for queue in self.watches:
            queue.put_nowait(raw)

    def end_watches(self, how: str = END) -> None:
        for queue in self.watches:
            queue.put_nowait(how)

    def fail(
        self,
        verb: str,
        code: int,
        reason: str = "",
        *,
        times: int = 1,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> None:
        answer = status(code, reason) if body is None else body
        self.faults.append(Fault(verb, code, answer, headers or {}, times))

    def count(self, verb: str, text: str = "") -> int:
        return sum(1 for request in self.seen if request.verb == verb and text in request.path)

    # -- the server ----------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        seen = Seen(
            request.method,
            request.path,
            dict(request.query),
            dict(request.headers),
            json.loads(raw) if raw else None,
        )
        self.seen.append(seen)
        if self.hang:
            await asyncio.sleep(60)
        if self.tokens is not None:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                return web.json_response(status(401, "Unauthorized"), status=401)
        fault = next((f for f in self.faults if f.verb == seen.verb and f.times > 0), None)
        if fault is not None:
            fault.times -= 1
            if isinstance(fault.body, str):
                return web.Response(text=fault.body, status=fault.status, headers=fault.headers)
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        return await self._dispatch(request, seen)

    async def _dispatch(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        parts = seen.path.strip("/").split("/")
        parts = parts[3:] if parts[0] == "apis" else parts[2:]
        namespace = ""
        if len(parts) > 2 and parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        plural, name = parts[0], parts[1] if len(parts) > 1 else ""
        if plural == "selfsubjectreviews":
            return web.json_response({"status": {"userInfo": {"username": "slipway"}}})
        collection = self.collections.get(plural)
        if collection is None:
            return web.Response(text="404 page not found", status=404)
        if seen.verb == "WATCH":
            return await self._watch(request, collection, namespace)
        if seen.verb == "GET" and not name:
            return self._list(collection, namespace, seen.query)
        return self._object(collection, (namespace, name), seen)

    def _list(
        self, collection: Collection, namespace: str, query: dict[str, str]
    ) -> web.StreamResponse:
        start = int(query.get("continue", "0"))
        if start and self.page_tokens_expired:
            return web.json_response(status(410, "Expired"), status=410)
        found = [o for (space, _), o in collection.objects.items() if namespace in ("", space)]
        end = start + int(query.get("limit", len(found) or 1))
        items = copy.deepcopy(found[start:end])
        for item in items:  # as the API server does it
            item.pop("apiVersion")
            item.pop("kind")
        meta = {"resourceVersion": str(self.version)}
        if end < len(found):
            meta["continue"] = str(end)
        return web.json_response({"kind": "List", "metadata": meta, "items": items})

    async def _watch(
        self, request: web.Request, collection: Collection, namespace: str
    ) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if since < self.compacted:
            await response.write(line("ERROR", status(410, "Expired")))
            return response
        queue: asyncio.Queue[Any] = asyncio.Queue()
        queue.kind, queue.namespace = collection.kind, namespace  # type: ignore[attr-defined]
        for version, type, obj in collection.events:
            if version > since and namespace in ("", obj["metadata"].get("namespace")):
                queue.put_nowait(line(type, obj))
        self.watches.append(queue)
        try:
            while (item := await queue.get()) not in (END, CUT):
                await response.write(item)
            if item == CUT and request.transport is not None:
                request.transport.abort()
        finally:
            self.watches.remove(queue)
        return response

    def _object(
        self, collection: Collection, key: tuple[str, str], seen: Seen
    ) -> web.StreamResponse:
        kind, namespace = collection.kind, key[0]
        if seen.method == "POST":
            key = (namespace, seen.body["metadata"]["name"])
            if key in collection.objects:
                return web.json_response(status(409, "AlreadyExists"), status=409)
            body = copy.deepcopy(seen.body)
            body["metadata"] |= {"uid": self._new_uid(), "namespace": namespace}
            return web.json_response(self._store(kind, body, "ADDED"), status=201)
        old = collection.objects.get(key)
        if old is None and seen.method == "PUT" and "resourceVersion" in seen.body["metadata"]:
            return web.json_response(status(409, "Conflict"), status=409)  # as the real one
        if old is None:
            return web.json_response(status(404, "NotFound"), status=404)
        if seen.method == "GET":
            return web.json_response(old)
        if seen.method == "DELETE":
            uid = ((seen.body or {}).get("preconditions") or {}).get("uid")
            if uid not in (None, old["metadata"]["uid"]):
                return web.json_response(status(409, "Conflict"), status=409)
            self.remove(kind, key[1], namespace)
            return web.json_response(status(200, "") | {"status": "Success"})
        return self._changed(kind, old, seen)

    def _changed(self, kind: Kind, old: Object, seen: Seen) -> web.StreamResponse:
        if isinstance(seen.body, list):
            return self._json_patch(kind, old, seen.body)
        new = seen.body if seen.method == "PUT" else merge(old, seen.body)
        wanted = (seen.body.get("metadata") or {}).get("resourceVersion")
        if wanted not in (None, old["metadata"]["resourceVersion"]):
            return web.json_response(status(409, "Conflict"), status=409)
        return web.json_response(self._store(kind, copy.deepcopy(new), "MODIFIED"))

    def _json_patch(self, kind: Kind, old: Object, patch: list[Any]) -> web.StreamResponse:
        try:
            new = jsonpatch.apply_patch(old, patch)
        except jsonpatch.JsonPatchException:
            return web.json_response(status(422, "Invalid"), status=422)
        return web.json_response(self._store(kind, new, "MODIFIED"))

    # -- versions ------------------------------------------------------------------------------

    def _store(self, kind: Kind, obj: Object, type: str) -> Object:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        self.collections[kind.plural].objects[key] = obj
        self._publish(kind, type, obj)
        return copy.deepcopy(obj)

    def _publish(self, kind: Kind, type: str, obj: Object) -> None:
        version = int(obj["metadata"]["resourceVersion"])
        self.collections[kind.plural].events.append((version, type, copy.deepcopy(obj)))
        for queue in self.watches:
            same = queue.kind == kind  # type: ignore[attr-defined]
            namespace = queue.namespace  # type: ignore[attr-defined]
            if same and namespace in ("", obj["metadata"].get("namespace")):
                queue.put_nowait(line(type, obj))

    def _new_uid(self) -> str:
        self._uid += 1
        return f"uid-{self._uid}"


def line(type: str, obj: Object) -> bytes:
    return json.dumps({"type": type, "object": obj}).encode() + b"\n"


def merge(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def write_kubeconfig(path: Path, server: str, user: dict[str, object], **cluster: object) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "it", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
