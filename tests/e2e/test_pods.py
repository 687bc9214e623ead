"""Pods that die, are evicted, never start or have no room, on either side of a release.

Where pods that serve are killed, the application serves on for 2 s when it is told to end
(``GRACEFUL``), as it needs to without Slipway too.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from lab.api import Object
from lab.errors import CommandError
from tests.e2e.app import GRACEFUL
from tests.e2e.conftest import HALF
from tests.e2e.scene import Scene

pytestmark = pytest.mark.e2e

SOON = {"progressDeadlineSeconds": 4}


@pytest.mark.parametrize("side", ["v1", "v2"])
def test_a_pod_that_is_killed_is_replaced_and_the_release_goes_on(
    scene: Callable[..., Scene], side: str
) -> None:
    """`kubectl delete pod` at 50 %: its ReplicaSet makes another, and the share stays."""
    shop = scene("httproute", steps=HALF, container=GRACEFUL)
    shop.until_half("v2")
    victim = shop.pods_of(side)[0]
    shop.kubectl("delete", "pod", victim, "--wait=false")
    shop.wait_pods(v1=4, v2=2)
    assert victim not in shop.pods_of(side)
    shop.wait_ready()
    sight = shop.release("v2")
    assert sight
    assert (sight.phase, sight.weight) == ("Waiting", 50), shop.story()
    shop.finish("v2")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    shop.assert_left_as(*shop.manifests("v2"))


def test_every_old_pod_is_restarted_one_by_one_in_mid_release(scene: Callable[..., Scene]) -> None:
    """As a node drain does it: each pod that is deleted comes back as the version that it was."""
    shop = scene("ingress", steps=HALF, replicas=3, container=GRACEFUL)
    shop.until_half("v2")
    for pod in shop.pods_of("v1") + shop.pods_of("v2"):
        shop.kubectl("delete", "pod", pod, "--wait=false")
        shop.wait_pods(v1=3, v2=2)
        shop.wait_ready()
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_all_new_pods_killed_at_once_the_traffic_goes_back_until_there_are_others(
    scene: Callable[..., Scene],
) -> None:
    """Nobody of v2 is left for its half: weight 0, new pods, and the same step again.

    The proxy has nobody for that half until Slipway has moved it; later requests are answered.
    """
    shop = scene("httproute", steps=HALF, container=GRACEFUL)
    shop.until_half("v2")
    known = time.time()
    shop.kubectl("delete", "pod", "--wait=false", *shop.pods_of("v2"))
    sight = shop.wait_for("v2", "Scaling", "Shifting")
    assert sight.weight == 0 or sight.phase == "Shifting"
    since = shop.wait_quiet()
    shop.finish("v2")
    shop.end(since=since, until=known)
    shop.assert_left_as(*shop.manifests("v2"))


def disruption_budget(shop: Scene, **spec: object) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": shop.namespace},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def evict(shop: Scene, pod: str) -> None:
    """What `kubectl drain` does; CommandError if the budget forbids it."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": shop.namespace},
    }
    path = f"/api/v1/namespaces/{shop.namespace}/pods/{pod}/eviction"
    shop.lab.kubectl("create", f"--raw={path}", "-f", "-", input=json.dumps(body))


def test_a_disruption_budget_in_the_way_of_an_eviction_is_in_nobody_elses_way(
    scene: Callable[..., Scene],
) -> None:
    """minAvailable 50: every eviction is refused, and the release ends all the same."""
    shop = scene("httproute", steps=HALF)
    shop.lab.apply([disruption_budget(shop, minAvailable=50)])
    shop.until_half("v2")
    for pod in (shop.pods_of("v1")[0], shop.pods_of("v2")[0]):
        with pytest.raises(CommandError, match="disruption budget"):
            evict(shop, pod)
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_pods_are_evicted_as_far_as_a_disruption_budget_allows(
    scene: Callable[..., Scene],
) -> None:
    """One of each side, one after the other; the budget counts both versions together."""
    shop = scene("ingress", steps=HALF, container=GRACEFUL)
    shop.lab.apply([disruption_budget(shop, maxUnavailable=1)])
    shop.until_half("v2")
    for version in ("v1", "v2"):
        victim = shop.pods_of(version)[0]
        shop.lab.wait(partial(evicted, shop, victim), 20, f"the eviction of {victim}")
        shop.wait_pods(v1=4, v2=2)
        shop.wait_ready()
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def evicted(shop: Scene, pod: str) -> bool:
    try:
        evict(shop, pod)
    except CommandError:
        return False
    return True


BROKEN: dict[str, dict[str, Any]] = {
    "CrashLoopBackOff": {"env": {"READY": "after:60", "CRASH_AFTER_S": "0.5"}},
    "Unschedulable": {"pod": {"nodeSelector": {"disk": "none"}}},
    "ImagePullBackOff": {"container": {"image": "shop/missing:v2"}},
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_version_whose_pods_do_not_start_is_taken_back(
    scene: Callable[..., Scene], how: str
) -> None:
    """Nobody sees it, the deadline passes, its pods go; the message says what was the matter."""
    shop = scene("httproute", steps=HALF, spec=SOON)
    before = shop.pods_of("v1")
    broken = BROKEN[how]
    good, shop.app = shop.app, shop.app.having(**broken)
    shop.apply("v2")
    shop.wait_told("v2", "0 of 2 new pods are ready (web-")
    shop.wait_told("v2", how)
    shop.wait_for("v2", "Aborted")
    told = shop.told("v2")
    assert "0 of 2 new pods were ready" in told
    assert how in told or how == "CrashLoopBackOff", told  # it may be running at that moment
    assert shop.end().versions == ["v1"]
    shop.wait_pods(v1=4)
    assert shop.pods_of("v1") == before
    status = shop.kubectl("rollout", "status", "deployment/web", "--timeout=20s", check=False)
    assert status.returncode == 1
    shop.assert_left_as(good.service(), shop.route, held=True)


def test_a_version_that_crashes_under_traffic_is_taken_back(scene: Callable[..., Scene]) -> None:
    """A crash fails the requests that it has in hand, and those until proxies know; no later ones.

    That much is lost in plain Kubernetes too, and there of all traffic.
    """
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    for pod in shop.pods_of("v2"):
        shop.lab.crash(shop.namespace, pod, down=30)
    shop.wait_for("v2", "Aborted")
    assert "Canary" in shop.told("v2")
    aborted = shop.sights[-1].at
    shop.lab.wait(
        lambda: shop.probe.report().between(since=aborted).total > 100, 20, "requests afterwards"
    )
    report = shop.probe.stop()
    assert report.between(since=aborted).failed == 0, shop.story()
    assert report.between(until=shop.sights[0].at).failed == 0
    assert shop.pods() == {"v1": 4}
    shop.assert_left_as(shop.app.service(), shop.route, held=True)


@pytest.mark.parametrize("side", ["v1", "v2"])
def test_a_node_that_is_lost_takes_only_its_own_pods_with_it(
    scene: Callable[..., Scene], side: str
) -> None:
    """Old pods are replaced and the release goes on; a new one that had traffic takes it back.

    Requests are lost until the control plane knows of the loss, with Slipway and without.
    """
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    victim = shop.pods_of(side)[0]
    shop.lab.wait(lambda: settled_in(shop, victim), 20, f"{victim} to be known as ready")
    known = time.time()
    shop.lab.lose(shop.namespace, victim)
    if side == "v2":
        shop.wait_for("v2", "RollingBack", "Aborted")
        assert "CanaryUnready" in shop.told("v2")
    shop.kubectl("delete", "pod", victim, "--force")
    since = shop.wait_quiet()
    if side == "v1":
        shop.wait_pods(v1=4, v2=2)
        shop.wait_ready()
        shop.finish("v2")
        shop.end(since=since, until=known)
        shop.assert_left_as(*shop.manifests("v2"))
    else:
        shop.wait_for("v2", "Aborted")
        shop.end(since=since, until=known)
        assert shop.pods() == {"v1": 4}
        shop.assert_left_as(shop.app.service(), shop.route, held=True)


def settled_in(shop: Scene, pod: str) -> bool:
    """Whether it runs long enough to have been ready: a kubelet notes whole seconds."""
    started = shop.lab.get("pods", pod, shop.namespace)["status"]["startTime"]
    return datetime.now(UTC) - datetime.fromisoformat(started) > timedelta(seconds=4)


def limit_pods(shop: Scene, pods: int) -> None:
    """A quota, once it counts: it lets nothing pass that it has not counted."""
    shop.lab.apply([quota(shop, pods)])
    shop.lab.wait(
        lambda: "pods" in (shop.lab.get("resourcequotas", "pods", shop.namespace)["status"]
                           .get("used") or {}),
        20, "the quota to count",
    )  # fmt: skip


def quota(shop: Scene, pods: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "pods", "namespace": shop.namespace},
        "spec": {"hard": {"pods": str(pods)}},
    }


def test_a_quota_with_no_room_for_new_pods_ends_the_release(scene: Callable[..., Scene]) -> None:
    """ReplicaFailure: the message names the quota, v1 keeps all its pods, the deadline decides."""
    shop = scene("httproute", steps=HALF, spec=SOON)
    limit_pods(shop, 4)
    shop.apply("v2")
    shop.wait_told("v2", "exceeded quota")
    shop.wait_for("v2", "Aborted")
    assert "exceeded quota" in shop.told("v2")
    assert shop.end().versions == ["v1"]
    assert shop.pods() == {"v1": 4}
    shop.assert_left_as(shop.app.service(), shop.route, held=True)


def test_a_quota_that_is_raised_in_time_lets_the_release_go_on(
    scene: Callable[..., Scene],
) -> None:
    """Room for one new pod of two: it waits for the other one, and then goes on by itself."""
    shop = scene("httproute", steps=HALF)
    shop.lab.apply([quota(shop, 5)])
    shop.apply("v2")
    shop.wait_told("v2", "1 of 2 new pods are ready")
    assert shop.endpoints("web") == {"v1"}
    shop.lab.apply([quota(shop, 20)])
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_fix_replaces_the_new_version_where_no_released_pod_is_left(
    scene: Callable[..., Scene],
) -> None:
    """v1 is killed at v2's half and a quota lets none of its pods start: v2 stays, then v3 comes.

    Half of the requests have nobody until v2 has the other half as well; no later one is lost.
    """
    shop = scene("httproute", steps=HALF, container=GRACEFUL)
    shop.until_half("v2")
    limit_pods(shop, 2)
    known = time.time()
    shop.kubectl("delete", "pod", "--wait=false", *shop.pods_of("v1"))
    shop.lab.wait(lambda: shop.endpoints("web") == set(), 20, "v1 to be gone")
    shop.apply("v3")
    shop.wait_noted("v2", "keeps its traffic until a pod of the released one is ready")
    assert shop.endpoints("web-canary") == {"v2"}
    shop.edit("v2", promote=True)
    shop.wait_for("v2", "Superseded")
    assert "no pod of v1 got ready: v2 keeps the traffic" in shop.told("v2")
    since = shop.wait_quiet()
    shop.lab.apply([quota(shop, 20)])
    shop.finish("v3")
    shop.end(since=since, until=known)
    shop.assert_left_as(*shop.manifests("v3"))
