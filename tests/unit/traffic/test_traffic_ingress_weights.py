"""Ingresses of AWS load balancers and of Skipper: weights in annotations, and the texts back."""

import json
from copy import deepcopy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingress_kinds import ACTION, USERS, WEIGHTS, alb, backend, forward, ingress, parts, skipper

from tests.strategies import NAMESPACE, Object
from webhook import names
from webhook.objects.intent import Share, Split, read_intent
from webhook.objects.steps import HeaderMatch, HeaderRoute, StringMatch
from webhook.projection.fields import annotate, annotations
from webhook.traffic.contract import Annotate, Target
from webhook.traffic.ingress import ROUTER

PROPERTY = settings(max_examples=150, deadline=None)
TARGET = Target(owner={}, namespace=NAMESPACE, services=frozenset({"web"}), term=3)
PERCENTS = st.dictionaries(st.sampled_from(("web", "api")), st.integers(0, 100), max_size=2)


def split_of(percents: dict[str, int]) -> Split:
    """A split with canary Services named after their roots."""
    return Split(shares={root: Share(f"{root}-canary", p) for root, p in percents.items()})


def project(users: Object, **percents: int) -> Object:
    """The Ingress while Services are split."""
    assert ROUTER.shown
    return ROUTER.shown.project(users, split_of(percents))


def restore(new: Object, old: Object | None = None) -> Object:
    """The user's Ingress behind another."""
    assert ROUTER.shown
    return ROUTER.shown.project(ROUTER.shown.restore(new, old), None)


def lacks(users: Object, share: Share) -> str | None:
    """Why it can't carry a share of web."""
    return ROUTER.lacks({"Ingress": [users]}, users, NAMESPACE, {"web": share})


@PROPERTY
@given(USERS, PERCENTS)
def test_what_is_projected_is_restored_byte_for_byte(
    users: Object, percents: dict[str, int]
) -> None:
    """Texts of annotations, too; looked at twice, it is the same."""
    seen = project(users, **percents)
    assert restore(seen) == users
    assert ROUTER.projected(seen) == seen


@PROPERTY
@given(USERS, st.integers(0, 100))
def test_the_share_is_exact_and_all_others_keep_theirs(users: Object, weight: int) -> None:
    """Of target groups as near as weights of 999 come; or it is refused, and nothing moves."""
    seen = project(users, web=weight)
    if lacks(users, Share("web-canary", weight)):
        assert seen["spec"] == users["spec"]
        return
    near = Fraction(1, 300) if users["spec"]["ingressClassName"] == "alb" else Fraction(1, 10**9)
    after = parts(seen)
    for path, before in parts(users).items():
        whole = before.get("web", Fraction(0))
        got = after[path]
        assert abs(got.get("web-canary", Fraction(0)) - whole * weight / 100) <= near
        assert abs(got.get("web", Fraction(0)) - whole * (100 - weight) / 100) <= near
        for name in set(before) - {"web"}:
            assert abs(got[name] - before[name]) <= near
        if weight in (0, 100):
            none = "web-canary" if weight == 0 else "web"
            assert got.get(none, 0) == 0


@PROPERTY
@given(USERS, st.integers(0, 100), st.integers(0, 100))
def test_a_step_to_another_weight_begins_from_what_the_user_wrote(
    users: Object, first: int, second: int
) -> None:
    """The step before leaves no trace."""
    assert ROUTER.shown
    seen = project(users, web=first)
    again = ROUTER.shown.project(ROUTER.shown.restore(seen, seen), split_of({"web": second}))
    assert again == project(users, web=second)


@PROPERTY
@given(USERS, USERS)
def test_users_apply_another_manifest_in_mid_release_and_it_is_taken_as_it_stands(
    users: Object, edited: Object
) -> None:
    """A replace: all that they wrote is theirs, for nothing in it is ours."""
    if users["spec"]["ingressClassName"] != edited["spec"]["ingressClassName"]:
        return
    seen = project(users, web=25)
    intent = {k: v for k, v in annotations(seen).items() if k in names.INTENT_KEYS}
    assert restore(annotate(edited, intent), seen) == edited


# AWS load balancers


def test_an_action_of_the_reference_is_divided_and_all_else_in_it_stays() -> None:
    """Stickiness of its target groups, too; 80 and 20 with 25 % of the 80 are 3, 1 and 1."""
    action = forward(("web", 80), ("legacy", 20))
    action["forwardConfig"]["targetGroupStickinessConfig"] = {"enabled": True, "durationSeconds": 9}
    users = alb(("/", backend("blue-green", "use-annotation")), **{"blue-green": action})
    seen = json.loads(annotations(project(users, web=25))[ACTION + "blue-green"])
    wanted = forward(("web", 3), ("web-canary", 1), ("legacy", 1))
    config = action["forwardConfig"]
    assert seen == {**wanted, "forwardConfig": {**config, **wanted["forwardConfig"]}}
    assert ROUTER.services_of(users) == {(NAMESPACE, "web"), (NAMESPACE, "legacy")}
    assert ROUTER.affected({}, users, NAMESPACE, frozenset({"web"})) == ("shop.example/",)


@pytest.mark.parametrize("port", [80, "http"])
def test_a_plain_backend_is_shown_as_an_action_of_the_services_name(port: Any) -> None:
    """So that the conditions of that name still hold. The canary is named at weight 0 already."""
    users = alb(("/", backend("web", port)), ("/api", backend("api")))
    seen = project(users, web=0)
    first, second = seen["spec"]["rules"][0]["http"]["paths"]
    assert first["backend"] == backend("web", "use-annotation")
    assert second["backend"] == backend("api")
    groups = json.loads(annotations(seen)[ACTION + "web"])["forwardConfig"]["targetGroups"]
    assert groups == [
        {"serviceName": "web", "servicePort": port, "weight": 1},
        {"serviceName": "web-canary", "servicePort": port, "weight": 0},
    ]


def test_actions_by_arn_redirects_and_what_can_not_be_read_are_left_alone() -> None:
    """They send to no Service."""
    arn = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/1"
    users = alb(
        *((f"/{name}", backend(name, "use-annotation")) for name in ("a", "b", "c", "d", "e")),
        a={"type": "forward", "targetGroupARN": arn},
        b={"type": "forward", "forwardConfig": {"targetGroups": [{"targetGroupARN": arn}]}},
        c={"type": "redirect", "redirectConfig": {"statusCode": "HTTP_301"}},
        d="{not json",
    )
    assert ROUTER.services_of(users) == frozenset()
    seen = project(users, web=50)
    assert seen["spec"] == users["spec"]
    assert {k: v for k, v in annotations(seen).items() if k.startswith(ACTION)} == {
        k: v for k, v in annotations(users).items() if k.startswith(ACTION)
    }


UNFIT = {
    "two ports": (
        alb(("/", backend("web")), ("/admin", backend("web", 8080))),
        "it sends to two ports of web, and an action has one name",
    ),
    "an action of that name": (
        alb(("/", backend("web")), web=forward(("api", 1))),
        "it has an action of the name web, beside a backend of that name",
    ),
    "too many": (
        alb(
            ("/", backend("many", "use-annotation")),
            many=forward(("web", 1), *((f"api-{i}", 1) for i in range(4))),
        ),
        "it would have 6 target groups in an action, which has at most 5",
    ),
    "a default backend": (
        {**skipper(("/", "api")), "spec": {
            **skipper(("/", "api"))["spec"], "defaultBackend": backend("web")}},
        "it has web as its default backend, which can't have a weight",
    ),
    "one weight for two": (
        skipper(("/", "web"), ("/a", "web"), ("/a", "api"), weights='{"api": 10}'),
        "it has one weight for a Service in all paths, and api, web need two",
    ),
    "no numbers": (skipper(("/", "web"), weights='{"web": "x"}'), "it has weights that can't be"),
}  # fmt: skip


@pytest.mark.parametrize(("users", "why"), UNFIT.values(), ids=UNFIT.keys())
def test_an_ingress_that_can_not_be_divided_says_so_before_anything_moves(
    users: Object, why: str
) -> None:
    """And one that comes in mid-release stays as it is."""
    said = lacks(users, Share("web-canary", 10))
    assert said
    assert said.startswith(f"Ingress {NAMESPACE}/shop can't divide its traffic: {why}")
    seen = project(users, web=10)
    assert seen["spec"] == users["spec"]
    assert restore(seen) == users


@pytest.mark.parametrize(
    ("users", "refused"), [(alb(("/", backend("web"))), True), (skipper(("/", "web")), False)]
)
def test_authentication_that_stands_on_a_service_stops_the_release_before_it_is_lost(
    users: Object, refused: bool
) -> None:
    """The controller reads it off a Service only where an action forwards to that one alone."""
    notes = {"alb.ingress.kubernetes.io/auth-type": "oidc"}
    guarded = {"metadata": {"name": "web", "namespace": NAMESPACE, "annotations": notes}}
    others = {"metadata": {"name": "api", "namespace": NAMESPACE, "annotations": notes}}
    share = {"web": Share("web-canary", 10)}
    free = {"Ingress": [users], "Service": [others]}
    assert ROUTER.lacks(free, users, NAMESPACE, share) is None
    why = ROUTER.lacks({**free, "Service": [others, guarded]}, users, NAMESPACE, share)
    assert why == (
        "Ingress shop/shop can't divide its traffic: Service shop/web has "
        "alb.ingress.kubernetes.io/auth-type, which holds only while an action forwards to it "
        "alone; it belongs on the Ingress"
        if refused
        else None
    )


def test_an_edit_of_what_is_shown_keeps_both_the_edit_and_the_split() -> None:
    """`kubectl edit` in mid-release: the text comes back by value, without what is ours."""
    action = json.dumps(forward(("web", 80), ("legacy", 20)))
    users = alb(("/", backend("to", "use-annotation")), to=action)
    seen = project(users, web=25)
    edited = deepcopy(seen)
    shown = json.loads(annotations(seen)[ACTION + "to"])
    shown["forwardConfig"]["targetGroups"].pop()
    edited["metadata"]["annotations"][ACTION + "to"] = json.dumps(shown)
    back = restore(edited, seen)
    assert json.loads(annotations(back)[ACTION + "to"]) == forward(("web", 4))


def test_an_action_of_ours_that_somebody_takes_off_leaves_the_plain_backend() -> None:
    """It names no action that is not there."""
    users = alb(("/", backend("web")))
    seen = project(users, web=25)
    assert restore(annotate(seen, {ACTION + "web": None}), seen) == users


# Skipper


def test_a_single_backend_of_skipper_gets_a_second_entry_of_the_same_path() -> None:
    """As its reference has it: both Services under one path, weights by name."""
    users = skipper(("/", "web"), ("/api", "api"))
    seen = project(users, web=20)
    paths = seen["spec"]["rules"][0]["http"]["paths"]
    assert [(p["path"], p["pathType"], p["backend"]) for p in paths] == [
        ("/", "Prefix", backend("web")),
        ("/", "Prefix", backend("web-canary")),
        ("/api", "Prefix", backend("api")),
    ]
    assert annotations(seen)[WEIGHTS] == '{"web":80,"web-canary":20}'


def test_weights_of_skipper_are_divided_in_proportion() -> None:
    """The other Service of the path keeps its own."""
    users = skipper(("/", "web"), ("/", "api"), weights='{"web": 70, "api": 30}')
    seen = project(users, web=10)
    assert json.loads(annotations(seen)[WEIGHTS]) == {"web": 63, "api": 30, "web-canary": 7}
    equal = project(skipper(("/", "web"), ("/", "api")), web=10)
    assert json.loads(annotations(equal)[WEIGHTS]) == {"web": 90, "api": 100, "web-canary": 10}


# Whose Ingress it is


def of_class(name: str, controller: str) -> Object:
    """An IngressClass."""
    return {"kind": "IngressClass", "metadata": {"name": name}, "spec": {"controller": controller}}


OF_WHOM = {
    "alb": (ingress("alb", ("/", backend("web"))), [], True),
    "by annotation": (
        ingress("edge", ("/", backend("web")), **{"alb.ingress.kubernetes.io/scheme": "internal"}),
        [],
        True,
    ),
    "by the class's controller": (
        ingress("alb", ("/", backend("web"))), [of_class("alb", "ingress.k8s.aws/alb")], True,
    ),
    "an ALB of another cloud": (
        ingress("alb", ("/", backend("web"))),
        [of_class("alb", "ingress.k8s.alibabacloud/alb")],
        False,
    ),
    "skipper": (skipper(("/", "web")), [], True),
    "skipper's annotation": (
        ingress("", ("/", backend("web")), **{"zalando.org/skipper-filter": "status(200)"}),
        [],
        True,
    ),
    "nobody's": (ingress("other", ("/", backend("web"))), [], False),
}  # fmt: skip


@pytest.mark.parametrize(("users", "classes", "ours"), OF_WHOM.values(), ids=OF_WHOM.keys())
def test_the_class_or_an_annotation_says_whose_ingress_it_is(
    users: Object, classes: list[Object], ours: bool
) -> None:
    """A class that is known to be another controller's is not touched."""
    objects = {"Ingress": [users], "IngressClass": classes}
    found = ROUTER.finds(objects, NAMESPACE, frozenset({"web"}))
    assert [each.roots for each in found] == ([frozenset({"web"})] if ours else [])


def test_an_ingress_in_the_nginx_dialect_is_never_written_whatever_annotations_it_has() -> None:
    """It is found once, and its split stands beside it."""
    users = ingress("nginx", ("/", backend("web")), **{"alb.ingress.kubernetes.io/scheme": "x"})
    objects = {"Ingress": [users], "IngressClass": [of_class("nginx", "k8s.io/ingress-nginx")]}
    (found,) = ROUTER.finds(objects, NAMESPACE, frozenset({"web"}))
    assert found.object is users
    assert project(users, web=50) is users
    assert restore(users) is users
    made = ROUTER.writes(objects, users, {"web": Share("web-canary", 50)}, TARGET)
    assert not any(isinstance(write, Annotate) for write in made)


@pytest.mark.parametrize("users", [alb(("/", backend("web"))), skipper(("/", "web"))])
def test_the_engine_finds_the_object_and_reads_its_split_back(users: Object) -> None:
    """What is written is an annotation; stickiness and header routes can't be had."""
    objects = {"Ingress": [users], "IngressClass": []}
    (write,) = ROUTER.writes(objects, users, {"web": Share("web-canary", 25)}, TARGET)
    assert isinstance(write, Annotate)
    written = annotate(users, dict(write.annotations))
    split = read_intent(Split, annotations(written).get(names.SPLIT))
    assert split
    assert split.term == 3
    stored = ROUTER.projected(written)
    assert ROUTER.shares({"Ingress": [stored]}, stored, NAMESPACE) == split.shares
    assert lacks(stored, Share("web-canary", 50)) is None
    (taken,) = ROUTER.writes(objects, stored, {}, TARGET)
    assert isinstance(taken, Annotate)
    assert ROUTER.projected(annotate(stored, dict(taken.annotations))) == users
    match = (HeaderMatch(header_name="X-Team", header_value=StringMatch(exact="qa")),)
    why = lacks(users, Share("c", 0, headers=(HeaderRoute(name="qa", match=match),)))
    assert why
    assert why.startswith(f"Ingress {NAMESPACE}/shop can't carry the header route")
