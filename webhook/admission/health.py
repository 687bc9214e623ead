"""Liveness, readiness and metrics, for kubelets and Prometheus."""

from collections.abc import Callable
from dataclasses import dataclass

from webhook.admission.answer import TEXT, Answer

Ready = Callable[[], tuple[bool, str]]
"""Whether the process may get traffic, and why not."""
Metrics = Callable[[], tuple[bytes, str]]
"""The body of a scrape and its Content-Type."""


def no_metrics() -> tuple[bytes, str]:
    """Return an empty scrape."""
    return b"", TEXT


@dataclass(frozen=True, slots=True)
class Health:
    """The handlers behind ``/healthz``, ``/readyz`` and ``/metrics``."""

    ready: Ready
    metrics: Metrics
    draining: Callable[[], bool]

    def healthz(self) -> Answer:
        """Say that the event loop runs, which an answer proves by itself."""
        return Answer(200, b"ok\n", TEXT)

    def readyz(self) -> Answer:
        """Say whether reviews should come here, with the reason if not."""
        if self.draining():
            return Answer(503, b"draining\n", TEXT)
        ready, reason = self.ready()
        return Answer(200 if ready else 503, f"{reason or 'ok'}\n".encode(), TEXT)

    def scrape(self) -> Answer:
        """Return the metrics."""
        body, content_type = self.metrics()
        return Answer(200, body, content_type)
