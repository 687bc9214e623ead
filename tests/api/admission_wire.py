"""Talking to the server in whole reviews, or in raw bytes."""

import asyncio
import base64
import copy
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

DEADLINE = 60.0
"""Seconds until a test gives up waiting: long, since a loaded machine is no failure."""

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop", "namespace": "shop", "labels": {"app": "shop"}},
    "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": "shop"}}}},
}


def review(**changes: Any) -> dict[str, Any]:
    """A good review of an UPDATE; keyword arguments replace parts of its request."""
    request = {
        "uid": str(uuid.uuid4()),
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "namespace": "shop",
        "name": "shop",
        "operation": "UPDATE",
        "userInfo": {"username": "jane"},
        "object": copy.deepcopy(DEPLOYMENT),
        "oldObject": copy.deepcopy(DEPLOYMENT),
        "dryRun": False,
        "options": {"fieldManager": "kubectl"},
    }
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": request | changes,
    }


@dataclass(frozen=True)
class Reply:
    """One parsed HTTP response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def response(self) -> dict[str, Any]:
        """The response of an AdmissionReview."""
        review = self.json
        assert review["apiVersion"] == "admission.k8s.io/v1"
        assert review["kind"] == "AdmissionReview"
        return review["response"]

    @property
    def patch(self) -> list[dict[str, Any]]:
        assert self.response["patchType"] == "JSONPatch"
        return json.loads(base64.b64decode(self.response["patch"], validate=True))


@dataclass
class Wire:
    """One connection in raw bytes; every read has a deadline."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    deadline: float = DEADLINE

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), self.deadline)

    async def reply(self, head_only: bool = False) -> Reply:
        async with asyncio.timeout(self.deadline):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            assert head[0].startswith(("HTTP/1.1 ", "HTTP/1.0 "))
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            size = 0 if head_only else int(headers.get("content-length", "0"))
            return Reply(int(head[0][9:12]), headers, await self.reader.readexactly(size))

    async def closed(self) -> bool:
        """Wait for the server to close; True if nothing more came."""
        async with asyncio.timeout(self.deadline):
            try:
                return await self.reader.read() == b""
            except (ConnectionResetError, ssl.SSLError):
                return True


@dataclass
class Client:
    """Opens connections to one server under test."""

    port: int
    tls: ssl.SSLContext | None
    headers: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        name = "localhost" if self.tls else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, server_hostname=name
        )
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    async def post(
        self, body: bytes | dict[str, Any], path: str = "/mutate?timeout=5s", **headers: str
    ) -> Reply:
        async with self.wire() as wire:
            await wire.send(post(body, path, **headers))
            return await wire.reply()

    async def get(self, path: str, method: str = "GET") -> Reply:
        async with self.wire() as wire:
            await wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return await wire.reply(head_only=method == "HEAD")

    async def is_well(self) -> bool:
        """Whether a good review gets its answer."""
        good = review()
        reply = await self.post(good)
        return reply.status == 200 and reply.response["uid"] == good["request"]["uid"]


def post(body: bytes | dict[str, Any], path: str = "/mutate", **headers: str) -> bytes:
    """The bytes of a POST; header names are written with _ for -, None leaves one out."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(data))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"POST {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in named.items() if value is not None]
    return "\r\n".join((*lines, "", "")).encode() + data


async def until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait for a condition of the server, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  the server has no event for each of its numbers
            await asyncio.sleep(0.01)
