"""Kinds that list weighted Services: one Service's part is divided, and the original comes back."""

from copy import deepcopy
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weighted_kinds import KINDS, Kind

from tests.strategies import NAMESPACE
from webhook import names
from webhook.objects.intent import Share, Split, Sticky, read_intent
from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, HeaderRoute, MirrorRoute, StringMatch
from webhook.projection.fields import annotate, annotations
from webhook.traffic.contract import Annotate, Target

PROPERTY = settings(max_examples=150, deadline=None)
TARGET = Target(owner={}, namespace=NAMESPACE, services=frozenset({"web"}), term=3)
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
SERVICES = ("web", "api", "legacy")


@st.composite
def objects(draw: st.DrawFn) -> tuple[Kind, Object]:
    """An object of any of the kinds, with weights and without."""
    kind = draw(st.sampled_from(list(KINDS.values())))
    weights = st.one_of(st.none(), st.integers(0, 200))
    entries = st.builds(kind.entry, st.sampled_from(SERVICES), weights)
    lists = draw(
        st.lists(st.lists(entries, min_size=1, max_size=4), min_size=1, max_size=kind.lists)
    )
    return kind, kind.made(*lists)


def split_of(percents: dict[str, int]) -> Split:
    """A split with canary Services named after their roots."""
    return Split(shares={root: Share(f"{root}-canary", p) for root, p in percents.items()})


def project(kind: Kind, users: Object, **percents: int) -> Object:
    """The object while Services are split."""
    assert kind.router.shown
    return kind.router.shown.project(users, split_of(percents))


def restore(kind: Kind, new: Object, old: Object | None = None) -> Object:
    """The user's object behind another, without what is decided about it."""
    assert kind.router.shown
    return kind.router.shown.project(kind.router.shown.restore(new, old), None)


def parts(kind: Kind, obj: Object) -> list[dict[str, Fraction]]:
    """By list: the part of its requests that each Service gets."""
    out = []
    for entries in kind.read(obj):
        weights = kind.implied([entry.get("weight") for entry in entries])
        total = sum(weights)
        found: dict[str, Fraction] = {}
        for entry, weight in zip(entries, weights, strict=True):
            name = kind.name(entry)
            found[name] = found.get(name, Fraction(0)) + (Fraction(weight, total) if total else 0)
        out.append(found)
    return out


@PROPERTY
@given(objects(), st.dictionaries(st.sampled_from(SERVICES), st.integers(0, 100), max_size=2))
def test_what_is_projected_is_restored_value_for_value(
    made: tuple[Kind, Object], percents: dict[str, int]
) -> None:
    """Weights that were left out are left out again; looked at twice, it is the same."""
    kind, users = made
    seen = project(kind, users, **percents)
    assert restore(kind, seen) == users
    assert kind.router.projected(seen) == seen


@PROPERTY
@given(objects(), st.integers(0, 100))
def test_the_share_is_exact_and_all_others_keep_theirs(
    made: tuple[Kind, Object], weight: int
) -> None:
    """As each kind counts weights that are left out."""
    kind, users = made
    for before, after in zip(
        parts(kind, users), parts(kind, project(kind, users, web=weight)), strict=True
    ):
        whole = before.get("web", Fraction(0))
        canary = after.get("web-canary", Fraction(0))
        assert canary == whole * Fraction(weight, 100)
        assert after.get("web", Fraction(0)) == whole - canary
        for name in set(before) - {"web"}:
            assert after[name] == before[name]


@PROPERTY
@given(objects(), st.integers(0, 100), st.integers(0, 100))
def test_a_step_to_another_weight_begins_from_what_the_user_wrote(
    made: tuple[Kind, Object], first: int, second: int
) -> None:
    """The scale of the step before leaves no trace."""
    kind, users = made
    seen = project(kind, users, web=first)
    assert kind.router.shown
    again = kind.router.shown.project(
        kind.router.shown.restore(seen, None), split_of({"web": second})
    )
    assert again == project(kind, users, web=second)


@PROPERTY
@given(objects())
def test_an_object_that_names_no_split_service_is_left_as_it_is(made: tuple[Kind, Object]) -> None:
    """Nothing of it is rewritten."""
    kind, users = made
    seen = project(kind, users, elsewhere=50)
    assert seen["spec"] is users["spec"]


@EVERY
def test_users_apply_their_manifest_in_mid_release_and_the_split_stays(kind: Kind) -> None:
    """What they wrote has no entry of ours: it is taken as it stands, and split again."""
    users = kind.made([kind.entry("web", None)])
    seen = project(kind, users, web=25)
    assert kind.router.shown
    edited = deepcopy(users)
    kind.read(edited)[0].append(kind.entry("legacy", None))
    asked = annotate(edited, dict(annotations(seen)))
    behind = kind.router.shown.restore(asked, seen)
    assert kind.read(behind) == kind.read(edited)
    again = kind.router.shown.project(behind, split_of({"web": 25}))
    assert parts(kind, again)[0].get("web-canary") == parts(kind, edited)[0].get(
        "web", Fraction(0)
    ) * Fraction(25, 100)
    assert restore(kind, again) == edited


@EVERY
def test_an_edit_of_what_is_shown_keeps_both_the_edit_and_the_split(kind: Kind) -> None:
    """`kubectl edit` in mid-release reads the projection and writes it back, changed."""
    users = kind.made([kind.entry("web", 80), kind.entry("legacy", 20)])
    seen = deepcopy(project(kind, users, web=25))
    entries = kind.read(seen)[0]
    entries[:] = [entry for entry in entries if kind.name(entry) != "legacy"]
    assert kind.read(restore(kind, seen)) == [[kind.entry("web", 80)]]


@EVERY
def test_small_weights_stay_whole_numbers_that_add_up_to_a_hundred(kind: Kind) -> None:
    """Where the parts are whole, nothing is multiplied: some controllers check the sum."""
    seen = project(kind, kind.made([kind.entry("web", 80), kind.entry("legacy", 20)]), web=25)
    assert [entry["weight"] for entry in kind.read(seen)[0]] == [60, 20, 20]


@EVERY
def test_nothing_leaks_at_0_and_nothing_stays_at_100(kind: Kind) -> None:
    """Whatever the weights."""
    users = kind.made([kind.entry("web", 3), kind.entry("legacy", 2)])
    assert parts(kind, project(kind, users, web=0))[0].get("web-canary", 0) == 0
    assert parts(kind, project(kind, users, web=100))[0]["web"] == 0


@EVERY
def test_the_engine_finds_the_object_and_reads_its_split_back(kind: Kind) -> None:
    """What is written is an annotation: the webhook shows it in the weights."""
    router, users = kind.router, kind.made([kind.entry("web", None)])
    found = router.finds({router.kind: [users]}, NAMESPACE, frozenset({"web", "db"}))
    assert [(each.object, each.roots) for each in found] == [(users, frozenset({"web"}))]
    assert router.finds({router.kind: [users]}, "elsewhere", frozenset({"web"})) == []
    (write,) = router.writes({}, users, {"web": Share("web-canary", 25)}, TARGET)
    assert isinstance(write, Annotate)
    written = annotate(users, dict(write.annotations))
    split = read_intent(Split, annotations(written).get(names.SPLIT))
    assert split
    assert split.term == 3
    assert router.shares({}, router.projected(written), NAMESPACE) == split.shares
    (taken,) = router.writes({}, written, {}, TARGET)
    assert isinstance(taken, Annotate)
    assert taken.annotations == {names.SPLIT: None}


CAN = {
    "VirtualService": ("carry the header route", "mirror requests"),
    "IngressRoute": ("carry the header route",),
    "ApisixRoute": ("carry the header route",),
    "HTTPProxy": ("carry the header route", "mirror requests"),
}


@EVERY
def test_what_such_a_route_cannot_do_is_said_before_anything_moves(kind: Kind) -> None:
    """Each kind has words for other parts of a step."""
    users, router = kind.made([kind.entry("web", None)]), kind.router
    match = (HeaderMatch(header_name="X-Team", header_value=StringMatch(exact="qa")),)
    for share, what in (
        (Share("c", 0, headers=(HeaderRoute(name="qa", match=match),)), "carry the header route"),
        (Share("c", 0, mirrors=(MirrorRoute(name="m", percentage=10),)), "mirror requests"),
        (Share("c", 0, preview="next.example"), "be previewed at next.example"),
    ):
        why = router.lacks({}, users, NAMESPACE, {"web": share})
        if what in CAN.get(router.kind, ()):
            assert why is None
        else:
            assert why
            assert why.startswith(f"{router.kind} {NAMESPACE}/shop can't {what}: ")
    assert router.lacks({}, users, NAMESPACE, {"web": Share("c", 50)}) is None


@EVERY
def test_a_route_that_does_not_bring_users_back_says_so(kind: Kind) -> None:
    """A TraefikService does where its user set a cookie for its Services: it knows both of them."""
    router, users = kind.router, kind.made([kind.entry("web", None)])
    asked = {"web": Share("c", 1, sticky=Sticky("seen", 60))}
    if router.kind == "TraefikService":
        assert router.without({}, users, NAMESPACE, asked) == ()
        del users["spec"]["weighted"]["sticky"]
    [note] = router.without({}, users, NAMESPACE, asked)
    assert note.startswith(f"{router.kind} {NAMESPACE}/shop does not bring users back")
    assert router.without({}, users, NAMESPACE, {"web": Share("c", 1)}) == ()


# What is special about one kind


def test_traefik_services_in_a_route_are_not_taken_for_services() -> None:
    """Nor are Traefik's own, nor a name of another provider."""
    kind = KINDS["IngressRoute"]
    users = kind.made(
        [
            {"name": "web", "kind": "TraefikService"},
            {"name": "api@internal", "kind": "TraefikService"},
            {"name": "web@file"},
            {"name": "web", "namespace": "other", "port": 80},
        ]
    )
    assert kind.router.services_of(users) == {("other", "web")}


@pytest.mark.parametrize("name", ["IngressRoute", "TraefikService"])
def test_traefik_learns_of_the_canary_service_only_with_its_first_share(name: str) -> None:
    """Empty at weight 0 it would cost all requests of the route; it reads a change as a whole."""
    kind = KINDS[name]
    users = kind.made([kind.entry("web", None)])
    seen = project(kind, users, web=0)
    assert seen["spec"] is users["spec"]
    assert kind.router.shares({}, seen, NAMESPACE) == {"web": Share("web-canary", 0)}
    assert restore(kind, seen) == users


@pytest.mark.parametrize("name", ["HTTPProxy", "VirtualService", "ApisixRoute"])
def test_others_name_the_canary_service_before_it_gets_a_share(name: str) -> None:
    """Envoy answers 503 for a cluster that it has not heard of yet."""
    kind = KINDS[name]
    seen = project(kind, kind.made([kind.entry("web", None)]), web=0)
    assert [kind.name(entry) for entry in kind.read(seen)[0]] == ["web", "web-canary"]


def test_a_mirror_of_an_httpproxy_takes_no_part_in_the_weights() -> None:
    """It gets copies whatever the weights say, and its own is a percentage."""
    kind = KINDS["HTTPProxy"]
    mirror = {"name": "shadow", "port": 80, "mirror": True, "weight": 100}
    users = kind.made([{"name": "web", "port": 80}, mirror])
    seen = kind.read(project(kind, users, web=25))[0]
    assert [(e["name"], e.get("weight")) for e in seen[:2]] == [("web", 75), ("web-canary", 25)]
    assert seen[2] == mirror
    assert kind.read(project(kind, users, web=33))[0][2] == mirror
    assert restore(kind, project(kind, users, web=33)) == users


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("web", (NAMESPACE, "web")),
        ("web.other", ("other", "web")),
        ("web.other.svc", ("other", "web")),
        ("web.other.svc.cluster.local", ("other", "web")),
        ("web.example.com", None),
        ("*.other.svc.cluster.local", None),
    ],
)
def test_hosts_of_a_virtual_service_are_read_as_istio_reads_them(
    host: str, found: tuple[str, str] | None
) -> None:
    """A short name is in the VirtualService's own namespace; names outside are no Services."""
    kind = KINDS["VirtualService"]
    users = kind.made([{"destination": {"host": host}}])
    assert kind.router.services_of(users) == ({found} if found else frozenset())


def test_a_subset_stays_with_the_released_version() -> None:
    """The new pods need not have the labels that it asks for; the host keeps its form."""
    kind = KINDS["VirtualService"]
    destination = {"host": "web.shop.svc.cluster.local", "subset": "eu", "port": {"number": 80}}
    users = kind.made([{"destination": destination}])
    stable, canary = kind.read(project(kind, users, web=10))[0]
    assert stable == {"destination": destination, "weight": 90}
    assert canary == {
        "destination": {"host": "web-canary.shop.svc.cluster.local", "port": {"number": 80}},
        "weight": 10,
    }
    notes = kind.router.without({}, users, NAMESPACE, {"web": Share("web-canary", 10)})
    said = "the DestinationRule that has the subset eu says nothing of the new version"
    assert notes == (f"in VirtualService {NAMESPACE}/shop {said}",)
    assert kind.router.without({}, users, NAMESPACE, {"api": Share("api-canary", 10)}) == ()


def test_an_httpproxy_is_live_when_contour_says_so_of_its_generation() -> None:
    """And one that nobody reports on has nothing to wait for."""
    router = KINDS["HTTPProxy"].router
    valid = {"type": "Valid", "status": "True", "observedGeneration": 2}
    obj = {"metadata": {"generation": 2}, "status": {"conditions": [valid]}}
    assert router.unprogrammed(obj) is None
    assert router.unprogrammed({"metadata": {"generation": 2}}) is None
    late = router.unprogrammed({**obj, "metadata": {"generation": 3}})
    assert late == "Contour has not reported Valid for generation 3"
    bad = {**valid, "status": "False", "message": "no such service"}
    assert router.unprogrammed({**obj, "status": {"conditions": [bad]}}) == (
        "Contour says Valid is False: no such service"
    )
