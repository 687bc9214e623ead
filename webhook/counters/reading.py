"""From a pod's ``/metrics`` to how many requests it has answered.

Pure. The counters looked for are those that the usual libraries have; the first that a page shows
counts. Sources: Prometheus, OpenTelemetry and Micrometer, naming of HTTP server metrics.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

COUNTERS: Final = (
    "http_requests_total",
    "http_server_requests_total",
    "http_server_requests_seconds_count",
    "http_server_request_duration_seconds_count",
    "http_server_duration_milliseconds_count",
    "http_request_duration_seconds_count",
    "http_request_duration_milliseconds_count",
    "istio_requests_total",
    "grpc_server_handled_total",
)
_PATHS: Final = ("path", "uri", "handler", "route", "endpoint", "url", "http_route", "grpc_service")
_NO_USERS: Final = re.compile(
    r"/?(actuator/.*|metrics|-/.*|ping|(health|live|ready|liveness|readiness|startup)(z|check)?(/.*)?"
    r"|grpc\.health\..*)"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one page says."""

    requests: float
    """Answered since the process began."""
    clean: bool
    """Probes and scrapes are told apart by their paths, and left out."""


def read(text: str) -> Reading | None:
    """Read a page in Prometheus' text format; None where no counter of requests is in it.

    Raises ValueError where it is no such text.
    """
    for name in COUNTERS:
        lines = [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        if lines:
            return _summed(_samples(lines))
    return None


def _samples(lines: list[str]) -> Iterable[Sample]:
    """Only these lines are parsed: a page may have thousands of others."""
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        yield from family.samples


def _summed(samples: Iterable[Sample]) -> Reading:
    total, clean = 0.0, True
    for sample in samples:
        path = next((sample.labels[key] for key in _PATHS if key in sample.labels), None)
        if path is not None and _NO_USERS.fullmatch(path):
            continue
        clean = clean and path is not None
        total += sample.value
    return Reading(total, clean)
