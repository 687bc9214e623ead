"""Templates that change while a release runs: another one, the old one, the same one again."""

import json
from collections.abc import Callable
from copy import deepcopy

import pytest

from lab.api import Object
from tests.e2e.app import GRACEFUL
from tests.e2e.conftest import HALF, policy
from tests.e2e.objects import OURS
from tests.e2e.scene import RELEASES, Scene
from webhook import names

pytestmark = pytest.mark.e2e

PHASES = ("Pending", "Scaling", "Shifting", "Waiting", "Promoting", "RollingBack", "Aborted")


def bring(shop: Scene, phase: str) -> None:
    """Apply v2 and follow it into a phase; with ``HALF`` it would stay in Waiting by itself."""
    shop.apply("v2", {"READY": "false"} if phase == "Scaling" else None)
    match phase:
        case "Pending":
            return  # the next command of a person is quicker than the release
        case "Promoting":
            shop.wait_for("v2", "Waiting")
            shop.approve("v2")
        case "RollingBack" | "Aborted":
            shop.wait_for("v2", "Waiting")
            shop.edit("v2", abort=True)
    shop.wait_for("v2", phase)


@pytest.mark.parametrize("phase", PHASES)
def test_a_third_version_is_released_from_every_phase_of_the_second(
    scene: Callable[..., Scene], phase: str
) -> None:
    """v2 gives back what it has, then v3 begins at the first step; v1 serves in between."""
    shop = scene("httproute", steps=HALF)
    bring(shop, phase)
    shop.apply("v3")
    shop.finish("v3")
    report = shop.end()
    assert shop.pods() == {"v3": 4}
    assert report.share("v3", since=shop.sights[-1].at) == 1.0
    first = min(a.start for a in report.answers if a.version == "v3")
    assert report.between(since=first).by_version["v2"] == 0, "v2 and v3 served at once"
    shop.assert_left_as(*shop.manifests("v3"))
    expected = {"Pending": ("Superseded", ""), "Aborted": ("Aborted",)}.get(phase, ("Superseded",))
    second = shop.release("v2")
    assert (second.phase if second else "") in expected, shop.story()


def test_a_version_applied_while_the_old_pods_go_is_the_next_release(
    scene: Callable[..., Scene],
) -> None:
    """At the native end of v2 there is nothing to return to: v2 is released, then v3 begins."""
    shop = scene("ingress", steps=(), container=GRACEFUL)
    shop.apply("v2")
    shop.lab.wait(
        lambda: (sight := shop.release("v2")) and sight.stage == "lift", 60, "the old pods to go"
    )
    shop.apply("v3")
    shop.wait_for("v2", "Succeeded")
    shop.wait_for("v3", "Succeeded")
    shop.end()
    assert shop.pods() == {"v3": 4}
    shop.assert_left_as(*shop.manifests("v3"))


@pytest.mark.parametrize("phase", ["Pending", "Scaling", "Shifting", "Promoting", "RollingBack"])
def test_going_back_to_the_released_template_ends_the_release_from_every_phase(
    scene: Callable[..., Scene], phase: str
) -> None:
    """The old manifest again: traffic first, then pods, and none of v1's was restarted."""
    shop = scene("httproute", steps=HALF)
    before = shop.pods_of("v1")
    bring(shop, phase)
    shop.apply("v1")
    if phase != "Pending":
        shop.wait_for("v2", "RolledBack")
    shop.wait_pods(v1=4)
    shop.wait_nothing_left()
    shop.end()
    assert shop.pods_of("v1") == before
    assert shop.kubectl("rollout", "status", "deployment/web", "--timeout=20s").returncode == 0
    shop.assert_left_as(*shop.manifests("v1"))


def test_an_aborted_template_that_is_applied_again_starts_nothing(
    scene: Callable[..., Scene],
) -> None:
    """Neither apply nor replace tries v2 again; `kubectl rollout resume` does, and it ends well."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    shop.edit("v2", abort=True)
    shop.wait_for("v2", "Aborted")
    assert "AbortRequested" in shop.told("v2")
    held = shop.deployment()
    assert "unchanged" in shop.apply("v2")
    shop.replace(*shop.manifests("v2"))
    assert shop.deployment()["spec"] == held["spec"]
    assert ours(shop.deployment()) == ours(held)
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 1
    assert shop.pods() == {"v1": 4}

    shop.kubectl("rollout", "resume", "deployment/web")
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_the_released_manifest_settles_an_aborted_deployment(scene: Callable[..., Scene]) -> None:
    """After an abort: v1's manifest again restarts nothing, and the rollout is a good one."""
    shop = scene("httproute", steps=HALF)
    before = shop.pods_of("v1")
    shop.until_half("v2")
    shop.edit("v2", abort=True)
    shop.wait_for("v2", "Aborted")
    shop.apply("v1")
    assert shop.kubectl("rollout", "status", "deployment/web", "--timeout=20s").returncode == 0
    shop.wait_nothing_left()
    shop.end()
    assert shop.pods_of("v1") == before
    shop.assert_left_as(*shop.manifests("v1"))


def test_a_paused_rollout_waits_for_its_user(scene: Callable[..., Scene]) -> None:
    """`kubectl rollout pause` in mid-release keeps the share; `resume` goes on to the end."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    shop.kubectl("rollout", "pause", "deployment/web")
    shop.approve("v2")
    shop.wait_told("v2", "paused by its user")
    assert shop.endpoints("web") == {"v1"}
    assert shop.pods() == {"v1": 4, "v2": 2}
    shop.kubectl("rollout", "resume", "deployment/web")
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_change_of_a_paused_deployment_waits_as_it_would_natively(
    scene: Callable[..., Scene],
) -> None:
    """Paused first, then v2: no pod before `kubectl rollout resume`, then the usual steps."""
    shop = scene("httproute", steps=HALF)
    shop.kubectl("rollout", "pause", "deployment/web")
    shop.apply("v2")
    shop.wait_told("v2", "paused by its user")
    assert shop.pods() == {"v1": 4}
    shop.kubectl("rollout", "resume", "deployment/web")
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))


def test_an_undo_at_rest_is_a_guarded_release(scene: Callable[..., Scene]) -> None:
    """`kubectl rollout undo` after v2 was released: v1 goes out again in the policy's steps."""
    shop = scene("ingress", steps=HALF)
    shop.apply("v2")
    shop.finish("v2")
    shop.kubectl("rollout", "undo", "deployment/web")
    shop.wait_for("v1", "Waiting")
    assert shop.pods() == {"v2": 4, "v1": 2}
    shop.finish("v1")
    shop.end()
    shop.assert_left_as(*shop.manifests("v1"))


def test_a_restart_in_mid_release_begins_the_version_anew(scene: Callable[..., Scene]) -> None:
    """`kubectl rollout restart` is a new template of v2: weight 0 first, then from step 1."""
    shop = scene("httproute", steps=HALF)
    first = shop.until_half("v2")
    shop.kubectl("rollout", "restart", "deployment/web")
    shop.lab.wait(
        lambda: (sight := shop.release("v2")) and sight.name != first.name and sight.stage,
        60,
        "the restarted v2 to be released",
    )
    shop.finish("v2")
    shop.end()
    assert shop.pods() == {"v2": 4}
    shop.assert_nothing_left()
    for pod in shop.lab.list("pods", shop.namespace):
        assert "kubectl.kubernetes.io/restartedAt" in pod["metadata"]["annotations"]


@pytest.mark.parametrize("when", ["at rest", "in mid-release"])
def test_template_and_replicas_change_in_one_write(scene: Callable[..., Scene], when: str) -> None:
    """v2 with 6 replicas, and v3 with 3 while v2 has half: pods of both sides follow."""
    shop = scene("httproute", steps=HALF)
    shop.app = shop.app.having(replicas=6)
    shop.until_half("v2")
    shop.wait_pods(v1=6, v2=3)
    version = "v2"
    if when == "in mid-release":
        shop.app = shop.app.having(replicas=8)
        shop.apply("v3")
        shop.wait_for("v3", "Waiting")
        shop.wait_pods(v1=8, v3=4)
        version = "v3"
    shop.finish(version)
    shop.end()
    assert shop.pods() == {version: shop.app.replicas}
    shop.assert_left_as(*shop.manifests(version))


@pytest.mark.parametrize("when", ["at rest", "in mid-release"])
def test_a_write_that_drops_all_annotations_and_labels_changes_nothing(
    scene: Callable[..., Scene], when: str
) -> None:
    """A full PUT of every object as an old tool makes it: no restart, no lost pin or weight."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    if when == "at rest":
        shop.finish("v2")
    kinds = ("deployments", "services", "httproutes")
    before = [shop.lab.get(kind, "web", shop.namespace) for kind in kinds]
    pods = sorted(shop.pods_of("v1") + shop.pods_of("v2"))
    shop.replace(*(stripped(obj) for obj in before))
    for kind, was in zip(kinds, before, strict=True):
        obj = shop.lab.get(kind, "web", shop.namespace)
        assert obj["spec"] == was["spec"]
        assert ours(obj) == ours(was)
    assert sorted(shop.pods_of("v1") + shop.pods_of("v2")) == pods
    if when == "in mid-release":
        shop.finish("v2")
    shop.end()
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 1
    assert shop.pods() == {"v2": 4}
    shop.assert_left_as(*shop.manifests("v2"))


def ours(obj: Object) -> dict[str, str]:
    """Slipway's annotations and labels."""
    meta = obj["metadata"]
    both = {**(meta.get("annotations") or {}), **(meta.get("labels") or {})}
    return {key: value for key, value in both.items() if key.startswith(OURS)}


def stripped(obj: Object) -> Object:
    """An object without any annotation or label of its own or, but for the app, its pods'."""
    kept = deepcopy(obj)
    for key in ("annotations", "labels", "managedFields", "resourceVersion", "uid"):
        kept["metadata"].pop(key, None)
    if kept["kind"] == "Deployment":
        template = kept["spec"]["template"]["metadata"]
        template.pop("annotations", None)
        template["labels"] = {"app": template["labels"]["app"]}
    kept.pop("status", None)
    return kept


def test_a_fix_of_a_rollout_that_nothing_guarded_begins_from_what_serves(
    scene: Callable[..., Scene],
) -> None:
    """v2 got stuck natively, and then a policy came: v3 is released from v1, which has the pods."""
    shop = scene("httproute", container=GRACEFUL)
    shop.lab.create(unguarded(shop))
    wait_guarded(shop, by=None)
    shop.apply("v2", {"READY": "false"})
    shop.wait_pods(v1=3, v2=2)
    shop.replace(policy(shop.namespace, HALF))
    wait_guarded(shop, by="ReleasePolicy/quick")
    shop.apply("v3")
    shop.wait_for("v3", "Waiting")
    assert shop.object_of("v3")["spec"]["stable"]["version"] == "v1"
    assert shop.endpoints("web") == {"v1"}
    shop.finish("v3")
    assert set(shop.end().versions) == {"v1", "v3"}
    shop.assert_left_as(*shop.manifests("v3"))


def unguarded(shop: Scene) -> Object:
    made = policy(shop.namespace, ())
    return {**made, "spec": {"strategy": {"none": {}}}}


def wait_guarded(shop: Scene, by: str | None) -> None:
    """Wait until the webhook knows which policy guards the Deployment."""

    def there() -> bool:
        flags = ("--dry-run=server", "-o", "json")
        asked = json.loads(shop.lab.apply([shop.app.deployment("asked")], *flags).stdout)
        assert asked["metadata"]["annotations"].get(names.GUARDED_BY) == by
        return True

    shop.lab.wait(there, 20, f"the Deployment to be guarded by {by}")
