"""The admission server: reviews over TLS, health and metrics, and a drain that loses nothing."""

import asyncio
from ssl import SSLContext

import structlog

from webhook.admission.dispatch import Dispatch
from webhook.admission.health import Health, Metrics, Ready, no_metrics
from webhook.admission.limits import Limits
from webhook.admission.listener import Listener
from webhook.admission.observer import Observer, Silent
from webhook.admission.reviews import Decide, Reviews

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
        answers = Reviews(mutate, validate, observer)
        reviews = {"/mutate": answers.mutate, "/validate": answers.validate}
        health = Health(ready, metrics, lambda: self._dispatch.draining)
        pages = {"/healthz": health.healthz, "/readyz": health.readyz, "/metrics": health.scrape}
        self._dispatch = Dispatch(pages, reviews, limits, observer)
        self._listener = Listener(self._dispatch, limits)
        self._plain = Listener(Dispatch(pages, {}, limits, observer), limits)

    async def start(self, host: str, port: int, ssl_context: SSLContext | None) -> int:
        """Listen for reviews; returns the port, which matters where 0 was asked for."""
        at, port = await self._listener.listen(host, port, ssl_context)
        log.info("admission_listening", host=at, port=port)
        return port

    async def start_plain(self, host: str, port: int) -> int:
        """Listen without TLS for health and metrics only; returns the port."""
        at, port = await self._plain.listen(host, port, None)
        log.info("health_listening", host=at, port=port)
        return port

    async def drain(self, grace: float = 2.0, finish: float = 10.0) -> None:
        """Leave without losing a review; the plain listener answers until `stop`.

        For ``grace`` seconds everything is served while readiness says 503 and each answer
        tells its client to leave. Then no new connection is taken, reviews that are still
        arriving get up to ``finish`` seconds, and all connections are closed.
        """
        self._dispatch.draining = True
        log.info("admission_draining", connections=self._listener.connections)
        await asyncio.sleep(grace)
        self._listener.close()
        if not await self._listener.leave(finish):
            log.warning("admission_drain_cut", reviews=self._dispatch.in_flight)
        log.info("admission_drained")

    async def stop(self) -> None:
        """Close everything at once."""
        await self._listener.stop()
        await self._plain.stop()
