"""GRPCRoute: what is special about it among the kinds that list weighted Services."""

from typing import Any

import pytest

from tests.strategies import NAMESPACE, Object, backend
from webhook.objects.intent import Share, Split
from webhook.traffic.grpcroute import ROUTER

SHOP = frozenset({"web"})


def grpc_route(*rules: Object, namespace: str = NAMESPACE) -> Object:
    """A GRPCRoute with whole rules."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GRPCRoute",
        "metadata": {"name": "web", "namespace": namespace, "generation": 3},
        "spec": {"parentRefs": [{"name": "public"}], "rules": list(rules)},
    }


def project(users: Object, **shares: int) -> Any:
    """Its rules while Services are split."""
    assert ROUTER.shown
    split = Split(shares={root: Share(f"{root}-canary", weight) for root, weight in shares.items()})
    return ROUTER.shown.project(users, split)["spec"]["rules"]


def test_calls_of_a_service_and_method_are_divided_as_the_reference_writes_it() -> None:
    """Matches, filters and the name of the rule stay; the canary Service has the filters too."""
    match = {"method": {"type": "Exact", "service": "com.example.User", "method": "Login"}}
    header = {"name": "env", "value": "test"}
    added = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [header]}}
    rule = {"name": "login", "matches": [match], "filters": [added]}
    users = grpc_route(
        {**rule, "backendRefs": [{"name": "web", "port": 50051, "filters": [added]}]}
    )
    ref = {"port": 50051, "filters": [added]}
    assert project(users, web=10) == [
        {
            **rule,
            "backendRefs": [
                {"name": "web", "weight": 90, **ref},
                {"name": "web-canary", "weight": 10, **ref},
            ],
        }
    ]
    assert ROUTER.affected({}, users, NAMESPACE, SHOP) == ("*/com.example.User/Login",)


def test_the_canary_service_is_named_at_weight_0() -> None:
    """A proxy that has not heard of it answers UNAVAILABLE for its first share."""
    refs = project(grpc_route({"backendRefs": [backend()]}), web=0)[0]["backendRefs"]
    assert [(ref["name"], ref["weight"]) for ref in refs] == [("web", 1), ("web-canary", 0)]


@pytest.mark.parametrize(
    "ref",
    [{"kind": "ServiceImport", "group": "multicluster.x-k8s.io"}, {"group": "example.com"}],
    ids=["ServiceImport", "another group"],
)
def test_backends_that_are_no_services_are_left_alone(ref: Object) -> None:
    """Even under the same name; rules without backends, too."""
    users = grpc_route({"backendRefs": [{"name": "web", "port": 80, **ref}]}, {})
    assert ROUTER.services_of(users) == frozenset()
    assert project(users, web=50) is users["spec"]["rules"]


def test_a_service_of_another_namespace_stays_in_it() -> None:
    """So does the canary Service: that takes a ReferenceGrant which lets it in."""
    users = grpc_route({"backendRefs": [backend(namespace=NAMESPACE)]}, namespace="edge")
    (found,) = ROUTER.finds({"GRPCRoute": [users]}, NAMESPACE, SHOP)
    assert found.roots == SHOP
    assert ROUTER.shown
    split = Split(shares={f"{NAMESPACE}/web": Share("web-canary", 50)})
    shown = ROUTER.shown.project(users, split)
    stable, canary = shown["spec"]["rules"][0]["backendRefs"]
    assert (canary["name"], canary["namespace"]) == ("web-canary", NAMESPACE)
    assert stable["name"] == "web"
    assert ROUTER.projected(shown) == shown


def test_it_is_live_when_its_gateway_accepted_it_and_found_its_services() -> None:
    """At its generation; a reference that is not permitted is named."""
    users = grpc_route({"backendRefs": [backend()]})
    assert ROUTER.unprogrammed(users) is None
    there = [
        {"type": kind, "status": "True", "observedGeneration": 3}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    users["status"] = {"parents": [{"parentRef": {"name": "public"}, "conditions": there}]}
    assert ROUTER.unprogrammed(users) is None
    there[1] |= {"status": "False", "message": "no ReferenceGrant"}
    said = ROUTER.unprogrammed(users)
    assert said == "Gateway public says ResolvedRefs is False: no ReferenceGrant"
    there[1]["observedGeneration"] = 2
    said = ROUTER.unprogrammed(users)
    assert said == "Gateway public has not reported ResolvedRefs for generation 3"


def test_a_rule_without_room_for_one_backend_more_is_said_before_anything_moves() -> None:
    """The API takes 16; a route that comes in mid-release is not made one that it refuses."""
    others = [backend(f"api-{i}") for i in range(15)]
    full = grpc_route({"backendRefs": [backend(), *others]})
    why = ROUTER.lacks({}, full, NAMESPACE, {"web": Share("web-canary", 5)})
    assert why == (
        "GRPCRoute shop/web can't divide its traffic: it would have 17 backends in a rule, which "
        "has at most 16"
    )
    assert project(full, web=5) is full["spec"]["rules"]
    some = grpc_route({"backendRefs": [backend(), *others[1:]]})
    assert ROUTER.lacks({}, some, NAMESPACE, {"web": Share("web-canary", 5)}) is None
