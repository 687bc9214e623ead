"""Writes in mid-release: repeated manifests change nothing, new ones mean what they say."""

from collections.abc import Callable

import pytest

from lab.cluster import as_yaml
from tests.e2e.scene import RELEASES, Scene
from tests.e2e.test_release import assert_as_applied

pytestmark = pytest.mark.e2e

KINDS = ("deployments", "services", "httproutes")


def shown(shop: Scene) -> list[object]:
    """What the cluster acts on: every spec, and the intent behind it."""
    found: list[object] = []
    for kind in KINDS:
        obj = shop.lab.get(kind, "web", shop.namespace)
        notes = obj["metadata"].get("annotations") or {}
        ours = {k: v for k, v in notes.items() if k.startswith("slipway.dev/")}
        found.append((kind, obj["spec"], ours, obj["metadata"].get("labels")))
    return found


@pytest.mark.parametrize("way", ["client-side", "server-side", "replace"])
def test_reapplying_the_manifest_in_mid_release_changes_nothing(
    scene: Callable[..., Scene], way: str
) -> None:
    """The same files again, by every way that writes them: pins, hold and weights stay."""
    shop = scene("httproute")
    server_side = ("--server-side",) if way == "server-side" else ()
    if server_side:
        shop.apply("v1", None, *server_side, "--force-conflicts")
    shop.apply("v2", None, *server_side)
    shop.wait_for_weight("v2", 25)
    pause(shop)
    before = shown(shop)
    text = as_yaml(shop.manifests("v2"))
    if way == "replace":
        shop.lab.kubectl("replace", "-f", "-", input=text)
    else:
        shop.apply("v2", None, *server_side)
        diff = shop.lab.kubectl("diff", *server_side, "-f", "-", input=text, check=False)
        assert diff.returncode == 0, diff.stdout + diff.stderr
    assert shown(shop) == before
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 1

    resume(shop)
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    assert_as_applied(shop, "v2")


def test_a_third_version_in_mid_release_takes_the_place_of_the_second(
    scene: Callable[..., Scene],
) -> None:
    """v2 gives its traffic back before v3 begins; v1 serves in between."""
    shop = scene("httproute")
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    assert "replaces the release in progress" in shop.apply("v3")
    shop.wait_for("v2", "Superseded")
    shop.wait_for("v3", "Succeeded")
    shop.end()
    assert shop.pods() == {"v3": 4}
    assert_as_applied(shop, "v3")


def test_going_back_to_the_released_version_ends_the_release_at_once(
    scene: Callable[..., Scene],
) -> None:
    """The old manifest again, or `kubectl rollout undo`: no steps, no second release."""
    shop = scene("ingress")
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    shop.kubectl("rollout", "undo", "deployment/web")
    shop.wait_for("v2", "RolledBack")
    shop.end()
    assert shop.pods() == {"v1": 4}
    assert shop.kubectl("rollout", "status", "deployment/web").returncode == 0
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 1
    assert_as_applied(shop, "v1")


def pause(shop: Scene) -> None:
    """Hold the release where it is, so that a comparison is not one with a moving target."""
    name = shop.sights[-1].name
    shop.lab.patch(RELEASES, name, {"spec": {"paused": True}}, shop.namespace)

    def waits() -> bool:
        status = shop.lab.get(RELEASES, name, shop.namespace)["status"]
        return "is paused" in status.get("message", "")

    shop.lab.wait(waits, 20, "the release to be paused")


def resume(shop: Scene) -> None:
    """Let it go on."""
    name = shop.sights[-1].name
    shop.lab.patch(RELEASES, name, {"spec": {"paused": False}}, shop.namespace)
