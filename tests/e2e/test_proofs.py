"""What the pods' own counters say of each move, where they are scraped."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.app import PORT
from tests.e2e.conftest import HALF
from tests.e2e.scene import Scene

pytestmark = pytest.mark.e2e

SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT)}


def weight(shop: Scene, version: str) -> dict[str, Any]:
    """``status.weight`` of a version's Release."""
    found: dict[str, Any] = shop.object_of(version)["status"]["weight"]
    return found


@pytest.mark.parametrize("kind", ["httproute", "ingress", "none"])
def test_the_measured_share_stands_beside_the_one_asked_for(
    scene: Callable[..., Scene], kind: str
) -> None:
    """At half of the traffic, and at the end, where all of it was seen to have moved."""
    shop = scene(kind, steps=HALF, notes=SCRAPED)
    shop.until_half("v2")
    half = weight(shop, "v2")
    assert half["proof"] == "Proved", half
    assert half["asked"] == 50
    assert abs(float(half["measured"]) - 50) < 15
    assert half["requests"] >= 20
    said = shop.kubectl("get", "releases").stdout
    assert half["measured"] in said
    shop.finish("v2")
    shop.end()
    end = weight(shop, "v2")
    assert (end["asked"], end["proof"]) == (100, "Proved"), end
    shop.assert_left_as(*shop.manifests("v2"))


def test_an_abort_is_proved_by_a_count_that_stands_still(scene: Callable[..., Scene]) -> None:
    """Nobody is sent to v2 any more before its pods go."""
    shop = scene("httproute", steps=HALF, notes=SCRAPED)
    shop.until_half("v2")
    shop.edit("v2", abort=True)
    shop.wait_for("v2", "Aborted")
    shop.end()
    end = weight(shop, "v2")
    assert (end["asked"], end["proof"], end["measured"]) == (0, "Proved", "0.0"), end


def test_pods_that_have_no_page_are_released_all_the_same(scene: Callable[..., Scene]) -> None:
    """The settle time is all there is, and the release says that nothing is proved."""
    notes = {**SCRAPED, "prometheus.io/port": "9"}
    shop = scene("httproute", notes=notes)
    shop.apply("v2")
    shop.wait_for("v2", "Succeeded")
    shop.end()
    end = weight(shop, "v2")
    assert (end["proof"], end["message"]) == ("Unproved", "no counters")
