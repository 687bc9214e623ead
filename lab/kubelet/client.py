"""The few API calls that a kubelet makes, on one aiohttp session."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
import yaml

Object = dict[str, Any]

_LINE: Final = 1 << 22  # bytes; one watch event is one line
_WATCH_SECONDS: Final = 300
_RETRY_AFTER: Final = 0.5  # seconds


class Client:
    """An async context manager around a session made from a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._server: str = cluster["server"]
        self._tls = ssl.create_default_context(cadata=authority)
        self._token: str = config["users"][0]["user"]["token"]

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            base_url=self._server,
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=16),
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=aiohttp.ClientTimeout(total=10),
            read_bufsize=_LINE,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def send(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, Object]:
        """Send one request, again and again while the server cannot be reached."""
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": content_type}
        while True:
            with suppress(aiohttp.ClientConnectionError, TimeoutError):
                async with self._session.request(
                    method, path, data=data, headers=headers
                ) as response:
                    answer = orjson.loads(await response.read() or b"{}")
                    if response.status < 500 and response.status != 429:
                        return response.status, answer
            await asyncio.sleep(_RETRY_AFTER)

    async def follow(self, path: str) -> AsyncIterator[tuple[str, Object]]:
        """List and watch for ever: ``(type, object)``; ``RELISTED`` comes with a whole list."""
        while True:
            status, listing = await self.send("GET", path)
            if status == 200:
                yield "RELISTED", listing
                version = listing["metadata"]["resourceVersion"]
                with suppress(aiohttp.ClientError, TimeoutError, ValueError):
                    async for event in self._watch(path, version):
                        yield event
            await asyncio.sleep(0.1)

    async def _watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Object]]:
        while True:
            params = {
                "watch": "1",
                "allowWatchBookmarks": "true",
                "resourceVersion": version,
                "timeoutSeconds": str(_WATCH_SECONDS),
            }
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            async with self._session.get(path, params=params, timeout=timeout) as response:
                response.raise_for_status()
                async for line in response.content:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]
