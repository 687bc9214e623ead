"""Every metric of Slipway, in one place. No label ever carries the name of a user's object."""

from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

REGISTRY: Final = CollectorRegistry()

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_CALLS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STEPS: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)

WEBHOOK_REQUESTS: Final = Counter(
    "slipway_webhook_requests_total",
    "Admission reviews answered; result is unchanged, patched, denied or failed.",
    ["operation", "kind", "result"],
    registry=REGISTRY,
)
WEBHOOK_DURATION: Final = Histogram(
    "slipway_webhook_request_duration_seconds",
    "Time from the last byte of a review to the first byte of its answer.",
    buckets=_FAST,
    registry=REGISTRY,
)
WEBHOOK_FAILURES: Final = Counter(
    "slipway_webhook_failures_total",
    "Reviews let pass unchanged because of Slipway's own failure; the reconciler repairs them.",
    ["cause"],
    registry=REGISTRY,
)

RELEASES: Final = Gauge("slipway_releases", "Releases that run now.", ["phase"], registry=REGISTRY)
RELEASES_FINISHED: Final = Counter(
    "slipway_releases_finished_total",
    "Releases that came to an end; outcome is succeeded, aborted, superseded or rolledback.",
    ["outcome"],
    registry=REGISTRY,
)
RELEASE_STEP_DURATION: Final = Histogram(
    "slipway_release_step_duration_seconds",
    "Time that a release spent in a phase before it left it.",
    ["phase"],
    buckets=_STEPS,
    registry=REGISTRY,
)

SCRAPES: Final = Counter(
    "slipway_pod_scrapes_total",
    "Pages of pods asked for to measure shares of traffic; result is read, no_counter or failed.",
    ["result"],
    registry=REGISTRY,
)

API_REQUESTS: Final = Counter(
    "slipway_api_requests_total",
    "Calls to the API server; code is the HTTP status, or none if no answer came.",
    ["verb", "kind", "code"],
    registry=REGISTRY,
)
API_DURATION: Final = Histogram(
    "slipway_api_request_duration_seconds",
    "Time from a call to the API server until the head of its answer; each attempt counts.",
    ["verb"],
    buckets=_CALLS,
    registry=REGISTRY,
)

RECONCILE_DURATION: Final = Histogram(
    "slipway_reconcile_duration_seconds",
    "Time of one look at one Deployment.",
    buckets=(*_FAST, 2.5, 5.0, 10.0),
    registry=REGISTRY,
)
RECONCILE_ERRORS: Final = Counter(
    "slipway_reconcile_errors_total",
    "Reconciles that failed and are tried again.",
    ["cause"],
    registry=REGISTRY,
)
WORK_QUEUE_DEPTH: Final = Gauge(
    "slipway_work_queue_depth", "Deployments that wait for a reconcile.", registry=REGISTRY
)

WATCH_AGE: Final = Gauge(
    "slipway_watch_age_seconds",
    "Time since the API server was last heard of on the watch of a kind; the oldest one.",
    ["kind"],
    registry=REGISTRY,
)
LEADER: Final = Gauge(
    "slipway_leader", "1 while this process holds the Lease, else 0.", registry=REGISTRY
)
CERTIFICATE_NOT_AFTER: Final = Gauge(
    "slipway_certificate_not_after_timestamp_seconds",
    "When the serving certificate of the webhook expires, in Unix time.",
    registry=REGISTRY,
)


def render() -> tuple[bytes, str]:
    """Return the body of a scrape and its Content-Type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
