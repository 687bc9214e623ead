"""The HTTP server of one container, ending as an application that honours SIGTERM."""

import asyncio
import random
from collections import Counter
from typing import Any, Final

import orjson
from aiohttp import web

from lab.kubelet import calls
from lab.kubelet.behaviour import Behaviour

READINESS_PATHS: Final = frozenset({"/ready", "/readyz", "/healthz", "/health"})
_PROBE_AGENT: Final = "kube-probe"
_ANSWERS_ALWAYS: Final = 3600.0  # seconds that an idle connection is kept, as by most servers


class Server:
    """What one container serves, on each of its ports.

    ``GET /`` answers with the version; the readiness paths, and any path for a probe of the
    kubelet, answer 200 or 503; ``/metrics`` is Prometheus text.
    """

    def __init__(self, behaviour: Behaviour, pod: str) -> None:
        self.turned = asyncio.Event()
        """Set whenever `ready` may have changed otherwise than by time."""
        self._forced_ready: bool | None = None
        self._pod = pod
        self._codes: Counter[int] = Counter()
        self.become(behaviour)
        self._http: web.Server | None = None
        self._listening: list[asyncio.Server] = []
        self._calls: list[Any] = []
        """Servers of gRPC."""
        self._ending: set[asyncio.Task[None]] = set()
        self._since = 0.0
        self._draining = False

    def become(self, behaviour: Behaviour) -> None:
        """Serve in another way from the next start."""
        self.behaviour = behaviour
        self._body = orjson.dumps({"version": behaviour.version, "pod": self._pod})

    @property
    def listening(self) -> bool:
        """Whether it accepts connections (a container without ports: whether it runs)."""
        return self._http is not None and not self._draining

    @property
    def answered(self) -> int:
        """How many requests it has answered; those of probes are not counted."""
        return self._codes.total()

    @property
    def ready(self) -> bool:
        """What its readiness endpoint says now."""
        if self._forced_ready is not None:
            return self.listening and self._forced_ready
        return self.listening and self.behaviour.ready(self._age())

    def force_ready(self, ready: bool) -> None:
        """Override what the behaviour says about readiness."""
        self._forced_ready = ready
        self.turned.set()

    def next_turn(self) -> float | None:
        """Seconds until its behaviour changes `ready`, or None."""
        ahead = [at - self._age() for at in self.behaviour.turns if at > self._age()]
        return min(ahead) if ahead and self.listening else None

    async def listen(self, address: str) -> None:
        """Open the ports; raises OSError if one is taken."""
        loop = asyncio.get_running_loop()
        self._draining = False
        self._http = web.Server(self._answer, access_log=None, keepalive_timeout=_ANSWERS_ALWAYS)
        for port in self.behaviour.ports:
            self._listening.append(
                await loop.create_server(self._http, address, port, backlog=1024)
            )
        for port in self.behaviour.calls:
            self._calls.append(await calls.serve(address, port, self._call))
        self._since = loop.time()
        self.turned.set()

    def crash(self) -> None:
        """Be gone at once: every connection is reset, requests in flight included."""
        self._close_ports()
        if self._http is not None:
            for connection in self._http.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        self._http = None
        for server in self._calls:
            task = asyncio.get_running_loop().create_task(server.stop(None))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._calls.clear()
        self.turned.set()

    async def drain(self, longest: float) -> None:
        """As on SIGTERM: stop listening now, finish what is in flight for ``longest`` seconds."""
        self._draining = True
        self.turned.set()
        self._close_ports()
        grace = min(longest, self.behaviour.drain)
        calls_ending = [server.stop(grace) for server in self._calls]
        self._calls.clear()
        if self._http is not None:
            self._http.pre_shutdown()
            await self._http.shutdown(grace)
        await asyncio.gather(*calls_ending)
        self._http = None

    def _age(self) -> float:
        return asyncio.get_running_loop().time() - self._since

    def _close_ports(self) -> None:
        for listener in self._listening:
            listener.close()
        self._listening.clear()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._response(request)
        if self._draining:
            response.force_close()
        return response

    async def _response(self, request: web.BaseRequest) -> web.Response:
        if request.path in READINESS_PATHS or _PROBE_AGENT in request.headers.get("User-Agent", ""):
            return web.Response(status=200 if self.ready else 503)
        if request.path == "/metrics":
            return web.Response(text=self._metrics())
        if self.behaviour.latency:
            await asyncio.sleep(self.behaviour.latency)
        failed = random.random() < self.behaviour.error_rate
        status = 500 if failed else 200
        self._codes[status] += 1
        return web.Response(
            status=status,
            body=self._body,
            content_type="application/json",
            headers={"X-Version": self.behaviour.version, "X-Pod": self._pod},
        )

    async def _call(self) -> tuple[bool, dict[str, str]]:
        if self.behaviour.latency:
            await asyncio.sleep(self.behaviour.latency)
        fine = random.random() >= self.behaviour.error_rate
        self._codes[200 if fine else 500] += 1
        return fine, {"x-version": self.behaviour.version, "x-pod": self._pod}

    def _metrics(self) -> str:
        lines = [
            "# HELP http_requests_total Requests answered.",
            "# TYPE http_requests_total counter",
        ]
        codes = self._codes or Counter({200: 0})
        lines += [f'http_requests_total{{code="{code}"}} {n}' for code, n in sorted(codes.items())]
        return "\n".join(lines) + "\n"
