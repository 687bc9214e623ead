"""The resource metrics API of a lab: what `kubectl top` and autoscalers read."""

from collections.abc import Callable
from typing import Any

import pytest

from lab.cluster import Lab
from lab.kubelet.metrics import pod_metrics
from lab.shop import Shop


def pod(name: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "app"}]},
        "status": {"phase": phase},
    }


def used(metrics: dict[str, Any]) -> dict[str, str]:
    return {
        item["metadata"]["name"]: item["containers"][0]["usage"]["cpu"] for item in metrics["items"]
    }


def test_pods_use_cpu_by_their_share_of_the_requests() -> None:
    """A pod without traffic is idle; together they use what was said."""
    pods = [pod("a"), pod("b"), pod("c"), pod("d", "Pending")]
    metrics = pod_metrics(pods, "1200m", {"a": 30, "b": 10})
    assert used(metrics) == {"a": "900000000n", "b": "300000000n", "c": "0n"}


def test_pods_without_any_request_share_alike() -> None:
    """Where there is no load, what was said is still used; a number is in cores."""
    assert used(pod_metrics([pod("a"), pod("b")], "3", {})) == {
        "a": "1500000000n", "b": "1500000000n",
    }  # fmt: skip


@pytest.mark.e2e
def test_kubectl_top_shows_what_pods_use(lab: Lab, shop: Callable[..., Shop]) -> None:
    """The API server serves `metrics.k8s.io` from the node, with label selectors."""
    lab.serve_metrics()
    app = shop(replicas=2)
    app.wait_rolled_out()
    lab.use_cpu(app.namespace, "500m")

    def top(selector: str) -> str:
        here = f"--namespace={app.namespace}"
        done = lab.kubectl("top", "pods", here, f"--selector={selector}", "--no-headers")
        return done.stdout + done.stderr

    lines = top("app=shop").splitlines()
    assert sorted(line.split()[1] for line in lines) == ["250m", "250m"]
    assert "No resources found" in top("app=other")
