"""Steps that lead single requests to the new version, by real requests through a real proxy."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lab import traefik
from tests.e2e.scene import RELEASES, Scene
from tests.e2e.test_release import assert_as_applied
from tests.e2e.test_strategies import patch, policy, wait_for_message

pytestmark = pytest.mark.e2e

TESTERS = {
    "setHeaderRoute": {
        "name": "testers",
        "match": [
            {"headerName": "X-Tester", "headerValue": {"exact": "yes"}},
            {"cookieName": "team", "cookieValue": {"exact": "qa"}},
        ],
    }
}


def asked(shop: Scene, headers: Mapping[str, str] | None = None, host: str = "") -> Any:
    """One request of a user."""
    named = {"Host": host or shop.app.host, **(headers or {})}
    return shop.lab.fetch("GET", "127.0.0.1", traefik.WEB_PORT, "/", named)


def version(shop: Scene, headers: Mapping[str, str] | None = None, host: str = "") -> str:
    """Which version answers."""
    answer = asked(shop, headers, host)
    assert answer.ok, answer
    return str(answer.headers["X-Version"])


def test_testers_reach_the_new_version_by_header_or_cookie_before_anybody_else(
    scene: Callable[..., Scene],
) -> None:
    """No weight yet: users get v1, testers v2; at the end everybody gets v2."""
    shop = scene("httproute")
    policy(shop, strategy={"canary": {"steps": [TESTERS, {"pause": {}}]}})
    shop.apply("v2")
    wait_for_message(shop, "v2", "step 2 waits for approval")
    assert version(shop, {"X-Tester": "yes"}) == "v2"
    assert version(shop, {"Cookie": "a=b; team=qa"}) == "v2"
    assert {version(shop) for _ in range(20)} == {"v1"}
    assert version(shop, {"X-Tester": "no"}) == "v1"
    patch(shop, approve=2)
    shop.wait_for("v2", "Succeeded")
    shop.end()
    assert_as_applied(shop, "v2")


def test_a_user_who_saw_the_new_version_keeps_seeing_it(scene: Callable[..., Scene]) -> None:
    """By a cookie that comes with the first answer of v2; it ends with the release."""
    shop = scene("httproute")
    steps = [{"setWeight": 30}, {"pause": {}}]
    policy(shop, strategy={"canary": {"steps": steps, "stickiness": {}}})
    shop.apply("v2")
    wait_for_message(shop, "v2", "step 2 waits for approval")
    answers = [asked(shop) for _ in range(40)]
    seen = {a.headers["X-Version"]: a.headers.get("Set-Cookie", "") for a in answers}
    assert set(seen) == {"v1", "v2"}
    assert not seen["v1"]
    cookie = seen["v2"].partition(";")[0]
    assert cookie.startswith("slipway-version=")
    assert {version(shop, {"Cookie": cookie}) for _ in range(20)} == {"v2"}
    patch(shop, abort=True)
    shop.wait_for("v2", "Aborted")
    assert {version(shop, {"Cookie": cookie}) for _ in range(20)} == {"v1"}
    shop.end()


@pytest.mark.parametrize("kind", ["httproute", "ingress"])
def test_a_preview_host_leads_to_the_new_version_before_its_release(
    scene: Callable[..., Scene], kind: str
) -> None:
    """Under the preview's host only; gone with the release."""
    shop = scene(kind)
    host = f"next.{shop.app.host}"
    green = {"preview": {"host": host}, "autoPromotionEnabled": False, "scaleDownDelaySeconds": 0}
    policy(shop, strategy={"blueGreen": green})
    shop.apply("v2")
    wait_for_message(shop, "v2", "waits for approval")
    shop.lab.wait(lambda: asked(shop, host=host).ok, 20, "the preview to answer")
    assert {version(shop, host=host) for _ in range(10)} == {"v2"}
    assert {version(shop) for _ in range(10)} == {"v1"}
    patch(shop, approve=2)
    shop.wait_for("v2", "Succeeded")
    shop.end()
    assert shop.pods() == {"v2": 4}
    kinds = ("httproutes", "ingresses", "services")
    left = [obj["metadata"]["name"] for k in kinds for obj in shop.lab.list(k, shop.namespace)]
    assert set(left) == {"web"}
    assert_as_applied(shop, "v2")


def test_a_mirror_that_the_gateway_can_t_do_ends_the_release_before_any_pod(
    scene: Callable[..., Scene],
) -> None:
    """Traefik answers 500 for such a route while its conditions stay True: it is never written."""
    shop = scene("httproute")
    mirror = {"setMirrorRoute": {"name": "copy", "percentage": 20}}
    policy(shop, strategy={"canary": {"steps": [{"setWeight": 10}, mirror]}})
    shop.apply("v2")
    sight = shop.wait_for("v2", "Aborted")
    status = shop.lab.get(RELEASES, sight.name, shop.namespace)["status"]
    assert status["reason"] == "Unsupported"
    assert "HTTPRouteRequestMirror" in status["message"]
    assert shop.pods() == {"v1": 4}
    shop.end()


def test_a_policy_may_let_a_step_be_left_out_that_the_gateway_can_t_do(
    scene: Callable[..., Scene],
) -> None:
    """`onUnsupportedStep: Skip`: the release goes on without the mirror, and says so."""
    shop = scene("httproute")
    mirror = {"setMirrorRoute": {"name": "copy", "percentage": 20}}
    steps = [{"setWeight": 25}, mirror, {"pause": {}}]
    policy(
        shop,
        strategy={"canary": {"steps": steps}},
        guardrails={"onUnsupportedStep": "Skip"},
    )
    shop.apply("v2")
    shop.wait_for("v2", "Waiting")
    shop.wait_noted("v2", "left out, as the policy allows: HTTPRoute")
    shop.approve("v2")
    shop.wait_for("v2", "Succeeded")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"))
