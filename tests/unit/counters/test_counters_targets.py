"""Where pods are scraped: at their own address, where they ask for it, and nowhere else."""

from typing import Any

import pytest

from webhook.counters.targets import Page, page_of, target_of
from webhook.objects.raw import Object

PAGE = Page("http", 8080, "/metrics")


def template(ports: list[Object] | None = None, **noted: str) -> Object:
    """A pod template with ``prometheus.io/...`` annotations."""
    annotations = {f"prometheus.io/{key}": value for key, value in noted.items()}
    return {
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": "web", "ports": ports or []}]},
    }


def pod(**status: Any) -> Object:
    """A running pod."""
    known = {"phase": "Running", "podIP": "10.1.2.3", "hostIP": "10.0.0.1"}
    meta = {"uid": "u1", "labels": {"pod-template-hash": "abc"}}
    return {"metadata": meta, "status": {**known, **status}}


HTTP = [{"name": "http", "containerPort": 8080}]


@pytest.mark.parametrize(
    ("made", "page"),
    [
        (template(HTTP, scrape="true"), PAGE),
        (template(HTTP, scrape="true", port="9100"), Page("http", 9100, "/metrics")),
        (template(HTTP, scrape="true", path="/stats?x=1"), Page("http", 8080, "/stats?x=1")),
        (template(HTTP, scrape="true", scheme="https"), Page("https", 8080, "/metrics")),
        (template([*HTTP, {"name": "metrics", "containerPort": 9}]), Page("http", 9, "/metrics")),
        (template(HTTP), None),
        (template(HTTP, scrape="false"), None),
        (template([{"name": "metrics", "containerPort": 9}], scrape="false"), None),
        (template(scrape="true"), None),
        (template(HTTP, scrape="true", port="http"), None),
        (template(HTTP, scrape="true", port="70000"), None),
        (template(HTTP, scrape="true", path="@10.0.0.1/"), None),
        (template(HTTP, scrape="true", scheme="file"), None),
        ({"metadata": {}, "spec": {}}, None),
    ],
)
def test_a_template_says_where_its_pods_have_their_page(made: Object, page: Page | None) -> None:
    """The annotations that Prometheus' own examples use, or a port with that name."""
    assert page_of(made) == page


def test_a_running_pod_is_asked_at_its_own_address() -> None:
    """IPv6 in brackets."""
    target = target_of(pod(), PAGE)
    assert target
    assert (target.uid, target.hash, target.url) == ("u1", "abc", "http://10.1.2.3:8080/metrics")
    six = target_of(pod(podIP="fd00::7"), PAGE)
    assert six
    assert six.url == "http://[fd00::7]:8080/metrics"


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Pending"},
        {"podIP": ""},
        {"podIP": "10.0.0.1"},
        {"podIP": "127.0.0.1"},
        {"podIP": "169.254.169.254"},
        {"podIP": "::1"},
        {"podIP": "evil.example"},
    ],
)
def test_nothing_but_a_pods_own_address_is_asked(status: dict[str, str]) -> None:
    """On its node's network a pod could name any port of the node."""
    assert target_of(pod(**status), PAGE) is None
