"""What is deleted in mid-release leaves nothing pinned, held or split."""

from collections.abc import Callable

import pytest

from lab.slipway import Slipway
from tests.e2e.scene import RELEASES, Scene

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("reconciler", ["alive", "dead"])
def test_a_deployment_deleted_in_mid_release_leaves_service_and_route_as_they_were(
    scene: Callable[..., Scene], guard: Slipway, reconciler: str
) -> None:
    """Also when nobody watched: the next reconciler finds what is stranded."""
    shop = scene("httproute")
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    if reconciler == "dead":
        guard.reconciler.kill()
    shop.probe.stop()  # the application goes away, so requests fail: that is what was asked for
    shop.kubectl("delete", "deployment", "web")
    if reconciler == "dead":
        shop.lab.wait(
            lambda: not shop.lab.list(RELEASES, shop.namespace), 30, "the Release to be collected"
        )
        guard.reconciler.start()
        guard.reconciler.wait_ready()

    def free() -> bool:
        service = shop.lab.get("services", "web", shop.namespace)
        route = shop.lab.get("httproutes", "web", shop.namespace)
        assert service["spec"]["selector"] == {"app": "web"}
        refs = route["spec"]["rules"][0]["backendRefs"]
        assert [(ref["name"], ref["weight"]) for ref in refs] == [("web", 1)]
        assert shop.lab.find("services", "web-canary", shop.namespace) is None
        return True

    shop.lab.wait(free, 40, "Service and route to be the user's own again")


def test_a_release_that_is_deleted_begins_again_at_weight_0(scene: Callable[..., Scene]) -> None:
    """The Release object holds no right to traffic by itself: deleting it loses no request."""
    shop = scene("httproute")
    shop.apply("v2")
    sight = shop.wait_for_weight("v2", 25)
    shop.kubectl("delete", RELEASES, sight.name)
    shop.lab.wait(
        lambda: shop.release("v2") and shop.sights[-1].name != sight.name, 30, "a new Release"
    )
    shop.wait_for("v2", "Succeeded")
    shop.end()
    assert shop.pods() == {"v2": 4}
