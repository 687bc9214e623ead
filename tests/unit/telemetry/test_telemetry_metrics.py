"""What a scrape gives."""

from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from webhook.telemetry import metrics

NEEDED = {
    "slipway_webhook_requests",
    "slipway_webhook_request_duration_seconds",
    "slipway_webhook_failures",
    "slipway_releases",
    "slipway_releases_finished",
    "slipway_release_step_duration_seconds",
    "slipway_api_requests",
    "slipway_api_request_duration_seconds",
    "slipway_reconcile_duration_seconds",
    "slipway_reconcile_errors",
    "slipway_work_queue_depth",
    "slipway_watch_age_seconds",
    "slipway_leader",
    "slipway_certificate_not_after_timestamp_seconds",
    "process_resident_memory_bytes",
}


def test_a_scrape_is_prometheus_text_with_every_metric() -> None:
    """With a help text each; counters end in _total on the wire."""
    body, content_type = metrics.render()
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families.keys() >= NEEDED
    assert all(families[name].documentation for name in NEEDED)
    assert content_type.startswith("text/plain")


def test_no_label_can_carry_the_name_of_an_object() -> None:
    """The number of series does not grow with the cluster."""
    allowed = {"operation", "kind", "result", "cause", "phase", "outcome", "verb", "code"}
    for value in vars(metrics).values():
        assert set(getattr(value, "_labelnames", ())) <= allowed


def test_the_library_s_default_registry_is_left_alone() -> None:
    """Two Slipways in one process, as in tests, share ours and disturb nobody's."""
    from prometheus_client import REGISTRY  # noqa: PLC0415 the one that is not ours

    assert isinstance(metrics.API_REQUESTS, Counter)
    assert REGISTRY.get_sample_value("slipway_leader") is None
