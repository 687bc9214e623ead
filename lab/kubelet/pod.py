"""One pod from its binding to its removal."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp

from lab.kubelet.client import Client
from lab.kubelet.config import Config
from lab.kubelet.container import Container, now_text
from lab.kubelet.status import Object, differs, pod_status

_LEAST_TERM: Final = 2.0  # seconds that a container has after a preStop that took all the time
_SLEEP: Final = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")
_MERGE: Final = "application/strategic-merge-patch+json"  # keeps conditions that others wrote


class Pod:
    """A pod bound to our node; `run` is its life."""

    def __init__(
        self, pod: Object, address: str, client: Client, session: aiohttp.ClientSession
    ) -> None:
        self.object = pod
        self.address = address
        self._client = client
        self._changed = asyncio.Event()
        self._terminating = asyncio.Event()
        self._gone = asyncio.Event()
        self._lost = False
        self.containers = [
            Container(spec, pod, address, session, Config(pod, client), self._changed.set)
            for spec in pod["spec"]["containers"]
        ]
        self.see(pod)

    @property
    def name(self) -> str:
        """Its namespace and name, with a slash between."""
        return f"{self.object['metadata']['namespace']}/{self.object['metadata']['name']}"

    @property
    def answered(self) -> int:
        """How many requests its containers have answered."""
        return sum(container.server.answered for container in self.containers)

    def see(self, pod: Object) -> None:
        """Take in a newer state of the object."""
        self.object = pod
        self._changed.set()
        if pod["metadata"].get("deletionTimestamp"):
            self._terminating.set()

    def vanish(self) -> None:
        """The object is gone from the API: end with no grace."""
        self._gone.set()
        self._terminating.set()

    def lose(self) -> None:
        """The machine under it is gone: it neither serves nor reports, nor ends when asked."""
        self._lost = True
        for container in self.containers:
            container.server.crash()

    async def run(self) -> None:
        """Serve until deleted, then end as asked."""
        lives = [asyncio.create_task(container.run()) for container in self.containers]
        status = asyncio.create_task(self._keep_status())
        try:
            await self._terminating.wait()
            if self._lost:
                await self._gone.wait()
            await self._sleep_before_stop()
            for life in lives:
                life.cancel()
            if not self._gone.is_set():
                await self._stop()
        finally:
            for task in (*lives, status):
                task.cancel()
            for container in self.containers:
                container.server.crash()
        if not self._gone.is_set():
            await self._write_status()
            await self._remove()

    async def _sleep_before_stop(self) -> None:
        seconds = max(_pre_stop(container) for container in self.object["spec"]["containers"])
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, self._grace)):
                await self._gone.wait()

    async def _stop(self) -> None:
        spent = max(_pre_stop(container) for container in self.object["spec"]["containers"])
        longest = max(self._grace - spent, _LEAST_TERM)
        stops = [container.stop(longest) for container in self.containers]
        await asyncio.gather(*stops)

    @property
    def _grace(self) -> float:
        asked = self.object["metadata"].get("deletionGracePeriodSeconds")
        return float(30 if asked is None else asked)

    async def _keep_status(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._write_status()

    async def _write_status(self) -> None:
        if self._lost:
            return
        seen = [container.seen for container in self.containers]
        status = pod_status(self.object, self.address, seen, now_text())
        if not differs(self.object, status):
            return
        body = {"metadata": {"uid": self.object["metadata"]["uid"]}, "status": status}
        code, answer = await self._client.send("PATCH", f"{self._path}/status", body, _MERGE)
        if code == 200 and _version(answer) > _version(self.object):
            self.object = answer

    async def _remove(self) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.object["metadata"]["uid"]}}
        await self._client.send("DELETE", self._path, body)

    @property
    def _path(self) -> str:
        meta = self.object["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


def _version(pod: Mapping[str, Any]) -> int:
    return int(pod["metadata"]["resourceVersion"])


def _pre_stop(container: Mapping[str, Any]) -> float:
    """The seconds that a container's preStop hook sleeps, natively or by a command."""
    hook = container.get("lifecycle", {}).get("preStop", {})
    if "sleep" in hook:
        return float(hook["sleep"]["seconds"])
    found = _SLEEP.search(" ".join(hook.get("exec", {}).get("command", ())))
    return float(found[1]) if found else 0.0
