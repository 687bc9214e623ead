"""Slipway's own processes die in mid-release: nothing is lost, and the release ends as it would."""

from collections.abc import Callable

import pytest

from lab.slipway import Slipway
from tests.e2e.conftest import HALF
from tests.e2e.scene import Scene
from tests.e2e.test_release import assert_as_applied

pytestmark = pytest.mark.e2e


def test_a_release_ends_well_while_the_webhook_is_dead(
    scene: Callable[..., Scene], guard: Slipway
) -> None:
    """Killed at 25 %, back only after the end: the reconciler projects what the webhook would."""
    shop = scene("httproute")
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    guard.webhook.kill()
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    assert "projection_repaired" in guard.reconciler.log
    assert_as_applied(shop, "v2")


def test_a_release_goes_on_when_the_reconciler_comes_back(
    scene: Callable[..., Scene], guard: Slipway
) -> None:
    """Killed at 25 %: the share stays as it is until a new process takes the Lease."""
    shop = scene("ingress")
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    guard.reconciler.kill()
    guard.reconciler.start()
    guard.reconciler.wait_ready()
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    assert_as_applied(shop, "v2")


def test_with_all_of_slipway_dead_a_change_waits_and_is_released_when_it_is_back(
    scene: Callable[..., Scene], guard: Slipway
) -> None:
    """The policy inside the API server pauses it: applied, nothing unguarded, nothing broken."""
    shop = scene("httproute")
    guard.webhook.kill()
    guard.reconciler.kill()
    shop.apply("v2")
    assert shop.deployment()["spec"]["paused"] is True
    shop.wait_observed()
    assert shop.pods() == {"v1": 4}
    guard.start()
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    assert_as_applied(shop, "v2")


def test_a_third_version_applied_in_mid_release_with_all_of_slipway_dead_waits_for_it(
    scene: Callable[..., Scene], guard: Slipway
) -> None:
    """Both versions keep their pods and their half; once Slipway is back, v3 replaces v2."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    guard.webhook.kill()
    guard.reconciler.kill()
    shop.apply("v3")
    shop.wait_observed()
    assert shop.pods() == {"v1": 4, "v2": 2}
    guard.start()
    shop.wait_for("v2", "Superseded")
    shop.finish("v3")
    shop.end()
    assert_as_applied(shop, "v3")
