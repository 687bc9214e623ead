"""What a rolling update does to users, seen by the probe through a real Traefik."""

from collections.abc import Callable

import pytest

from lab.cluster import Lab
from lab.probe import Report
from lab.shop import Shop

pytestmark = pytest.mark.e2e


def test_pods_made_by_kubes_controller_answer_by_ingress_and_by_httproute(
    shop: Callable[..., Shop],
) -> None:
    """A plain Deployment with a Service and routes serves every request of a steady load."""
    app = shop(replicas=3)
    app.wait_rolled_out()
    app.wait_answers("v1")
    probes = app.probes(rate=100)
    app.lab.wait(lambda: all(p.report().total >= 300 for p in probes), 30, "300 answers each")
    reports = [probe.stop() for probe in probes]
    for report in reports:
        assert report.failed == 0, report
        assert set(report.by_version) == {"v1"}, report
        kept = sum(answer.reused for answer in report.answers)
        assert 0.4 < kept / report.total <= 0.5, "half of the requests use kept-alive connections"


def test_a_rolling_update_of_pods_that_stop_at_once_loses_requests(
    shop: Callable[..., Shop],
) -> None:
    """The probe sees the outage that plain Kubernetes makes when pods have no preStop."""
    reports = _update_under_load(shop(replicas=3))
    assert sum(report.failed for report in reports) > 0, "a loss was expected and not seen"


def test_a_rolling_update_of_pods_that_wait_before_they_stop_loses_nothing(
    shop: Callable[..., Shop],
) -> None:
    """With a preStop sleep the endpoints are gone before the pods are."""
    sleep = {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}
    for report in _update_under_load(shop(replicas=3, container=sleep)):
        assert report.failed == 0, report
        assert report.versions == ["v1", "v2"], report


def test_a_version_that_fails_is_counted_by_status(lab: Lab, shop: Callable[..., Shop]) -> None:
    """ERROR_RATE makes real answers of 500, which the probe and the pod's metrics count."""
    app = shop(env={"ERROR_RATE": "0.5"})
    app.wait_rolled_out()
    app.wait_answers("v1")
    (probe, other) = app.probes(rate=100)
    other.stop()
    report = lab.wait(lambda: (r := probe.report()).total > 200 and r, 20, "200 answers")
    probe.stop()
    assert 0.3 < report.failed / report.total < 0.7, report
    assert report.by_status[500] == report.failed
    metrics = lab.http("GET", app.pod()["status"]["podIP"], 8080, "/metrics")
    assert 'http_requests_total{code="500"}' in metrics


def _update_under_load(app: Shop) -> list[Report]:
    app.wait_rolled_out()
    app.wait_answers("v1")
    probes = app.probes(rate=100)
    app.lab.wait(lambda: all(p.report().total > 50 for p in probes), 20, "the load to flow")
    app.set_image("shop:v2")
    app.wait_rolled_out()
    app.lab.wait(lambda: not _terminating(app), 30, "the old pods to go")
    return [probe.stop() for probe in probes]


def _terminating(app: Shop) -> bool:
    return any(pod["metadata"].get("deletionTimestamp") for pod in app.pods())
