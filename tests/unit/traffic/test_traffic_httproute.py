"""HTTPRoute: only the share of the split Service is divided, and the original comes back."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import (
    NAMESPACE,
    SMALL_WEIGHTS,
    Object,
    backend,
    route,
    route_with,
    routes,
    shares,
)
from webhook import names
from webhook.objects.intent import Share, Split, read_intent
from webhook.projection.fields import annotate
from webhook.traffic.contract import Annotate, Target
from webhook.traffic.httproute import ROUTER, project, projected, restore, services_of

PROPERTY = settings(max_examples=60, deadline=None)
TARGET = Target(owner={}, namespace=NAMESPACE, services=frozenset({"web"}), term=3)


def split_of(percents: dict[str, int]) -> Split:
    """A split with canary Services named after their roots."""
    return Split(shares={root: Share(f"{root}-canary", p) for root, p in percents.items()})


def refs_of(obj: Object) -> list[list[Any]]:
    """``backendRefs`` of each rule."""
    return [rule.get("backendRefs", []) for rule in obj["spec"]["rules"]]


def shown(users: Object, weight: int) -> list[list[tuple[str, int]]]:
    """(name, weight) of each backend of each rule while ``web`` is split."""
    return [
        [(ref["name"], ref["weight"]) for ref in refs]
        for refs in refs_of(project(users, split_of({"web": weight})))
    ]


@PROPERTY
@given(routes(), shares())
def test_what_is_projected_is_restored_value_for_value(
    users: Object, percents: dict[str, int]
) -> None:
    """Also where a projection was shown before, and where it is looked at twice."""
    split = split_of(percents)
    seen = project(users, split)
    assert project(restore(seen), None) == users
    assert projected(seen) == seen
    assert project(restore(project(restore(seen), split)), split) == seen


@PROPERTY
@given(routes(), shares())
def test_everything_but_weights_and_our_entries_stays_as_it_was(
    users: Object, percents: dict[str, int]
) -> None:
    """Filters, order, foreign kinds, rules without backends."""
    seen = project(users, split_of(percents))
    canaries = {f"{root}-canary" for root in percents}
    for before, after in zip(users["spec"]["rules"], seen["spec"]["rules"], strict=True):
        assert _but_backends(before) == _but_backends(after)
        kept = [r for r in after.get("backendRefs", []) if r["name"] not in canaries]
        assert [_but_weight(r) for r in kept] == [
            _but_weight(r) for r in before.get("backendRefs", [])
        ]


@PROPERTY
@given(routes(SMALL_WEIGHTS), st.integers(0, 100))
def test_the_share_is_exact_and_the_proportions_of_others_stay(users: Object, weight: int) -> None:
    """For weights up to 10,000; not one request in a million goes astray."""
    seen = project(users, split_of({"web": weight}))
    for before, after in zip(refs_of(users), refs_of(seen), strict=True):
        total, whole = _sum(before), _sum(after)
        if not total:
            assert not whole
            continue
        web = sum(r["weight"] for r in before if _is_web(r, "web"))
        canary = sum(r["weight"] for r in after if _is_web(r, "web-canary"))
        assert Fraction(canary, whole) == Fraction(web, total) * Fraction(weight, 100)
        rest = [r for r in after if not _is_web(r, "web-canary")]
        for old, new in zip(before, rest, strict=True):
            if not _is_web(old, "web"):
                assert Fraction(new["weight"], whole) == Fraction(old["weight"], total)


@PROPERTY
@given(routes(), shares())
def test_no_weight_is_ever_outside_of_what_the_api_allows(
    users: Object, percents: dict[str, int]
) -> None:
    """0 to 1,000,000 (Gateway API v1)."""
    for refs in refs_of(project(users, split_of(percents))):
        assert all(0 <= ref["weight"] <= 1_000_000 for ref in refs)


@PROPERTY
@given(routes())
def test_weight_0_and_100_are_exact_whatever_the_weights(users: Object) -> None:
    """Nothing leaks to a version without traffic, nothing stays with one that gave it up."""
    for weight, empty in ((0, "web-canary"), (100, "web")):
        for refs in refs_of(project(users, split_of({"web": weight}))):
            assert all(ref["weight"] == 0 for ref in refs if _is_web(ref, empty))


def _but_backends(rule: Object) -> Object:
    return {key: value for key, value in rule.items() if key != "backendRefs"}


def _but_weight(ref: Object) -> Object:
    return {key: value for key, value in ref.items() if key != "weight"}


def _sum(refs: list[Any]) -> int:
    return sum(ref["weight"] for ref in refs)


def _is_web(ref: Object, name: str) -> bool:
    return ref["name"] == name and ref["kind"] == "Service" and "namespace" not in ref


# The traps that others fell into


TRAPS = {
    "one backend": ([("web", 1)], 10, [("web", 90), ("web-canary", 10)]),
    "another backend beside it": (
        [("web", 90), ("legacy", 10)],
        50,
        [("web", 4500), ("web-canary", 4500), ("legacy", 1000)],
    ),
    "order": (
        [("legacy", 10), ("web", 90)],
        1,
        [("legacy", 1000), ("web", 8910), ("web-canary", 90)],
    ),
    "a Service that has no traffic": (
        [("web", 0), ("legacy", 1)],
        50,
        [("web", 0), ("web-canary", 0), ("legacy", 100)],
    ),
    "large weights": (
        [("web", 1_000_000), ("legacy", 10)],
        50,
        [("web", 500_000), ("web-canary", 500_000), ("legacy", 10)],
    ),
    "a rule of others": ([("legacy", 3)], 50, [("legacy", 3)]),
    "no backends": ([], 50, []),
}


@pytest.mark.parametrize(("users", "weight", "expected"), TRAPS.values(), ids=TRAPS.keys())
def test_only_the_share_of_the_service_is_divided(
    users: list[tuple[str, int]], weight: int, expected: list[tuple[str, int]]
) -> None:
    """Row by row, what a route shows while ``web`` is split."""
    asked = route([backend(name, w) for name, w in users])
    assert shown(asked, weight) == [expected]
    assert project(restore(project(asked, split_of({"web": weight}))), None) == asked


def test_a_redirect_only_rule_is_the_very_same_object() -> None:
    """A rule that is not ours is not rebuilt."""
    redirect = {"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]}
    seen = project(route_with([redirect, {"backendRefs": [backend()]}]), split_of({"web": 5}))
    assert seen["spec"]["rules"][0] is redirect


def test_one_service_twice_in_a_rule_is_divided_twice() -> None:
    """Two ports of one Service, each with its own share."""
    users = route([backend("web", 3), backend("web", 1, port=81)])
    assert shown(users, 50) == [
        [("web", 150), ("web-canary", 150), ("web", 50), ("web-canary", 50)]
    ]
    assert project(restore(project(users, split_of({"web": 50}))), None) == users


def test_a_canary_entry_keeps_port_and_filters_of_its_service() -> None:
    """It is the same backend but for the pods."""
    filters = [{"type": "RequestHeaderModifier"}]
    users = route([backend("web", port=8443, filters=filters)])
    canary = refs_of(project(users, split_of({"web": 10})))[0][1]
    assert canary == backend("web-canary", 10, port=8443, filters=filters)


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '{"scale":0}', '{"scale":"x"}'])
def test_unreadable_memory_restores_what_is_there(text: str) -> None:
    """No traceback, and nothing lost but what nobody can know."""
    users = annotate(route([backend("web", 2)]), {names.ORIGINAL: text})
    assert restore(users)["spec"] == users["spec"]


# What the engine asks


def test_services_of_a_route_are_known_by_namespace_and_name() -> None:
    """Foreign kinds are no Services; a backend without namespace is at home."""
    users = route(
        [backend("web"), backend("api", namespace="billing")],
        [backend("bucket", kind="Bucket", group="example.com"), {"name": "plain", "port": 1}],
    )
    home = NAMESPACE
    assert services_of(users) == {(home, "web"), ("billing", "api"), (home, "plain")}


def test_a_route_is_found_by_the_services_that_it_sends_to() -> None:
    """Also a route in another namespace."""
    here, there, other = (
        route([backend("web")]), route([backend("web", namespace=NAMESPACE)]),
        route([backend("api")]),
    )  # fmt: skip
    there["metadata"]["namespace"] = "edge"
    found = ROUTER.finds({"HTTPRoute": [here, there, other]}, NAMESPACE, frozenset({"web"}))
    assert [f.object for f in found] == [here, there]
    assert all(f.roots == {"web"} for f in found)


def test_the_split_that_was_written_is_the_split_that_is_read() -> None:
    """`writes` and `shares` are inverse."""
    wanted = {"web": Share("web-canary", 30)}
    users = route([backend("web")])
    [write] = ROUTER.writes({}, users, wanted, TARGET)
    assert isinstance(write, Annotate)
    assert ROUTER.shares({}, annotate(users, write.annotations), NAMESPACE) == wanted
    split = read_intent(Split, write.annotations[names.SPLIT])
    assert split is not None
    assert split.term == 3


def test_no_shares_remove_the_split() -> None:
    """The annotation goes, and with it the projection."""
    seen = project(route([backend("web")]), split_of({"web": 30}))
    [write] = ROUTER.writes({}, seen, {}, TARGET)
    assert isinstance(write, Annotate)
    assert write.annotations == {names.SPLIT: None}


@pytest.mark.parametrize("mine", [{"web": Share("web-canary", 30)}, {}])
def test_the_split_of_another_deployment_in_the_same_route_stays(mine: dict[str, Share]) -> None:
    """Two releases that share a route do not undo each other's splits."""
    seen = project(route([backend("web"), backend("api")]), split_of({"api": 40}))
    [write] = ROUTER.writes({}, seen, mine, TARGET)
    assert isinstance(write, Annotate)
    after = ROUTER.shares({}, annotate(seen, write.annotations), NAMESPACE)
    assert after == {"api": Share("api-canary", 40), **mine}


def test_a_route_in_another_namespace_is_split_where_its_service_is() -> None:
    """Its own Service of the same name keeps its traffic, and all comes back."""
    users = route([backend("web", namespace=NAMESPACE), backend("web")])
    users["metadata"]["namespace"] = "edge"
    [write] = ROUTER.writes({}, users, {"web": Share("web-canary", 50)}, TARGET)
    assert isinstance(write, Annotate)
    seen = projected(annotate(users, write.annotations))
    assert [(r.get("namespace"), r["name"], r["weight"]) for r in refs_of(seen)[0]] == [
        (NAMESPACE, "web", 50), (NAMESPACE, "web-canary", 50), (None, "web", 100),
    ]  # fmt: skip
    assert ROUTER.shares({}, seen, NAMESPACE) == {"web": Share("web-canary", 50)}
    assert ROUTER.shares({}, seen, "edge") == {}
    assert project(restore(seen), None) == users


def _parent(generation: int = 2, status: str = "True", kind: str = "ResolvedRefs") -> Object:
    """A parent that accepts at generation 2, but for one condition."""
    conditions = {
        name: {"type": name, "status": "True", "observedGeneration": 2}
        for name in ("Accepted", "ResolvedRefs")
    }
    conditions[kind] = {"type": kind, "status": status, "observedGeneration": generation}
    return {"parentRef": {"name": "gateway"}, "conditions": list(conditions.values())}


PROGRAMMED = {
    "nobody reports": ([], None),
    "all is reported": ([_parent()], None),
    "an older generation": ([_parent(generation=1)], "has not reported ResolvedRefs"),
    "not accepted": ([_parent(status="False", kind="Accepted")], "Accepted is False"),
    "one of two parents": ([_parent(), _parent(status="Unknown")], "ResolvedRefs is Unknown"),
    "no conditions": ([{"parentRef": {"name": "gateway"}}], "has not reported Accepted"),
}


@pytest.mark.parametrize(("parents", "why"), PROGRAMMED.values(), ids=PROGRAMMED.keys())
def test_a_route_is_programmed_when_every_parent_says_so_for_its_generation(
    parents: list[Object], why: str | None
) -> None:
    """The reason names the Gateway and what it lacks."""
    users = route([backend("web")])
    users["metadata"]["generation"] = 2
    users["status"] = {"parents": parents}
    said = ROUTER.unprogrammed(users)
    assert said == why if why is None else why in (said or "")
