"""Pins on Services and splits on HTTPRoutes through all that users write in mid-release."""

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projection_fakes import SLIPWAY, FakeWorld, Server, note, stripped

from tests.strategies import (
    NAMESPACE,
    Object,
    backend,
    ingress,
    route,
    routes,
    service,
    shares,
)
from webhook import names
from webhook.mutation.world import Running
from webhook.objects.intent import Pin, Share, Split
from webhook.objects.policy import Routes, RouteSelector
from webhook.projection.fields import annotate, annotations, read, write
from webhook.traffic.nginx_ingress import canary_ingress

HASH = ("spec", "selector", names.POD_TEMPLATE_HASH)
PIN = Pin(hash="5f6d")
RUNNING = Running(
    name="web-2",
    pod_labels={"app": "web", "tier": "front"},
    root_hash="5f6d",
    shares={"web": Share("web-canary", 25)},
)


def pinned() -> Server:
    """A Service that is pinned."""
    return Server().create(service()).intend(pin=PIN)


def split_over(weight: int, root: str = "web") -> Split:
    """A split of one Service."""
    return Split(shares={root: Share(f"{root}-canary", weight)})


# Services


def test_a_pin_selects_one_replicaset_and_goes_without_a_trace() -> None:
    """The selector is the user's own again."""
    server = pinned()
    assert read(server.stored, HASH) == "5f6d"
    assert server.intend(pin=None).stored == service()


@pytest.mark.parametrize("write_again", [service(), stripped(service())])
def test_applying_a_service_again_keeps_its_pin(write_again: Object) -> None:
    """The same manifest changes nothing."""
    server = pinned()
    before = deepcopy(server.stored)
    server.put(write_again)
    assert server.stored == before


def test_a_service_read_and_replaced_without_our_annotations_keeps_its_pin() -> None:
    """The hash in its selector was never the user's."""
    server = pinned()
    before = deepcopy(server.stored)
    server.put(stripped(server.stored))
    assert server.stored == before
    assert server.intend(pin=None).stored == service()


def test_a_selector_changed_in_mid_release_is_pinned_and_stays_changed() -> None:
    """The user's part of the selector is the user's."""
    changed = service(selector={"app": "web", "tier": "front"})
    server = pinned().put(changed)
    assert server.stored["spec"]["selector"] == {"app": "web", "tier": "front", HASH[-1]: "5f6d"}
    assert server.intend(pin=None).stored == changed


def test_a_user_who_selects_a_hash_of_their_own_finds_it_again() -> None:
    """Odd, but theirs."""
    mine = service(selector={"app": "web", HASH[-1]: "mine"})
    server = Server().create(mine).intend(pin=PIN)
    assert read(server.stored, HASH) == "5f6d"
    assert server.intend(pin=None).stored == mine


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["aaa", "bbb", None, "put", "strip", "ports"]), max_size=8))
def test_pins_come_and_go_and_the_service_ends_as_its_user_wants_it(writes: list[str]) -> None:
    """Any order of pins and user writes."""
    server = Server().create(service())
    wanted = service()
    for what in writes:
        if what == "ports":
            wanted = service(ports=[{"port": 81}])
        if what in ("put", "ports"):
            server.put(wanted)
        elif what == "strip":
            server.put(stripped(server.stored))
        else:
            server.intend(pin=Pin(hash=what) if what else None)
    assert server.intend(pin=None).stored == wanted


@pytest.mark.parametrize(
    ("selector", "pinned"),
    [
        ({"app": "web"}, True),
        ({"app": "web", "tier": "front"}, True),
        ({"app": "api"}, False),
        ({"app": "web", "tier": "back"}, False),
        ({}, False),
    ],
)
def test_a_service_created_in_mid_release_is_pinned_from_its_first_moment(
    selector: dict[str, str], pinned: bool
) -> None:
    """``kubectl replace --force`` opens no window; other Services are left alone."""
    server = Server(FakeWorld(running=(RUNNING,))).create(service(selector=selector))
    assert (note(server.stored, names.PIN) is not None) == pinned
    assert (read(server.stored, HASH) == "5f6d") == pinned
    assert server.intend(pin=None).stored == service(selector=selector)


def test_a_service_without_a_selector_is_left_alone_in_mid_release() -> None:
    """ExternalName, or endpoints by hand."""
    external = service(type="ExternalName", externalName="shop.example")
    del external["spec"]["selector"]
    server = Server(FakeWorld(running=(RUNNING,))).create(external)
    assert server.stored == external


def test_an_alias_is_left_alone_in_mid_release_whatever_it_selects() -> None:
    """Kubernetes gives an ExternalName no endpoints; a selector that it has means nothing."""
    alias = service(type="ExternalName", externalName="shop.example", selector={"app": "web"})
    assert Server(FakeWorld(running=(RUNNING,))).create(alias).stored == alias


# HTTPRoutes


def weights(stored: Object, rule: int = 0) -> dict[str, int]:
    """Weight by backend name in one rule."""
    return {ref["name"]: ref["weight"] for ref in stored["spec"]["rules"][rule]["backendRefs"]}


def test_a_route_applied_again_in_mid_release_keeps_its_split() -> None:
    """The same manifest changes nothing."""
    users = route([backend("web", 90), backend("legacy", 10)])
    server = Server().create(users).intend(split=split_over(25))
    before = deepcopy(server.stored)
    assert server.put(users).stored == before
    assert server.put(stripped(server.stored)).stored == before


def test_weights_that_a_user_changes_in_mid_release_stay_changed() -> None:
    """By a manifest, and by an edit of the live object."""
    server = Server().create(route([backend("web", 90), backend("legacy", 10)]))
    server.intend(split=split_over(50))
    server.put(route([backend("web", 80), backend("legacy", 20)]))
    assert weights(server.stored) == {"web": 4000, "web-canary": 4000, "legacy": 2000}
    edited = deepcopy(server.stored)
    edited["spec"]["rules"][0]["backendRefs"][-1]["weight"] = 4000
    server.put(edited)
    assert server.intend(split=None).stored == route([backend("web", 80), backend("legacy", 40)])


def test_a_rule_and_a_backend_added_in_mid_release_stay() -> None:
    """And the added rule that names the Service is split as well."""
    server = Server().create(route([backend("web")])).intend(split=split_over(10))
    edited = deepcopy(server.stored)
    edited["spec"]["rules"][0]["backendRefs"].append(backend("extra", 100))
    edited["spec"]["rules"].append({"backendRefs": [backend("web", 3)]})
    server.put(edited)
    assert weights(server.stored, 1) == {"web": 270, "web-canary": 30}
    wanted = route([backend("web"), backend("extra", 1)], [backend("web", 3)])
    assert server.intend(split=None).stored == wanted


def test_a_route_created_in_mid_release_carries_the_split_from_its_first_moment() -> None:
    """So a route that was deleted and comes back sends nothing unreleased."""
    server = Server(FakeWorld(running=(RUNNING,))).create(route([backend("web")]))
    assert weights(server.stored) == {"web": 75, "web-canary": 25}
    assert server.intend(split=None).stored == route([backend("web")])


def test_a_route_created_in_mid_release_that_sends_elsewhere_is_left_alone() -> None:
    """Another Service, or one of that name in another namespace."""
    world = FakeWorld(running=(RUNNING,))
    for users in (route([backend("api")]), route([backend("web", namespace="billing")])):
        assert Server(world).create(users).stored == users


def test_a_backend_of_the_same_name_in_another_namespace_is_not_split() -> None:
    """Its traffic is none of this release's business."""
    users = route([backend("web", 1), backend("web", 1, namespace="billing")])
    server = Server().create(users).intend(split=split_over(50))
    shown = server.stored["spec"]["rules"][0]["backendRefs"]
    assert [(r["name"], r.get("namespace", NAMESPACE), r["weight"]) for r in shown] == [
        ("web", NAMESPACE, 50),
        ("web-canary", NAMESPACE, 50),
        ("web", "billing", 100),
    ]


@settings(max_examples=40, deadline=None)
@given(routes(), st.lists(st.one_of(shares(), routes(), st.just("strip"), st.none()), max_size=6))
def test_when_the_split_goes_the_route_is_what_its_user_asked_for_last(
    first: Object, writes: list[dict[str, int] | Object | str | None]
) -> None:
    """Whatever splits and user writes came between."""
    server, wanted = Server().create(first), first
    for what in writes:
        if what == "strip":
            server.put(stripped(server.stored))
        elif what is None:
            server.intend(split=None)
        elif isinstance(what, dict) and "spec" in what:
            wanted = what
            server.put(what)
        elif isinstance(what, dict):
            parts = {root: Share(f"{root}-canary", weight) for root, weight in what.items()}
            server.intend(split=Split(shares=parts))
    assert server.intend(split=None).stored == wanted


def test_traffic_of_a_canary_entry_that_a_user_took_away_stays_with_its_service() -> None:
    """An edit that deletes our entry is no wish to lose that share; the split comes back."""
    server = Server().create(route([backend("web", 10)])).intend(split=split_over(50))
    edited = write(server.stored, ("spec", "rules"), route([backend("web", 10)])["spec"]["rules"])
    server.put(edited)
    assert weights(server.stored) == {"web": 500, "web-canary": 500}


def _canary_ingress(weight: int, term: int) -> Object:
    return canary_ingress(
        ingress(("/", "web")), "web", Share("web-canary", weight), {"name": "web"}, term
    )


def _slipway_puts(server: Server, obj: Object) -> None:
    server.put(obj, username=SLIPWAY, field_manager=names.FIELD_MANAGER)


def test_an_older_leader_can_not_move_the_weight_of_a_canary_ingress() -> None:
    """It was paused while its successor took the weight back, and wakes up."""
    server = Server()
    server.create(_canary_ingress(50, 6), username=SLIPWAY, field_manager=names.FIELD_MANAGER)
    _slipway_puts(server, _canary_ingress(0, 7))
    before = deepcopy(server.stored)
    _slipway_puts(server, _canary_ingress(60, 6))
    assert "older leader" in (server.outcome.denied or "")
    assert server.stored == before
    _slipway_puts(server, _canary_ingress(10, 8))
    assert server.outcome.denied is None


@pytest.mark.parametrize("term", [None, 999])
def test_nobody_else_says_whose_decision_a_canary_ingress_carries(term: int | None) -> None:
    """A term that is made up would shut out the leader."""
    server = Server()
    server.create(_canary_ingress(50, 6), username=SLIPWAY, field_manager=names.FIELD_MANAGER)
    before = deepcopy(server.stored)
    text = Split(shares={}, term=term).text() if term else None
    server.put(annotate(server.stored, {names.SPLIT: text}))
    assert server.stored == before
    forged = Server().create(annotate(before, {names.SPLIT: text}))
    assert names.SPLIT not in annotations(forged.stored)


def test_a_route_that_the_policy_leaves_out_is_not_split_when_it_appears() -> None:
    """Neither from its first moment, nor later."""
    routes = Routes(exclude=(RouteSelector(kind="HTTPRoute", name="web"),))
    left = replace(RUNNING, routes=routes)
    server = Server(FakeWorld(running=(left,))).create(route([backend("web")]))
    assert note(server.stored, names.SPLIT) is None
    server = Server(FakeWorld(running=(left,))).create(route([backend("web")], name="other"))
    assert note(server.stored, names.SPLIT) is not None
