"""HTTPRoute: what its Gateways can do, previews, and what is read back of what was written."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import NAMESPACE, Object, backend, narrow_routes, route, whole_shares
from webhook import names
from webhook.objects.intent import Share, Sticky
from webhook.objects.steps import (
    HeaderMatch,
    HeaderRoute,
    MirrorRoute,
    RequestMatch,
    StringMatch,
)
from webhook.projection.fields import annotate
from webhook.traffic.contract import Annotate, Delete, Put, Target
from webhook.traffic.gateway_features import COOKIE, METHOD, MIRROR, PERCENTAGE, SEVERAL
from webhook.traffic.httproute import ROUTER, project, projected, restore
from webhook.traffic.splits import split_of

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1"}
TARGET = Target(owner=OWNER, namespace=NAMESPACE, services=frozenset({"web", "api"}), term=3)
EVERYTHING = (MIRROR, PERCENTAGE, SEVERAL, METHOD, *COOKIE)
STICKY = Share("web-canary", 20, sticky=Sticky("seen", 60))
PREVIEWED = Share("web-canary", 0, preview="next.example")


def mirroring(*mirrors: MirrorRoute) -> Share:
    """A share with mirror routes."""
    return Share("web-canary", 20, mirrors=mirrors or (MirrorRoute(name="m"),))


class Cluster:
    """Routes behind Gateways whose class supports some features."""

    def __init__(self, *users: Object, can: tuple[str, ...] = EVERYTHING) -> None:
        self.routes = {item["metadata"]["name"]: item for item in users}
        self.listeners: list[Object] = [{"name": "web", "port": 80}]
        self.can: list[Any] = [{"name": feature} for feature in can]

    @property
    def objects(self) -> dict[str, list[Object]]:
        gateway = {
            "metadata": {"name": "gateway", "namespace": NAMESPACE},
            "spec": {"gatewayClassName": "some", "listeners": self.listeners},
        }
        some = {"metadata": {"name": "some"}, "status": {"supportedFeatures": self.can}}
        return {
            "HTTPRoute": list(self.routes.values()),
            "Gateway": [gateway],
            "GatewayClass": [some],
        }

    def write(self, shares: dict[str, Share], target: Target = TARGET, name: str = "web") -> None:
        for write in ROUTER.writes(self.objects, self.routes[name], shares, target):
            made = write.object
            if isinstance(write, Annotate):
                made = projected(annotate(made, write.annotations))
            if isinstance(write, Delete):
                del self.routes[made["metadata"]["name"]]
            else:
                self.routes[made["metadata"]["name"]] = made

    @property
    def shares(self) -> dict[str, Share]:
        return ROUTER.shares(self.objects, self.routes["web"], NAMESPACE)

    @property
    def strays(self) -> list[str]:
        return ROUTER.strays(self.objects, NAMESPACE, TARGET.services)

    @property
    def preview(self) -> Object:
        [only] = [item for name, item in self.routes.items() if "preview" in name]
        return only

    def lacks(self, share: Share) -> str | None:
        return ROUTER.lacks(self.objects, self.routes["web"], NAMESPACE, {"web": share})

    def without(self, share: Share) -> tuple[str, ...]:
        return ROUTER.without(self.objects, self.routes["web"], NAMESPACE, {"web": share})


@settings(max_examples=60, deadline=None)
@given(
    narrow_routes(),
    whole_shares(),
    st.sampled_from([(), COOKIE, (MIRROR,), EVERYTHING]),
    st.sampled_from(["", "next.example"]),
)
def test_what_was_written_is_read_back_and_goes_without_a_trace(
    users: Object, wanted: dict[str, Share], can: tuple[str, ...], preview: str
) -> None:
    """Whatever the Gateway can do, and whatever the route has room for."""
    wanted = {
        root: Share(s.canary, s.weight, s.headers, s.mirrors, s.sticky, preview)
        for root, s in wanted.items()
    }
    cluster = Cluster(users, can=can)
    cluster.write(wanted)
    assert cluster.shares == wanted
    assert project(restore(cluster.routes["web"]), None) == users
    assert cluster.strays == []
    cluster.write({})
    assert cluster.routes == {"web": users}


@settings(max_examples=40, deadline=None)
@given(
    narrow_routes(),
    st.lists(st.tuples(st.sampled_from(["web", "api"]), whole_shares(), st.booleans()), max_size=6),
)
def test_two_deployments_behind_one_route_do_not_disturb_each_other(
    users: Object, turns: list[tuple[str, dict[str, Share], bool]]
) -> None:
    """Each writes its own share whenever it likes, and the route ends as its user wants it."""
    cluster = Cluster(users)
    wanted: dict[str, Share] = {}
    for root, drawn, ends in [*turns, ("web", {}, True), ("api", {}, True)]:
        mine = {} if ends or root not in drawn else {root: drawn[root]}
        wanted = {key: share for key, share in wanted.items() if key != root} | mine
        cluster.write(mine, Target(OWNER, NAMESPACE, frozenset({root}), 1))
        assert cluster.shares == wanted
    assert cluster.routes == {"web": users}


def test_one_deployment_behind_several_routes_splits_each_by_itself() -> None:
    """What one of them can't do is no matter of the other's."""
    cluster = Cluster(route([backend()]), route([backend(), backend("legacy")], name="old"))
    found = ROUTER.finds(cluster.objects, NAMESPACE, frozenset({"web"}))
    assert [f.object["metadata"]["name"] for f in found] == ["web", "old"]
    for each in found:
        cluster.write({"web": PREVIEWED}, name=each.object["metadata"]["name"])
    assert len(cluster.routes) == 4
    assert cluster.strays == []
    cluster.write({}, name="old")
    assert cluster.shares == {"web": PREVIEWED}
    assert len(cluster.routes) == 3


# What a Gateway can do

NEEDS = {
    "a mirror": (mirroring(), {MIRROR}),
    "a part of all": (mirroring(MirrorRoute(name="m", percentage=5)), {MIRROR, PERCENTAGE}),
    "two mirrors": (mirroring(MirrorRoute(name="a"), MirrorRoute(name="b")), {MIRROR, SEVERAL}),
    "by method": (mirroring(MirrorRoute(name="m", match=(
        RequestMatch(method=StringMatch(exact="GET")),))), {MIRROR, METHOD}),
    "none any more": (mirroring(MirrorRoute(name="m", percentage=0)), set()),
    "stickiness": (STICKY, set()),
}  # fmt: skip


@pytest.mark.parametrize(("share", "needed"), NEEDS.values(), ids=NEEDS.keys())
def test_a_mirror_needs_what_the_class_says_it_supports(share: Share, needed: set[str]) -> None:
    """Each feature by itself; the sentence names route, Gateway, class and feature."""
    assert Cluster(route([backend()]), can=tuple(needed)).lacks(share) is None
    for feature in needed:
        cluster = Cluster(route([backend()]), can=tuple(needed - {feature}))
        assert cluster.lacks(share) == (
            "HTTPRoute shop/web can't mirror requests: Gateway shop/gateway of class some does "
            f"not say that it supports {feature}"
        )


def test_a_mirror_beside_one_of_the_users_own_is_the_second() -> None:
    """That is a feature of its own."""
    users = route([backend()])
    to = {"group": "", "kind": "Service", "name": "audit", "port": 80}
    users["spec"]["rules"][0]["filters"] = [
        {"type": "RequestMirror", "requestMirror": {"backendRef": to}}
    ]
    assert SEVERAL in (Cluster(users, can=(MIRROR,)).lacks(mirroring()) or "")


PARENTS = {
    "no parent": ([], "it has no Gateway"),
    "a Gateway that is not there": ([{"name": "other"}], "Gateway shop/other is not there"),
    "one of two": ([{"name": "gateway"}, {"name": "x", "namespace": "e"}], "Gateway e/x is not"),
    "a mesh": (
        [{"kind": "Service", "name": "web"}],
        "nobody says what its parent Service shop/web",
    ),
}


@pytest.mark.parametrize(("parents", "why"), PARENTS.values(), ids=PARENTS.keys())
def test_what_is_not_known_of_a_parent_is_taken_as_not_there(parents: Any, why: str) -> None:
    """Every parent counts."""
    users = route([backend()])
    users["spec"]["parentRefs"] = parents
    assert why in (Cluster(users).lacks(mirroring()) or "")
    assert why in Cluster(users).without(STICKY)[0]


def test_an_older_class_lists_plain_names() -> None:
    """Up to Gateway API v1.1."""
    cluster = Cluster(route([backend()]))
    cluster.can = [MIRROR]
    assert cluster.lacks(mirroring()) is None


def test_stickiness_that_a_gateway_can_not_do_is_a_note_and_no_obstacle() -> None:
    """It is had where the router can."""
    cluster = Cluster(route([backend()]), can=(COOKIE[0],))
    assert cluster.lacks(STICKY) is None
    assert cluster.without(STICKY) == (
        "HTTPRoute shop/web does not bring users back to their version: Gateway shop/gateway of "
        f"class some does not say that it supports {COOKIE[1]}",
    )
    assert Cluster(route([backend()])).without(STICKY) == ()
    assert cluster.without(PREVIEWED) == ()


def test_a_cookie_that_a_rule_has_no_place_for_is_a_note() -> None:
    """Also while the version has no weight yet."""
    change = {"set": [{"name": "Set-Cookie", "value": "a=b"}]}
    theirs = {"type": "ResponseHeaderModifier", "responseHeaderModifier": change}
    cluster = Cluster(route([backend(filters=[theirs])]))
    for weight in (0, 20):
        [said] = cluster.without(Share("web-canary", weight, sticky=STICKY.sticky))
        assert said.endswith("it has a filter that sets a cookie already")


def test_a_split_written_for_a_gateway_that_changed_is_written_anew() -> None:
    """One that can do more now, and one that can do less."""
    for before, after in (((), EVERYTHING), (EVERYTHING, ())):
        for share in (STICKY, mirroring()):
            cluster = Cluster(route([backend()]), can=before)
            cluster.write({"web": share})
            cluster.can = [{"name": feature} for feature in after]
            assert cluster.shares == {"web": Share("web-canary", 20)}
            cluster.write({"web": share})
            assert cluster.shares == {"web": share}
            split = split_of(cluster.routes["web"])
            assert split is not None
            assert bool(split.features) == bool(after)


def test_a_header_route_needs_no_feature_and_room_in_the_route() -> None:
    """Also the room that another Deployment's steps take in the same route."""
    entry = HeaderMatch(header_name="X-Canary", header_value=StringMatch(exact="yes"))
    headers = (HeaderRoute(name="beta", match=(entry,)),)
    cluster = Cluster(route(*[[backend("web"), backend("api")] for _ in range(6)]), can=())
    assert cluster.lacks(Share("web-canary", 5, headers=headers)) is None
    other = Target(OWNER, NAMESPACE, frozenset({"api"}), 1)
    cluster.write({"api": Share("api-canary", 5, headers=headers)}, other)
    assert cluster.lacks(Share("web-canary", 5, headers=headers)) == (
        "HTTPRoute shop/web can't carry the header route: it would have 18 rules, and a route has "
        "at most 16"
    )


# Previews


def test_a_preview_is_the_users_route_under_another_host_with_the_new_version() -> None:
    """Other Services, other rules and the parents stay; the Deployment owns it."""
    users = route([backend("web", 3), backend("legacy")], [backend("api")])
    cluster = Cluster(users)
    cluster.write({"web": PREVIEWED})
    preview = cluster.preview
    assert preview["metadata"]["ownerReferences"] == [OWNER]
    assert preview["metadata"]["labels"] == {names.CANARY_OF: "web"}
    assert preview["spec"] == {
        "parentRefs": users["spec"]["parentRefs"],
        "hostnames": ["next.example"],
        "rules": [
            {"backendRefs": [backend("web-canary", 3), backend("legacy")]},
            {"backendRefs": [backend("api")]},
        ],
    }
    assert ROUTER.finds(cluster.objects, NAMESPACE, frozenset({"api"}))[0].object != preview
    assert len(ROUTER.finds(cluster.objects, NAMESPACE, frozenset({"api"}))) == 1


def test_a_preview_follows_its_step() -> None:
    """It comes after the split that asks for it and goes before, and is not put twice."""
    cluster = Cluster(route([backend()]))
    kinds = [
        [type(write) for write in ROUTER.writes(cluster.objects, cluster.routes["web"], s, TARGET)]
        for s in ({"web": PREVIEWED}, {"web": STICKY})
    ]
    assert kinds == [[Annotate, Put], [Annotate]]
    cluster.write({"web": PREVIEWED})
    for shares, wanted in (({"web": PREVIEWED}, [Annotate]), ({}, [Delete, Annotate])):
        made = ROUTER.writes(cluster.objects, cluster.routes["web"], shares, TARGET)
        assert [type(write) for write in made] == wanted


def test_a_preview_that_is_gone_or_does_not_fit_any_more_is_written_anew() -> None:
    """Somebody deleted it, or the user changed the rules it was made from."""
    cluster = Cluster(route([backend()]))
    cluster.write({"web": PREVIEWED})
    for broken in (None, {**cluster.preview, "spec": {"rules": []}}):
        name = cluster.preview["metadata"]["name"]
        del cluster.routes[name]
        cluster.routes |= {name: broken} if broken else {}
        assert cluster.shares == {"web": Share("web-canary", 0)}
        cluster.write({"web": PREVIEWED})
        assert cluster.shares == {"web": PREVIEWED}


def test_a_preview_that_nobody_asks_for_is_a_stray() -> None:
    """Its route went, or came back without a split; one that is asked for is none."""
    cluster = Cluster(route([backend()]))
    cluster.write({"web": PREVIEWED})
    name = cluster.preview["metadata"]["name"]
    assert cluster.strays == []
    assert ROUTER.strays(cluster.objects, NAMESPACE, frozenset({"other"})) == []
    cluster.routes["web"] = route([backend()])
    assert cluster.strays == [name]
    del cluster.routes["web"]
    assert cluster.strays == [name]


LISTENERS = {
    "any host": ([{"name": "web", "port": 80}], {}, True),
    "a wildcard": ([{"name": "web", "hostname": "*.example"}], {}, True),
    "another wildcard": ([{"name": "web", "hostname": "*.test"}], {}, False),
    "its name": ([{"name": "web", "hostname": "next.example"}], {}, True),
    "another name": ([{"name": "web", "hostname": "shop.example"}], {}, False),
    "another section": ([{"name": "web"}], {"sectionName": "tls"}, False),
    "another port": ([{"name": "web", "port": 80}], {"port": 443}, False),
}


@pytest.mark.parametrize(("listeners", "more", "takes"), LISTENERS.values(), ids=LISTENERS.keys())
def test_a_preview_host_needs_a_listener_that_takes_it(
    listeners: list[Object], more: Object, takes: bool
) -> None:
    """Of every Gateway."""
    users = route([backend()])
    users["spec"]["parentRefs"] = [{"name": "gateway", **more}]
    cluster = Cluster(users)
    cluster.listeners = listeners
    said = cluster.lacks(PREVIEWED)
    assert said == (None if takes else (
        "HTTPRoute shop/web can't be previewed at next.example: no listener of Gateway gateway "
        "takes next.example"))  # fmt: skip


def test_a_host_of_the_routes_own_is_no_preview() -> None:
    """All of its users would see the new version."""
    users = route([backend()])
    users["spec"]["hostnames"] = ["next.example"]
    assert "one of its own hosts" in (Cluster(users).lacks(PREVIEWED) or "")


def test_a_route_in_another_namespace_can_not_be_previewed_and_is_read_back_all_the_same() -> None:
    """An owner can't be in another namespace."""
    users = route([backend(namespace=NAMESPACE)])
    users["metadata"]["namespace"] = "edge"
    cluster = Cluster(users)
    assert "not in the namespace shop of the Service" in (cluster.lacks(PREVIEWED) or "")
    cluster.write({"web": PREVIEWED})
    assert cluster.shares == {"web": PREVIEWED}
    assert [*cluster.routes] == ["web"]


def test_the_places_that_a_split_changes_are_named() -> None:
    """The route's own hosts, with the paths to the Service."""
    users = route([backend("web")], [backend("api")])
    users["spec"]["rules"][0]["matches"] = [{"path": {"type": "PathPrefix", "value": "/a"}}]
    places = ROUTER.affected({}, users, NAMESPACE, frozenset({"web"}))
    assert places == ("*/a",)
    users["spec"]["hostnames"] = ["a.example", "b.example"]
    places = ROUTER.affected({}, users, NAMESPACE, frozenset({"web"}))
    assert places == ("a.example/a", "b.example/a")
