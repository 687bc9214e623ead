"""Strategies of a namespace's own policy, on the real cluster under load."""

from collections.abc import Callable
from typing import Any

import pytest

from lab.api import Object
from tests.e2e.pace import TRAFFIC
from tests.e2e.scene import RELEASES, Scene
from tests.e2e.test_release import assert_as_applied

pytestmark = pytest.mark.e2e


def policy(shop: Scene, **spec: Any) -> None:
    """``kubectl apply`` of a ReleasePolicy in the application's namespace."""
    body: Object = {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": "own", "namespace": shop.namespace},
        "spec": {"traffic": TRAFFIC, **spec},
    }
    shop.lab.apply([body])
    shop.lab.wait(lambda: "under ReleasePolicy own" in dry_run(shop), 20, "the policy to be known")


def dry_run(shop: Scene) -> str:
    """What Slipway would say to a new version."""
    return shop.apply("v0", None, "--dry-run=server")


def patch(shop: Scene, **spec: Any) -> None:
    """``kubectl patch release``, of the one that was seen last."""
    shop.lab.patch(RELEASES, shop.sights[-1].name, {"spec": spec}, shop.namespace)


def wait_for_message(shop: Scene, version: str, text: str) -> Object:
    """Wait until the Release of a version says something; returns its status."""

    def says() -> Object | None:
        sight = shop.release(version)
        if sight is None:
            return None
        status: Object = shop.lab.get(RELEASES, sight.name, shop.namespace).get("status") or {}
        return status if text in status.get("message", "") else None

    return shop.lab.wait(says, 60, f"the release of {version} to say: {text}")


@pytest.mark.parametrize("kind", ["httproute", "none"])
def test_blue_green_shows_the_new_set_to_testers_and_switches_everybody_at_once(
    scene: Callable[..., Scene], kind: str
) -> None:
    """The preview Service leads to v2 while every user still gets v1; then one switch."""
    shop = scene(kind)
    policy(
        shop,
        strategy={"blueGreen": {"autoPromotionEnabled": False, "scaleDownDelaySeconds": 2}},
    )
    shop.apply("v2")
    wait_for_message(shop, "v2", "waits for approval")
    assert shop.pods() == {"v1": 4, "v2": 4}
    preview = shop.lab.get("services", "web-preview", shop.namespace)
    address = preview["spec"]["clusterIP"]
    assert address
    assert "v2" not in shop.probe.report().versions
    patch(shop, approve=2)
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    assert shop.pods() == {"v2": 4}
    assert_as_applied(shop, "v2")


def test_after_a_blue_green_switch_the_way_back_is_instant(scene: Callable[..., Scene]) -> None:
    """The old pods are still there: nothing has to start, no request fails."""
    shop = scene("httproute")
    policy(shop, strategy={"blueGreen": {"scaleDownDelaySeconds": 600}})
    shop.apply("v2")
    wait_for_message(shop, "v2", "kept for an instant way back")
    assert shop.pods() == {"v1": 4, "v2": 4}
    shop.apply("v1")
    shop.wait_for("v2", "RolledBack")
    shop.end()
    assert shop.pods() == {"v1": 4}
    assert_as_applied(shop, "v1")


def test_a_budget_for_extra_pods_is_kept_while_every_request_is_answered(
    scene: Callable[..., Scene],
) -> None:
    """One pod more than the replicas, at any moment; stable pods leave their Service first."""
    shop = scene("httproute")
    steps = [{"setWeight": 50}]
    policy(shop, strategy={"canary": {"steps": steps, "maxExtraPods": 1}})
    most = 0

    def count() -> bool:
        nonlocal most
        most = max(most, sum(shop.pods().values()))
        sight = shop.release("v2")
        return sight is not None and sight.phase == "Succeeded"

    shop.apply("v2")
    shop.lab.wait(count, 120, "v2 to be released")
    report = shop.end()
    assert most == 5
    shop.assert_share_never_falls(report, "v2")
    assert_as_applied(shop, "v2")


def test_a_pipeline_decides_by_writing_the_result_of_an_analysis(
    scene: Callable[..., Scene],
) -> None:
    """The step waits; a failed result takes the version back, traffic first."""
    shop = scene("ingress")
    analysis = {"analysis": {"templates": [{"templateName": "smoke"}]}}
    policy(shop, strategy={"canary": {"steps": [{"setWeight": 25}, analysis]}})
    shop.apply("v2")
    wait_for_message(shop, "v2", "waits for the result of analysis smoke")
    result = {"name": "smoke", "step": 1, "phase": "Failed", "message": "3 of 20 pages broken"}
    patch(shop, results=[result])
    shop.wait_for("v2", "Aborted")
    status = shop.lab.get(RELEASES, shop.sights[-1].name, shop.namespace)["status"]
    assert status["reason"] == "AnalysisFailed"
    assert "3 of 20 pages broken" in status["message"]
    shop.end()
    assert shop.pods() == {"v1": 4}


def test_people_skip_a_step_and_promote_the_rest_by_fields_of_the_release(
    scene: Callable[..., Scene],
) -> None:
    """Two pauses without end: one skipped, the other passed with everything that is left."""
    shop = scene("httproute")
    steps = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {}}, {"setWeight": 60}]
    policy(shop, strategy={"canary": {"steps": steps}}, promotion="Manual")
    shop.apply("v2")
    wait_for_message(shop, "v2", "step 2 waits for approval")
    patch(shop, skip=2)
    wait_for_message(shop, "v2", "step 4 waits for approval")
    patch(shop, promote=True)
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    assert_as_applied(shop, "v2")


def test_an_aborted_release_is_retried_by_a_field_and_a_known_version_needs_no_steps(
    scene: Callable[..., Scene],
) -> None:
    """Abort, retry, release; then back to v1 within the rollback window, at once."""
    shop = scene("httproute")
    steps = [{"setWeight": 25}, {"pause": {}}]
    policy(shop, strategy={"canary": {"steps": steps}}, rollbackWindow={"revisions": 1})
    shop.apply("v2")
    wait_for_message(shop, "v2", "waits for approval")
    patch(shop, abort=True)
    shop.wait_for("v2", "Aborted")
    patch(shop, retry=True)
    wait_for_message(shop, "v2", "waits for approval")
    patch(shop, approve=2)
    shop.wait_for("v2", "Succeeded")
    shop.apply("v1")
    sight = shop.wait_for("v1", "Succeeded")
    assert shop.lab.get(RELEASES, sight.name, shop.namespace)["status"]["steps"] == 0
    shop.end()
    assert shop.pods() == {"v1": 4}
    assert_as_applied(shop, "v1")


def test_scaled_to_nothing_in_mid_release_and_back_the_released_version_serves(
    scene: Callable[..., Scene],
) -> None:
    """Told to scale up again, kube's controller would make pods of the new version only."""
    shop = scene("httproute")
    policy(shop, strategy={"canary": {"steps": [{"setWeight": 25}, {"pause": {}}]}})
    shop.apply("v2")
    wait_for_message(shop, "v2", "waits for approval")
    shop.probe.stop()  # nobody can answer while there is no pod: that is what its user wants
    shop.kubectl("scale", "deployment/web", "--replicas=0")
    shop.wait_for("v2", "Aborted")
    shop.kubectl("scale", "deployment/web", "--replicas=3")
    shop.lab.wait(lambda: shop.pods() == {"v1": 3}, 30, "three pods of v1")
    services = shop.lab.list("services", shop.namespace)
    assert [obj["metadata"]["name"] for obj in services] == ["web"]
