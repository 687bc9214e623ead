"""Versions that fail: held back or taken back, and users never see more than was granted."""

from collections.abc import Callable

import pytest

from tests.e2e.scene import RELEASES, Scene
from tests.e2e.test_reapply import pause
from tests.e2e.test_release import assert_as_applied

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("kind", ["httproute", "none"])
def test_a_version_that_never_gets_ready_is_aborted_with_no_user_seeing_it(
    scene: Callable[..., Scene], kind: str
) -> None:
    """Broken v3: the deadline passes, its pods go, v2 serves on, rollout status exits 1."""
    shop = scene(kind, spec={"progressDeadlineSeconds": 4})
    shop.apply("v2")
    shop.wait_for("v2", "Succeeded")
    shop.apply("v3", {"READY": "false"})
    shop.wait_for("v3", "Aborted")
    report = shop.end()
    assert "v3" not in report.versions
    assert shop.pods() == {"v2": 4}
    status = shop.kubectl("rollout", "status", "deployment/web", "--timeout=20s", check=False)
    assert status.returncode == 1
    assert "exceeded its progress deadline" in status.stderr
    release = shop.lab.get(RELEASES, shop.sights[-1].name, shop.namespace)
    assert release["status"]["reason"] == "ProgressDeadlineExceeded"

    shop.apply("v3", {"READY": "false"})  # the same again starts nothing
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 2


def test_an_aborted_version_is_tried_again_by_rollout_resume(scene: Callable[..., Scene]) -> None:
    """`kubectl rollout resume` starts from the first step; here the cause is gone meanwhile."""
    shop = scene("httproute", spec={"progressDeadlineSeconds": 4})
    shop.apply("v2", {"START_MS": "20000"})
    shop.wait_for("v2", "Aborted")
    said = shop.kubectl("rollout", "resume", "deployment/web")
    assert "tried again" in said.stderr
    shop.lab.wait(
        lambda: len(shop.lab.list(RELEASES, shop.namespace)) == 2, 20, "the second release of v2"
    )
    shop.wait_for("v2", "Aborted")
    shop.apply("v3")
    shop.wait_for("v3", "Succeeded")
    shop.end()
    assert_as_applied(shop, "v3")


def test_a_version_that_loses_readiness_under_traffic_loses_its_traffic_first(
    scene: Callable[..., Scene],
) -> None:
    """Ready, given 25 %, then not ready any more: weight 0, then no pods, and v1 serves."""
    shop = scene("ingress")
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    pause(shop)  # so that it is at 25 % when it fails, however slow the machine
    (pod,) = shop.pods_of("v2")
    shop.lab.set_ready(shop.namespace, pod, False)
    shop.wait_for("v2", "RollingBack", timeout=60)
    weights = []

    def withdrawn() -> bool:
        sight = shop.release("v2")
        assert sight
        weights.append((sight.weight, shop.pods().get("v2", 0)))
        return sight.phase == "Aborted"

    shop.lab.wait(withdrawn, 60, "v2 to be taken back")
    shop.end()
    assert all(weight == 0 for weight, _ in weights)
    release = shop.lab.get(RELEASES, shop.sights[-1].name, shop.namespace)
    assert release["status"]["reason"] == "CanaryUnready"
    assert shop.pods() == {"v1": 4}
    status = shop.kubectl("rollout", "status", "deployment/web", "--timeout=20s", check=False)
    assert status.returncode == 1


def test_a_person_aborts_a_release_by_one_field(scene: Callable[..., Scene]) -> None:
    """`kubectl patch release ... spec.abort=true`: traffic first, then pods."""
    shop = scene("httproute")
    shop.apply("v2")
    sight = shop.wait_for_weight("v2", 25)
    shop.lab.patch(RELEASES, sight.name, {"spec": {"abort": True}}, shop.namespace)
    shop.wait_for("v2", "Aborted")
    shop.end()
    assert shop.pods() == {"v1": 4}
