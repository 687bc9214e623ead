"""An HTTPRoute whose parent is a Service, as Linkerd has it: clients in the mesh are divided."""

from typing import Any

import pytest

from tests.strategies import NAMESPACE, Object, backend
from webhook.objects.intent import Share, Split, Sticky
from webhook.objects.steps import HeaderMatch, HeaderRoute, MirrorRoute, StringMatch
from webhook.projection.fields import annotate
from webhook.traffic import grpcroute
from webhook.traffic.contract import Annotate, Target
from webhook.traffic.httproute import ROUTER

SHOP = frozenset({"web"})
TARGET = Target(owner={}, namespace=NAMESPACE, services=SHOP, term=3)
MATCH = (HeaderMatch(header_name="X-Team", header_value=StringMatch(exact="qa")),)


def of_service(*rules: Object, group: str = "core", kind: str = "HTTPRoute") -> Object:
    """A route as Linkerd's reference writes it: its parent is the Service that clients call."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "web-traffic", "namespace": NAMESPACE, "generation": 4},
        "spec": {
            "parentRefs": [{"name": "web", "kind": "Service", "group": group, "port": 80}],
            "rules": list(rules or ({"backendRefs": [backend()]},)),
        },
    }


def project(users: Object, share: Share) -> Any:
    """Its rules while the Service is split."""
    assert ROUTER.shown
    return ROUTER.shown.project(users, Split(shares={"web": share}))["spec"]["rules"]


def lacks(share: Share) -> str | None:
    """Why such a route can't carry a share."""
    users = of_service()
    return ROUTER.lacks({"HTTPRoute": [users]}, users, NAMESPACE, {"web": share})


@pytest.mark.parametrize("group", ["", "core"])
def test_the_parent_is_the_deployments_own_service_and_its_backends_name_it_too(group: str) -> None:
    """Only backends are divided: the parent stays, and so does the route at the end."""
    users = of_service(group=group)
    (found,) = ROUTER.finds({"HTTPRoute": [users]}, NAMESPACE, SHOP)
    assert found.roots == SHOP
    share = Share("web-canary", 10)
    (write,) = ROUTER.writes({}, users, {"web": share}, TARGET)
    assert isinstance(write, Annotate)
    shown = ROUTER.projected(annotate(users, dict(write.annotations)))
    assert shown["spec"]["parentRefs"] == users["spec"]["parentRefs"]
    refs = shown["spec"]["rules"][0]["backendRefs"]
    assert [(ref["name"], ref["weight"]) for ref in refs] == [("web", 90), ("web-canary", 10)]
    assert ROUTER.shares({}, shown, NAMESPACE) == {"web": share}
    (taken,) = ROUTER.writes({}, shown, {}, TARGET)
    assert isinstance(taken, Annotate)
    assert ROUTER.projected(annotate(shown, dict(taken.annotations))) == users


def test_the_example_of_linkerds_reference_is_divided_in_proportion() -> None:
    """Two Services behind one; the other one keeps its part."""
    users = of_service({"backendRefs": [backend("web", 90), backend("web-v2", 10)]})
    refs = project(users, Share("web-canary", 20))[0]["backendRefs"]
    parts = [(ref["name"], ref["weight"]) for ref in refs]
    assert parts == [("web", 7200), ("web-canary", 1800), ("web-v2", 1000)]


def test_a_parent_alone_is_no_route_to_its_service() -> None:
    """A route without backends, or to others only, divides nothing of it."""
    for users in (of_service({"filters": []}), of_service({"backendRefs": [backend("api")]})):
        assert ROUTER.finds({"HTTPRoute": [users]}, NAMESPACE, SHOP) == []


def test_weights_and_header_routes_can_be_had() -> None:
    """Both are core of the Gateway API; a rule for the header stands before the other one."""
    share = Share("web-canary", 0, headers=(HeaderRoute(name="qa", match=MATCH),))
    assert lacks(share) is None
    over, rest = project(of_service(), share)
    wanted = {"type": "Exact", "name": "X-Team", "value": "qa"}
    assert over["matches"][0]["headers"] == [wanted]
    assert [ref["name"] for ref in over["backendRefs"]] == ["web-canary"]
    assert [ref["weight"] for ref in rest["backendRefs"]] == [100, 0]


def test_mirrors_and_stickiness_are_not_had_since_nobody_says_so() -> None:
    """Linkerd refuses a whole route with a RequestMirror in it."""
    mirror = lacks(Share("web-canary", 0, mirrors=(MirrorRoute(name="m", percentage=10),)))
    assert mirror == (
        "HTTPRoute shop/web-traffic can't mirror requests: nobody says what its parent Service "
        "shop/web supports"
    )
    sticky = Share("web-canary", 10, sticky=Sticky(cookie="seen", seconds=60, value="7f"))
    assert lacks(sticky) is None
    (said,) = ROUTER.without({}, of_service(), NAMESPACE, {"web": sticky})
    assert said.endswith("nobody says what its parent Service shop/web supports")


def test_it_can_not_be_previewed_under_a_host() -> None:
    """A second route with the same Service as parent could take what the first one gets."""
    assert lacks(Share("web-canary", 0, preview="next.example")) == (
        "HTTPRoute shop/web-traffic can't be previewed at next.example: its parent Service web has "
        "no hosts of its own"
    )


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_what_linkerd_reports_is_taken_without_a_generation(kind: str) -> None:
    """It says none, ever: waiting for one would stop each release. A Gateway has to say it."""
    router = ROUTER if kind == "HTTPRoute" else grpcroute.ROUTER
    users = of_service(kind=kind)
    there = [{"type": each, "status": "True"} for each in ("Accepted", "ResolvedRefs")]
    reported = {
        "parentRef": users["spec"]["parentRefs"][0],
        "controllerName": "linkerd.io/policy-controller",
        "conditions": there,
    }
    users["status"] = {"parents": [reported]}
    assert router.unprogrammed(users) is None
    there[1] |= {"status": "False", "message": "no such Service"}
    said = router.unprogrammed(users)
    assert said == "Service web says ResolvedRefs is False: no such Service"
    there[1] |= {"observedGeneration": 3}
    said = router.unprogrammed(users)
    assert said == "Service web has not reported ResolvedRefs for generation 4"
    there[1] = {"type": "ResolvedRefs", "status": "True"}
    reported["parentRef"] = {"name": "public"}
    said = router.unprogrammed(users)
    assert said == "Gateway public has not reported Accepted for generation 4"
