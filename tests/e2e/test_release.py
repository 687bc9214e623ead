"""A new version goes out in measured steps, and nothing of it remains."""

from collections.abc import Callable

import pytest

from lab.probe import Report
from tests.e2e.objects import users_part
from tests.e2e.pace import SYNC
from tests.e2e.scene import Scene
from tests.soak.scale import Share

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "kind", ["httproute", "grpcroute", "ingress", "ingressroute", "traefikservice"]
)
def test_a_new_version_gets_traffic_in_the_steps_of_the_policy(
    scene: Callable[..., Scene], kind: str
) -> None:
    """Apply v1, apply v2: 25, 50, 100 %, no failed request, and objects as applied."""
    shop = scene(kind, called=kind == "grpcroute")
    before = {
        name: users_part(shop.lab.get(name, "web", shop.namespace)) for name in (kind, "service")
    }
    said = shop.apply("v2")
    assert "release of v2 starts" in said
    shop.wait_for("v2", "Succeeded")
    report = shop.end()

    assert shop.assert_shares(report, "v2") == [25, 50], shop.story()
    shop.assert_share_never_falls(report, "v2")
    assert report.share("v2", since=shop.sights[-1].at) == 1.0
    assert shop.kubectl("rollout", "status", "deployment/web").returncode == 0
    assert shop.pods() == {"v2": 4}
    for name, was in before.items():
        assert users_part(shop.lab.get(name, "web", shop.namespace)) == was
    assert_as_applied(shop, "v2")


def test_without_a_route_the_share_follows_the_count_of_pods(scene: Callable[..., Scene]) -> None:
    """An Ingress whose controller knows no weights: 25 % is one new pod beside four."""
    shop = scene("none")
    shop.apply("v2")
    shop.wait_for("v2", "Succeeded")
    report = shop.end()

    weights = shop._pauses("v2")
    first = report.share("v2", *weights[0][1:])
    assert abs(first - 1 / 5) < 0.08, shop.story()
    second = report.share("v2", *weights[1][1:])
    assert abs(second - 1 / 2) < 0.08, shop.story()
    assert report.share("v2", since=shop.sights[-1].at) == 1.0
    assert_as_applied(shop, "v2")


def test_clients_inside_the_cluster_are_given_new_pods_step_by_step(
    scene: Callable[..., Scene],
) -> None:
    """No route at all: each connection to the Service goes to a ready pod at random."""
    shop = scene("none")
    balancer = shop.lab.balance(shop.namespace, SYNC)
    address = shop.lab.get("services", "web", shop.namespace)["spec"]["clusterIP"]
    shop.lab.wait(lambda: _answers(shop, address), 20, f"{address} to answer")
    inside = shop.lab.probe(url=f"http://{address}:80/", rate=150)
    shop.lab.wait(lambda: inside.report().total > 50, 20, "the first connections")
    shop.apply("v2")
    shop.wait_for("v2", "Succeeded")
    shop.end()
    report = inside.stop()
    assert report.failed == 0, f"{report}\n{shop.story()}"
    for (_, since, until), pods in zip(shop._pauses("v2"), (1 / 5, 1 / 2), strict=True):
        # Kept-alive connections stay where they are.
        new = Report(tuple(a for a in report.between(since, until).answers if not a.reused))
        share = Share("inside", "v2", pods, new.total, new.by_version["v2"])
        assert share.inside, f"{share}\n{shop.story()}"
    balancer.stop()
    assert_as_applied(shop, "v2")


def test_a_deployment_without_any_service_is_released_step_by_step(
    scene: Callable[..., Scene],
) -> None:
    """A worker has no traffic to move; its pods are replaced in the policy's steps all the same."""
    shop = scene("httproute")
    worker = shop.app.having(name="worker", replicas=2)
    shop.lab.apply([worker.deployment("v1")])
    shop.kubectl("rollout", "status", "deployment/worker")
    shop.lab.apply([worker.deployment("v7")])
    shop.wait_for("v7", "Succeeded")
    assert shop.kubectl("rollout", "status", "deployment/worker").returncode == 0
    shop.end()


def _answers(shop: Scene, address: str) -> bool:
    try:
        return shop.lab.fetch("GET", address, 80, "/").ok
    except OSError:
        return False


def assert_as_applied(shop: Scene, version: str) -> None:
    """The Deployment is what the user applied, and nothing that Slipway made is left."""
    live = shop.deployment()
    wanted = shop.app.deployment(version)
    mine = users_part(live)["spec"]
    template = mine["template"]["spec"]["containers"][0]
    assert template["image"] == wanted["spec"]["template"]["spec"]["containers"][0]["image"]
    assert mine["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert "minReadySeconds" not in mine
    assert "paused" not in mine
    assert mine["progressDeadlineSeconds"] == shop.app.spec.get("progressDeadlineSeconds", 600)
    assert not live["metadata"].get("labels")
    kept = {k for k in live["metadata"]["annotations"] if k.startswith("slipway.dev/")}
    assert not kept & {"slipway.dev/hold", "slipway.dev/original", "slipway.dev/stable"}
    for kind in ("services", "ingresses"):
        names = {obj["metadata"]["name"] for obj in shop.lab.list(kind, shop.namespace)}
        assert names <= {"web"}, f"left behind: {names}"
