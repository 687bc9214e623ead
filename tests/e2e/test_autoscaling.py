"""A HorizontalPodAutoscaler, kube's own, owns the replicas of what is being released."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lab.api import Object
from lab.cluster import Lab
from tests.e2e.app import GRACEFUL
from tests.e2e.conftest import HALF
from tests.e2e.pace import PRODUCTION
from tests.e2e.scene import Scene
from tests.e2e.test_scaling import QUARTER_AND_HALF, up_and_down_in_every_step

pytestmark = pytest.mark.e2e

TARGET = 100
"""Thousandths of a core that a pod should use: half of what it requests."""
SIZED = {**GRACEFUL, "resources": {"requests": {"cpu": f"{2 * TARGET}m"}}}
AT_ONCE: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "policies": [{"type": "Pods", "value": 20, "periodSeconds": 1}],
}
WITH_CARE = {**AT_ONCE, "stabilizationWindowSeconds": 3}
"""Down. What pods used that have just gone is missing until the next figures: 300 s is usual."""


@pytest.fixture(scope="module")
def metered(lab: Lab) -> Lab:
    """The lab with the metrics API that an autoscaler reads."""
    lab.serve_metrics()
    return lab


@pytest.fixture
def autoscaled(metered: Lab, scene: Callable[..., Scene]) -> Callable[..., Scene]:
    """Opens an application as `scene` does; its manifest has no replicas, an autoscaler sets 4."""

    def make(
        kind: str = "httproute",
        steps: tuple[Mapping[str, Any], ...] = HALF,
        down: Mapping[str, Any] = WITH_CARE,
        **options: Any,
    ) -> Scene:
        shop = scene(kind, steps=steps, replicas=None, container=SIZED, **options)
        demand(shop, 4)
        metered.apply([autoscaler(shop, down)])
        shop.wait_pods(v1=4)
        shop.wait_ready()
        return shop

    return make


def autoscaler(shop: Scene, down: Mapping[str, Any]) -> Object:
    target = {"type": "Utilization", "averageUtilization": 50}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": shop.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 20,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleUp": AT_ONCE, "scaleDown": dict(down)},
        },
    }


def demand(shop: Scene, pods: int) -> None:
    """So much work that so many pods are needed, the last of them not quite."""
    shop.lab.use_cpu(shop.namespace, f"{TARGET * pods - TARGET * 4 // 10}m")


def left_at(shop: Scene, version: str, replicas: int) -> list[Object]:
    """The manifests with the replicas that the autoscaler chose."""
    shop.app = shop.app.having(replicas=replicas)
    return shop.manifests(version)


def rescales(shop: Scene) -> list[str]:
    """What the autoscaler has done so far, in its own words."""
    events = shop.lab.list("events", shop.namespace)
    return [e["message"] for e in events if e["reason"] == "SuccessfulRescale"]


def wait_noted(shop: Scene, utilization: int) -> None:
    """Wait until the autoscaler has seen how busy the ready pods are, in percent of requests."""

    def noted() -> bool:
        (metric,) = hpa(shop)["status"]["currentMetrics"]
        seen = metric["resource"]["current"]["averageUtilization"]
        assert abs(seen - utilization) <= 1, seen
        return True

    shop.lab.wait(noted, 20, f"the autoscaler to see {utilization} %")


def hpa(shop: Scene) -> Object:
    return shop.lab.get("horizontalpodautoscalers", "web", shop.namespace)


def test_an_autoscaler_follows_the_load_up_and_down_in_every_step(
    autoscaled: Callable[..., Scene],
) -> None:
    """Both sides follow in proportion, and the share stays; the last word is the autoscaler's."""
    shop = autoscaled("httproute", QUARTER_AND_HALF)
    up_and_down_in_every_step(shop, demand, most=8)
    shop.assert_left_as(*left_at(shop, "v2", 5))


def test_an_autoscaler_scales_while_new_pods_start(autoscaled: Callable[..., Scene]) -> None:
    """Rising load is met by released pods at once; the step waits for as many as it needs then."""
    shop = autoscaled("ingress")
    shop.apply("v2", {"START_MS": "5000"})
    shop.lab.wait(lambda: shop.pods().get("v2"), 30, "new pods")
    demand(shop, 8)
    shop.wait_pods(v1=8, v2=4)
    assert shop.endpoints("web") == {"v1"}
    shop.wait_for("v2", "Waiting")
    demand(shop, 3)
    shop.wait_pods(v1=3, v2=2)
    shop.finish("v2")
    shop.end()
    shop.wait_pods(v2=3)
    shop.app = shop.app.having(env={"START_MS": "5000"})
    shop.assert_left_as(*left_at(shop, "v2", 3))


def test_a_release_under_a_steady_load_gives_an_autoscaler_nothing_to_do(
    autoscaled: Callable[..., Scene],
) -> None:
    """It sees the pods of both versions, and the load that they share: as much as before.

    Pods have no load any more when they go, so no figure misses it, and it needs no patience.
    """
    shop = autoscaled("httproute", down=AT_ONCE)
    before = rescales(shop)
    assert before
    shop.apply("v2")
    shop.finish("v2")
    shop.until_half("v3")
    shop.edit("v3", abort=True)
    shop.wait_for("v3", "Aborted")
    shop.end()
    assert rescales(shop) == before
    assert shop.pods() == {"v2": 4}


def test_an_autoscaler_that_waits_for_new_pods_goes_on_when_they_are_taken_back(
    autoscaled: Callable[..., Scene],
) -> None:
    """Kube's own rule: pods that are not ready yet count as idle, so 4 that are busy look enough.

    The load asks for 6. With the 2 new pods that never get ready gone, there are 6.
    """
    shop = autoscaled("httproute", spec={"progressDeadlineSeconds": 30 if PRODUCTION else 8})
    before = rescales(shop)
    shop.apply("v2", {"READY": "false"})
    shop.wait_pods(v1=4, v2=2)
    demand(shop, 6)
    wait_noted(shop, 70)
    assert rescales(shop) == before
    shop.wait_for("v2", "Aborted")
    shop.wait_pods(v1=6)
    assert shop.end().versions == ["v1"]


def test_an_autoscaler_takes_new_pods_for_room_within_its_tolerance(
    autoscaled: Callable[..., Scene],
) -> None:
    """Kube's own rule: a load for 6 that 4 + 2 pods share is near enough to what they are for.

    The 4 stay 4, until it has no tolerance, or until fewer pods are left to share it.
    """
    shop = autoscaled("httproute")
    shop.until_half("v2")
    demand(shop, 6)
    wait_noted(shop, 47)
    assert hpa(shop)["status"]["desiredReplicas"] == 4
    shop.finish("v2")
    shop.wait_pods(v2=6)

    shop.until_half("v3")
    assert shop.pods() == {"v2": 6, "v3": 3}
    demand(shop, 9)
    wait_noted(shop, 48)
    assert hpa(shop)["status"]["desiredReplicas"] == 6
    none = {"scaleUp": {"tolerance": "0"}, "scaleDown": {"tolerance": "0"}}
    shop.lab.patch("horizontalpodautoscalers", "web", {"spec": {"behavior": none}}, shop.namespace)
    shop.wait_pods(v2=9, v3=5)
    shop.finish("v3")
    shop.end()
    shop.assert_left_as(*left_at(shop, "v3", 9))


def test_an_autoscaler_scales_what_an_aborted_release_left(
    autoscaled: Callable[..., Scene],
) -> None:
    """The Deployment is paused and held; the released version grows and shrinks all the same."""
    shop = autoscaled("httproute")
    shop.until_half("v2")
    shop.edit("v2", abort=True)
    shop.wait_for("v2", "Aborted")
    demand(shop, 7)
    shop.wait_pods(v1=7)
    demand(shop, 3)
    shop.wait_pods(v1=3)
    shop.apply("v1")
    shop.wait_nothing_left()
    shop.end()
    shop.assert_left_as(*left_at(shop, "v1", 3))
