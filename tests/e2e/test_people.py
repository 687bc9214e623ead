"""What people do to policies, Releases and namespaces while a release runs."""

from collections.abc import Callable

import pytest

from lab.cluster import as_yaml
from lab.slipway import Slipway
from tests.e2e.conftest import HALF, policy
from tests.e2e.scene import RELEASES, Scene

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("what", ["edited", "deleted", "none"])
def test_a_change_of_the_policy_is_for_the_next_release(
    scene: Callable[..., Scene], what: str
) -> None:
    """A release keeps the policy that it began with, to its end; v3 has the new one."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    changed = policy(shop.namespace, [{"setWeight": 50}])
    match what:
        case "edited":
            shop.lab.apply([changed])
        case "none":
            changed["spec"] = {"strategy": {"none": {}}}
            shop.replace(changed)
        case _:
            shop.kubectl("delete", "releasepolicy", "quick")
    shop.finish("v2")
    shop.assert_left_as(*shop.manifests("v2"))
    said = shop.apply("v3")
    if what == "none":
        assert "slipway" not in said
        shop.probe.stop()  # v3 goes out natively, and these pods end without grace
        shop.kubectl("rollout", "status", "deployment/web")
        assert len(shop.lab.list(RELEASES, shop.namespace)) == 1
        assert shop.probe.report().between(until=shop.sights[-1].at).failed == 0
        return
    name = "ReleasePolicy quick" if what == "edited" else "ClusterReleasePolicy default"
    assert f"under {name}" in said
    shop.wait_for("v3", "Succeeded")
    shop.end()
    shop.assert_left_as(*shop.manifests("v3"))


def test_a_policy_that_cannot_be_read_does_not_let_a_change_out_unguarded(
    scene: Callable[..., Scene],
) -> None:
    """A step that makes no sense is refused when it is applied; the policy before is in force."""
    shop = scene("ingress", steps=HALF)
    wrong = policy(shop.namespace, [{"setWeight": 50, "pause": {}}])
    done = shop.lab.kubectl("apply", "-f", "-", input=as_yaml(wrong), check=False)
    assert done.returncode == 1
    assert "steps[0]" in done.stderr, done.stderr
    shop.apply("v2")
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_person_pauses_a_release_and_lets_it_go_on(scene: Callable[..., Scene]) -> None:
    """`spec.paused`: an approval meanwhile moves nothing, and is not forgotten."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    shop.edit("v2", paused=True)
    told = shop.wait_told("v2", "the Release is paused")
    assert "v2 has 50 % of the traffic" in told
    shop.approve("v2")
    shop.wait_seen("v2")
    assert shop.release("v2").phase == "Waiting"  # type: ignore[union-attr]  # it is there
    shop.edit("v2", paused=False)
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    shop.assert_left_as(*shop.manifests("v2"))


@pytest.mark.parametrize("phase", ["Scaling", "Shifting", "Promoting"])
def test_a_person_aborts_in_every_phase(scene: Callable[..., Scene], phase: str) -> None:
    """Traffic first, then pods; nothing but the hold is left, and `rollout status` exits 1."""
    shop = scene("ingress", steps=HALF)
    before = shop.pods_of("v1")
    shop.apply("v2", {"READY": "false"} if phase == "Scaling" else None)
    if phase == "Promoting":
        shop.wait_for("v2", "Waiting")
        shop.approve("v2")
    shop.wait_for("v2", phase)
    shop.edit("v2", abort=True)
    shop.wait_for("v2", "Aborted")
    report = shop.end()
    aborted = shop.sights[-1].at
    assert report.between(since=aborted).versions == ["v1"]
    assert shop.pods() == {"v1": 4}
    assert shop.pods_of("v1") == before
    status = shop.kubectl("rollout", "status", "deployment/web", "--timeout=20s", check=False)
    assert status.returncode == 1
    assert "AbortRequested" in shop.told("v2")
    shop.assert_left_as(shop.app.service(), shop.route, held=True)


def test_the_snapshot_of_a_release_cannot_be_edited(scene: Callable[..., Scene]) -> None:
    """Steps, version and where to return to stay as they were when it began."""
    shop = scene("httproute", steps=HALF)
    sight = shop.until_half("v2")
    change = '{"spec":{"version":"v9","strategy":{"canary":{"steps":[{"setWeight":100}]}}}}'
    done = shop.kubectl(
        "patch", RELEASES, sight.name, "--type=merge", "-p", change, check=False
    )  # fmt: skip
    assert done.returncode == 1
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


@pytest.mark.parametrize("phase", ["Scaling", "Promoting"])
def test_a_release_deleted_in_any_phase_begins_again(
    scene: Callable[..., Scene], phase: str
) -> None:
    """`kubectl delete release`: weight 0, then the steps from the first, and no failed request."""
    shop = scene("httproute", steps=HALF, env={"START_MS": "2000"})
    shop.apply("v2")
    if phase == "Promoting":
        shop.wait_for("v2", "Waiting")
        shop.approve("v2")
    sight = shop.wait_for("v2", phase)
    shop.kubectl("delete", RELEASES, sight.name)
    shop.lab.wait(
        lambda: (now := shop.release("v2")) and (now.name, now.phase) != (sight.name, phase),
        40,
        "a new Release",
    )
    shop.finish("v2")
    shop.end()
    assert shop.pods() == {"v2": 4}
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_namespace_deleted_in_mid_release_goes_at_once(
    scene: Callable[..., Scene], guard: Slipway
) -> None:
    """No finalizer is in its way, and the reconciler has no more to say about it."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    other = scene("ingress", steps=HALF)
    shop.probe.stop()  # the application goes away: that is what was asked for
    shop.kubectl("delete", "namespace", shop.namespace, "--timeout=60s")
    assert shop.lab.find("namespaces", shop.namespace) is None
    other.apply("v2")
    other.finish("v2")
    other.end()
    other.assert_left_as(*other.manifests("v2"))
    assert "reconcile_crashed" not in guard.reconciler.log
