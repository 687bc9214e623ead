"""Readiness as a kubelet sees it: real requests to the pod's server, counted by thresholds."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp

from lab.kubelet.behaviour import port_named
from lab.kubelet.server import Server

_AGENT: Final = {"User-Agent": "kube-probe/lab"}


class Prober:
    """The readiness of one container; without a probe in its spec, what the server says."""

    def __init__(
        self,
        container: Mapping[str, Any],
        server: Server,
        address: str,
        session: aiohttp.ClientSession,
    ) -> None:
        self._probe: Mapping[str, Any] | None = container.get("readinessProbe")
        self._container = container
        self._server = server
        self._address = address
        self._session = session
        self.ready = False

    async def run(self, on_change: Callable[[], None]) -> None:
        """Probe until cancelled; tell each change of `ready`."""
        if self._probe is None:
            await self._follow_server(on_change)
        else:
            await self._probe_for_ever(self._probe, on_change)

    async def _follow_server(self, on_change: Callable[[], None]) -> None:
        while True:
            self._server.turned.clear()
            if self.ready != self._server.ready:
                self.ready = not self.ready
                on_change()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._server.next_turn()):
                    await self._server.turned.wait()

    async def _probe_for_ever(
        self, probe: Mapping[str, Any], on_change: Callable[[], None]
    ) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
        same, last = 0, self.ready
        while True:
            result = await self._ask(probe)
            same = same + 1 if result == last else 1
            last = result
            if result != self.ready and same >= needed[result]:
                self.ready = result
                on_change()
            await asyncio.sleep(probe.get("periodSeconds", 10))

    async def _ask(self, probe: Mapping[str, Any]) -> bool:
        if "httpGet" in probe:
            return await self._get(probe["httpGet"], probe.get("timeoutSeconds", 1))
        return self._server.listening

    async def _get(self, target: Mapping[str, Any], seconds: float) -> bool:
        port = port_named(self._container, target.get("port"))
        url = f"http://{self._address}:{port}{target.get('path', '/')}"
        try:
            async with self._session.get(
                url,
                headers=_AGENT,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                return 200 <= response.status < 400
        except (aiohttp.ClientError, TimeoutError):
            return False
