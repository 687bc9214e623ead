"""The admission server: reviews over TLS, health and metrics, and a drain that loses nothing."""

import asyncio
import contextlib
from ssl import SSLContext

import structlog

from webhook.admission.connection import Connection
from webhook.admission.health import Health, Metrics, Ready, no_metrics
from webhook.admission.limits import Limits
from webhook.admission.observer import Observer, Silent
from webhook.admission.reviews import Decide, Reviews
from webhook.admission.site import Route, Site

log = structlog.get_logger(__name__)


class AdmissionServer:
    """Serves ``/mutate``, ``/validate``, ``/healthz``, ``/readyz`` and ``/metrics``.

    Make it inside a running event loop; then `start`, on SIGTERM `drain`, at the end `stop`.
    `mutate` and `validate` are called on the event loop and have to be quick. Certificates are
    renewed by loading them into the context that `start` was given.
    """

    def __init__(
        self,
        *,
        mutate: Decide,
        validate: Decide,
        ready: Ready,
        metrics: Metrics = no_metrics,
        observer: Observer | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits, observer = limits or Limits(), observer or Silent()
        reviews = Reviews(mutate, validate, observer)
        health = Health(ready, metrics, lambda: self._site.draining)
        plain = {
            "/healthz": Route(health.healthz),
            "/readyz": Route(health.readyz),
            "/metrics": Route(health.scrape),
        }
        routes = plain | {
            "/mutate": Route(reviews.mutate, (b"POST",), takes_review=True),
            "/validate": Route(reviews.validate, (b"POST",), takes_review=True),
        }
        self._site = Site(routes, limits, observer)
        self._plain = Site(plain, limits, observer)
        self._listeners: list[asyncio.Server] = []
        self._plain_listeners: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, ssl_context: SSLContext | None) -> int:
        """Listen for reviews; returns the port, which matters where 0 was asked for."""
        limits = self._site.limits
        tls = ssl_context is not None
        listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._site),
            host,
            port,
            ssl=ssl_context,
            backlog=1024,
            ssl_handshake_timeout=limits.handshake_seconds if tls else None,
            ssl_shutdown_timeout=limits.shutdown_seconds if tls else None,
        )
        self._listeners.append(listener)
        return self._begin(listener, "admission_listening")

    async def start_plain(self, host: str, port: int) -> int:
        """Listen without TLS for health and metrics only; returns the port."""
        listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._plain), host, port
        )
        self._plain_listeners.append(listener)
        return self._begin(listener, "health_listening")

    def _begin(self, listener: asyncio.Server, event: str) -> int:
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep(), name="admission-sweeper")
        address = listener.sockets[0].getsockname()
        log.info(event, host=address[0], port=address[1])
        return int(address[1])

    async def drain(self, grace: float = 2.0, finish: float = 10.0) -> None:
        """Leave without losing a review; the plain listener answers until `stop`.

        For ``grace`` seconds everything is served while readiness says 503 and each answer
        tells its client to leave. Then nothing new is taken in, idle connections are closed,
        and reviews that are still arriving get up to ``finish`` seconds.
        """
        site = self._site
        site.draining = True
        log.info("admission_draining", connections=len(site.peers))
        await asyncio.sleep(grace)
        for listener in self._listeners:
            listener.close()
        if not await site.leave(finish):
            log.warning("admission_drain_cut", reviews=site.in_flight)
        log.info("admission_drained")

    async def stop(self) -> None:
        """Close everything at once."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None
        for listener in (*self._listeners, *self._plain_listeners):
            listener.close()
        for peer in (*self._site.peers, *self._plain.peers):
            peer.abort()
        for listener in (*self._listeners, *self._plain_listeners):
            await listener.wait_closed()
        self._listeners, self._plain_listeners = [], []

    async def _sweep(self) -> None:
        """Look after slow and idle clients: one pass a second instead of a timer each."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._site.limits.sweep_seconds)
            now = loop.time()
            for peer in (*self._site.peers, *self._plain.peers):
                peer.check_time(now)
