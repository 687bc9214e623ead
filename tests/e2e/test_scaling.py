"""More pods, fewer pods, none; and Deployments whose own fields rule how pods are replaced."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.e2e.app import GRACEFUL
from tests.e2e.conftest import HALF
from tests.e2e.scene import RELEASES, Scene

pytestmark = pytest.mark.e2e

QUARTER_AND_HALF: tuple[Mapping[str, Any], ...] = (
    {"setWeight": 25},
    {"pause": {}},
    {"setWeight": 50},
    {"pause": {}},
)


def scale(shop: Scene, replicas: int) -> None:
    """What a person does, and an autoscaler by the same subresource."""
    shop.kubectl("scale", "deployment/web", f"--replicas={replicas}")
    shop.app = shop.app.having(replicas=replicas)


def up_and_down_in_every_step(shop: Scene, resize: Callable[[Scene, int], None], most: int) -> None:
    """Release v2 while the replicas change, ``most`` of them at 50 % and 5 in the end.

    Both sides follow in proportion, and the share of the traffic stays as it was granted.
    """
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    shop.wait_for("v2", "Waiting")
    resize(shop, 8)
    shop.wait_pods(v1=8, v2=2)
    resize(shop, 4)
    shop.wait_pods(v1=4, v2=1)
    shop.edit("v2", approve=2)
    shop.wait_for_weight("v2", 50)
    shop.wait_for("v2", "Waiting")
    resize(shop, most)
    shop.wait_pods(v1=most, v2=most // 2)
    resize(shop, 2)
    shop.wait_pods(v1=2, v2=1)
    shop.approve("v2")
    shop.wait_for("v2", "Promoting")
    resize(shop, 5)
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    shop.wait_pods(v2=5)


def test_a_deployment_is_scaled_up_and_down_in_every_step(scene: Callable[..., Scene]) -> None:
    """Both sides follow in proportion; the share of the traffic stays as it was granted."""
    shop = scene("httproute", steps=QUARTER_AND_HALF, container=GRACEFUL)
    up_and_down_in_every_step(shop, scale, most=6)
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_deployment_scaled_while_its_new_pods_start_waits_for_as_many_as_it_needs_then(
    scene: Callable[..., Scene],
) -> None:
    """Up and down before the first new pod is ready, as under rising load."""
    shop = scene("ingress", steps=HALF, container=GRACEFUL)
    shop.apply("v2", {"START_MS": "4000"})
    shop.lab.wait(lambda: shop.pods().get("v2"), 30, "new pods")
    scale(shop, 8)
    shop.wait_for("v2", "Waiting")
    shop.wait_pods(v1=8, v2=4)
    scale(shop, 3)
    shop.wait_pods(v1=3, v2=2)
    shop.finish("v2")
    shop.end()
    shop.wait_pods(v2=3)


def test_scaled_to_0_in_mid_release_and_back_the_released_version_serves(
    scene: Callable[..., Scene],
) -> None:
    """An aborted release that says why; `kubectl rollout resume` tries the version again."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    shop.probe.stop()  # with no pod, requests fail: that is what was asked for
    scale(shop, 0)
    shop.wait_for("v2", "Aborted")
    assert "scaled to 0" in shop.told("v2")
    scale(shop, 4)
    shop.wait_pods(v1=4)
    shop.wait_answer()
    shop.load()
    assert shop.endpoints("web") == {"v1"}
    assert shop.end().versions == ["v1"]

    shop.load()
    shop.kubectl("rollout", "resume", "deployment/web")
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_version_applied_at_0_replicas_goes_out_with_a_warning(
    scene: Callable[..., Scene],
) -> None:
    """Nothing serves, so nothing can be protected: no release, and no hold in the way."""
    shop = scene("httproute", steps=HALF)
    shop.probe.stop()
    scale(shop, 0)
    shop.wait_pods()
    assert "no replicas to keep serving" in shop.apply("v2")
    scale(shop, 4)
    shop.wait_pods(v2=4)
    assert shop.lab.list(RELEASES, shop.namespace) == []
    shop.wait_answer()
    shop.load()
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


@pytest.mark.parametrize("kind", ["httproute", "none"])
def test_a_deployment_of_one_replica_is_released(scene: Callable[..., Scene], kind: str) -> None:
    """One old pod, one new one: the old one goes when it has no traffic any more."""
    shop = scene(kind, steps=HALF, replicas=1)
    shop.until_half("v2")
    assert shop.pods() == {"v1": 1, "v2": 1}
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


SPECS: dict[str, dict[str, Any]] = {
    "minReadySeconds": {"minReadySeconds": 2, "progressDeadlineSeconds": 60},
    "maxUnavailable": {
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"},
        }
    },
    "revisionHistoryLimit": {"revisionHistoryLimit": 0},
}


@pytest.mark.parametrize("field", SPECS)
def test_a_deployments_own_rules_for_its_pods_are_kept(
    scene: Callable[..., Scene], field: str
) -> None:
    """Through an abort, a third version and its release; every field is the user's again."""
    shop = scene("httproute", steps=HALF, spec=SPECS[field])
    shop.until_half("v2")
    assert shop.pods() == {"v1": 4, "v2": 2}
    shop.edit("v2", abort=True)
    shop.wait_for("v2", "Aborted")
    shop.apply("v3")
    shop.finish("v3")
    shop.end()
    assert shop.pods() == {"v3": 4}
    shop.assert_left_as(*shop.manifests("v3"))


RECREATE = {"strategy": {"type": "Recreate"}}


def test_a_recreate_deployment_goes_out_unguarded_and_says_so(scene: Callable[..., Scene]) -> None:
    """Its user asked for an outage between the versions; nothing of Slipway's is in the way."""
    shop = scene("httproute", steps=HALF, spec=RECREATE)
    shop.probe.stop()
    said = shop.apply("v2")
    assert "goes out unguarded" in said
    assert "Recreate" in said
    shop.kubectl("rollout", "status", "deployment/web")
    shop.wait_pods(v2=4)
    assert shop.lab.list(RELEASES, shop.namespace) == []
    shop.wait_answer()
    shop.load()
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_policy_may_deny_what_it_cannot_guard(scene: Callable[..., Scene]) -> None:
    """`onUnguardable: Deny`: the apply fails with the reason, and v1 serves on."""
    shop = scene(
        "httproute", steps=HALF, spec=RECREATE, guardrails={"onUnguardable": "Deny"}
    )  # fmt: skip
    done = shop.try_apply("v2")
    assert done.returncode == 1
    assert "Recreate" in done.stderr
    assert "ReleasePolicy quick denies that" in done.stderr
    shop.end()
    assert shop.pods() == {"v1": 4}
    shop.assert_left_as(*shop.manifests("v1"))


def test_a_strategy_changed_to_recreate_in_mid_release_is_for_the_next_one(
    scene: Callable[..., Scene],
) -> None:
    """The release in progress ends without an outage, and the field is then what was asked for."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    shop.app = shop.app.having(spec=RECREATE)
    shop.apply("v2")
    assert shop.pods() == {"v1": 4, "v2": 2}
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))
