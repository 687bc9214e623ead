"""Ingress in the nginx dialect: a canary Ingress of ours beside the user's own."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import NAMESPACE, Object, ingress
from webhook import names
from webhook.objects.intent import Share, Split, read_intent
from webhook.projection.fields import read, write
from webhook.traffic.contract import Delete, Put, Target
from webhook.traffic.nginx_ingress import (
    ROUTER,
    canary_ingress,
    canary_ingress_name,
    is_canary,
    is_ours,
    services_of,
    shares_of,
)

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1"}
SHARE = Share("web-canary", 20)
NOTE = "nginx.ingress.kubernetes.io/"
TARGET = Target(owner=OWNER, namespace=NAMESPACE, services=frozenset({"web"}), term=1)


def canary(primary: Object | None = None, share: Share = SHARE) -> Object:
    """The canary Ingress beside a primary."""
    return canary_ingress(primary or ingress(("/", "web")), "web", share, OWNER)


FIELDS: dict[str, tuple[tuple[str, ...], Any]] = {
    "name": (("metadata", "name"), "web.web-canary"),
    "namespace": (("metadata", "namespace"), NAMESPACE),
    "class": (("spec", "ingressClassName"), "nginx"),
    "owner": (("metadata", "ownerReferences"), [OWNER]),
    "label": (("metadata", "labels", names.CANARY_OF), "web"),
    "canary": (("metadata", "annotations", NOTE + "canary"), "true"),
    "weight": (("metadata", "annotations", NOTE + "canary-weight"), "20"),
    "root": (("metadata", "annotations", "slipway.dev/root-service"), "web"),
    "primary": (("metadata", "annotations", "slipway.dev/primary-ingress"), "web"),
}


@pytest.mark.parametrize(("path", "value"), FIELDS.values(), ids=FIELDS.keys())
def test_each_field_of_the_canary_ingress(path: tuple[str, ...], value: Any) -> None:
    """Row by row."""
    assert read(canary(), path) == value


def test_host_path_and_path_type_are_the_primarys_and_only_the_service_differs() -> None:
    """What the dialect asks for."""
    primary = ingress(("/", "web"), ("/api", "api"), ("/shop", "web"))
    [rule] = canary(primary)["spec"]["rules"]
    [users] = primary["spec"]["rules"]
    assert rule["host"] == users["host"]
    wanted = [deepcopy(p) for p in users["http"]["paths"] if p["path"] != "/api"]
    for path in wanted:
        path["backend"]["service"]["name"] = "web-canary"
    assert rule["http"]["paths"] == wanted


def test_rules_of_other_services_and_resource_backends_are_left_out() -> None:
    """A canary without paths for a rule has no such rule."""
    primary = ingress(("/", "web"))
    bucket = {"path": "/", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket"}}}
    primary["spec"]["rules"] += [
        {"host": "other.example"},
        {"host": "a.example", "http": {"paths": [bucket]}},
    ]
    assert [rule["host"] for rule in canary(primary)["spec"]["rules"]] == ["shop.example"]


def test_a_default_backend_is_split_as_well() -> None:
    """With no rules at all, the canary has none either."""
    primary = ingress(name="plain")
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    primary["spec"] = {"defaultBackend": backend}
    spec = canary(primary)["spec"]
    assert spec == {"defaultBackend": {"service": {"name": "web-canary", "port": {"name": "http"}}}}


ANNOTATIONS = {
    NOTE + "rewrite-target": True,
    NOTE + "backend-protocol": True,
    NOTE + "canary-by-header": False,
    NOTE + "canary-weight-total": False,
    "example.com/owner": False,
    "kubectl.kubernetes.io/last-applied-configuration": False,
    "kubernetes.io/ingress.class": True,
}


@pytest.mark.parametrize(("key", "copied"), ANNOTATIONS.items())
def test_annotations_that_shape_requests_are_copied_and_others_are_not(
    key: str, copied: bool
) -> None:
    """Both versions are served alike; nobody's tool takes the canary for its own."""
    primary = ingress(("/", "web"))
    primary["metadata"]["annotations"] = {key: "x"}
    assert (key in canary(primary)["metadata"]["annotations"]) == copied


def test_with_sticky_sessions_users_leave_the_canary_when_it_loses_its_weight() -> None:
    """Otherwise a cookie holds them there at weight 0."""
    notes = canary(ingress(("/", "web"), affinity="cookie"))["metadata"]["annotations"]
    assert notes[NOTE + "affinity-canary-behavior"] == "legacy"
    assert NOTE + "affinity-canary-behavior" not in canary()["metadata"]["annotations"]


@pytest.mark.parametrize(("ing", "root"), [("a" * 250, "b" * 63), ("a" * 245 + ".b", "c")])
def test_a_canary_ingresss_name_fits_the_api(ing: str, root: str) -> None:
    """At most 253 characters, and no label in it ends in a dash or is empty."""
    name = canary_ingress_name(ing, root)
    assert len(name) <= 253
    assert all(part and part[0] != "-" and part[-1] != "-" for part in name.split("."))


def test_canary_ingresses_of_different_pairs_have_different_names() -> None:
    """Else two primaries would fight for one object."""
    assert canary_ingress_name("shop", "web-api") != canary_ingress_name("shop-web", "api")


PATHS = st.lists(
    st.tuples(st.sampled_from(["/", "/a", "/b"]), st.sampled_from(["web", "api", "legacy"])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(PATHS, st.dictionaries(st.sampled_from(["web", "api"]), st.integers(0, 100)))
def test_the_shares_that_were_written_are_the_shares_that_are_read(
    paths: list[tuple[str, str]], percents: dict[str, int]
) -> None:
    """`shares_of` is the inverse of `canary_ingress`, for Services that the primary sends to."""
    primary = ingress(*paths)
    wanted = {
        root: Share(f"{root}-canary", weight)
        for root, weight in percents.items()
        if root in services_of(primary)
    }
    owned = [canary_ingress(primary, root, share, OWNER) for root, share in wanted.items()]
    assert all(is_canary(item) and is_ours(item) for item in owned)
    assert shares_of(primary, owned) == wanted


def _drift(path: tuple[str, ...], value: Any) -> Object:
    return write(canary(), path, value)


DRIFTS = {
    "another weight": ((("metadata", "annotations", NOTE + "canary-weight"), "90"), 90),
    "no number": ((("metadata", "annotations", NOTE + "canary-weight"), "many"), None),
    "not a canary any more": ((("metadata", "annotations", NOTE + "canary"), "false"), None),
    "another class": ((("spec", "ingressClassName"), "other"), None),
    "no rules": ((("spec", "rules"), []), None),
}


@pytest.mark.parametrize(("drift", "weight"), DRIFTS.values(), ids=DRIFTS.keys())
def test_a_canary_ingress_that_somebody_changed_is_not_taken_for_the_split(
    drift: tuple[tuple[str, ...], Any], weight: int | None
) -> None:
    """So it is written anew."""
    shares = shares_of(ingress(("/", "web")), [_drift(*drift)])
    assert shares == ({} if weight is None else {"web": Share("web-canary", weight)})


def test_a_primary_that_changed_makes_its_canary_stale() -> None:
    """A path that the user adds in mid-release is split too."""
    assert shares_of(ingress(("/", "web"), ("/new", "web")), [canary()]) == {}


def test_the_canary_of_another_ingress_says_nothing_about_this_one() -> None:
    """Each stands beside its primary."""
    assert shares_of(ingress(("/", "web"), name="other"), [canary()]) == {}


# Classes


def ingress_class(
    name: str, controller: str = "k8s.io/ingress-nginx", *, default: bool = False
) -> Object:
    """An IngressClass."""
    notes = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "kind": "IngressClass",
        "metadata": {"name": name, "annotations": notes},
        "spec": {"controller": controller},
    }


OLD_CLASS = ingress(("/", "web"), class_name=None)
OLD_CLASS["metadata"]["annotations"]["kubernetes.io/ingress.class"] = "nginx"
NGINX, OTHER = ingress_class("nginx"), ingress_class("haproxy", "haproxy.org/ingress")
CLASSES = {
    "by spec": (ingress(("/", "web")), [NGINX], True),
    "by the old annotation": (OLD_CLASS, [NGINX], True),
    "a class by another name": (
        ingress(("/", "web"), class_name="public"), [ingress_class("public")], True,
    ),
    "another controller": (ingress(("/", "web"), class_name="haproxy"), [NGINX, OTHER], False),
    "a class that is not there": (ingress(("/", "web")), [OTHER], False),
    "the default class": (
        ingress(("/", "web"), class_name=None), [ingress_class("any", default=True), OTHER], True,
    ),
    "no class and no default": (ingress(("/", "web"), class_name=None), [NGINX], False),
    "no class and another default": (
        ingress(("/", "web"), class_name=None), [NGINX, ingress_class("o", "o/o", default=True)],
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("users", "classes", "found"), CLASSES.values(), ids=CLASSES.keys())
def test_an_ingress_is_found_if_its_class_speaks_the_dialect(
    users: Object, classes: list[Object], found: bool
) -> None:
    """By spec, annotation or default."""
    objects = {"Ingress": [users], "IngressClass": classes}
    assert bool(ROUTER.finds(objects, NAMESPACE, frozenset({"web"}))) == found


def test_canaries_and_other_namespaces_are_not_found() -> None:
    """Neither ours nor a canary of the user's own is a primary."""
    users_canary = ingress(("/", "web"), name="mine", canary="true")
    elsewhere = ingress(("/", "web"))
    elsewhere["metadata"]["namespace"] = "billing"
    objects = {"Ingress": [canary(), users_canary, elsewhere], "IngressClass": [NGINX]}
    assert ROUTER.finds(objects, NAMESPACE, frozenset({"web", "web-canary"})) == []


# What the engine asks


def test_a_canary_whose_primary_is_gone_or_sends_elsewhere_is_a_stray() -> None:
    """And only of the asked Services; a canary of the user's own never is."""
    users_canary = ingress(("/", "web"), name="mine", canary="true")
    for primaries in ([], [ingress(("/", "api"))]):
        objects = {"Ingress": [*primaries, canary(), users_canary]}
        assert ROUTER.strays(objects, NAMESPACE, frozenset({"web"})) == ["web.web-canary"]
        assert ROUTER.strays(objects, NAMESPACE, frozenset({"api"})) == []
    objects = {"Ingress": [ingress(("/", "web")), canary()]}
    assert ROUTER.strays(objects, NAMESPACE, frozenset({"web"})) == []


def test_writes_put_what_is_wanted_and_delete_what_is_not() -> None:
    """With no shares the canary Ingress goes; that of another Deployment's Service stays."""
    primary = ingress(("/", "web"), ("/api", "api"))
    other = canary_ingress(primary, "api", Share("api-canary", 5), OWNER)
    objects = {"Ingress": [primary, canary(primary), other], "IngressClass": [NGINX]}
    more = Share("web-canary", 60)
    [put] = ROUTER.writes(objects, primary, {"web": more}, TARGET)
    wanted = canary_ingress(primary, "web", more, OWNER, TARGET.term)
    assert put == Put("Ingress", wanted)
    assert ROUTER.writes(objects, primary, {"web": SHARE}, TARGET) == []
    [gone] = ROUTER.writes(objects, primary, {}, TARGET)
    assert gone == Delete("Ingress", canary(primary))


def test_the_users_ingress_is_never_written() -> None:
    """It does not even know that a release runs."""
    primary = ingress(("/", "web"))
    before = deepcopy(primary)
    for shares in ({"web": SHARE}, {}):
        for made in ROUTER.writes({"Ingress": [primary]}, primary, shares, TARGET):
            assert made.object["metadata"]["name"] != primary["metadata"]["name"]
    assert primary == before
    assert ROUTER.projected(primary) is primary


def test_a_new_leader_does_not_write_what_the_one_before_has_written() -> None:
    """The term alone is no reason for a write; with another weight the canary bears the new one."""
    primary, stored = ingress(("/", "web")), canary()
    objects = {"Ingress": [primary, stored], "IngressClass": []}
    assert ROUTER.writes(objects, primary, {"web": SHARE}, TARGET) == []
    [put] = ROUTER.writes(objects, primary, {"web": Share("web-canary", 30)}, TARGET)
    split = read_intent(Split, put.object["metadata"]["annotations"][names.SPLIT])
    assert split is not None
    assert split.term == TARGET.term
