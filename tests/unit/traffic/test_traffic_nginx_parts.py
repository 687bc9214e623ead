"""The nginx dialect beside a weight: headers, cookies, previews, and what it can't say."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import NAMESPACE, Object, ingress, whole_shares
from webhook import names
from webhook.objects.intent import Share, Sticky
from webhook.objects.steps import HeaderMatch, HeaderRoute, MirrorRoute, StringMatch
from webhook.traffic.contract import Delete, Put, Target, Write
from webhook.traffic.nginx_ingress import ROUTER

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1"}
NOTE = "nginx.ingress.kubernetes.io/"
TARGET = Target(owner=OWNER, namespace=NAMESPACE, services=frozenset({"web", "api"}), term=1)
NGINX: Object = {
    "kind": "IngressClass",
    "metadata": {"name": "nginx"},
    "spec": {"controller": "k8s.io/ingress-nginx"},
}


def header(**value: str) -> HeaderMatch:
    """A header that has to have a value."""
    return HeaderMatch(header_name="X-Canary", header_value=StringMatch(**value))


def cookie(**value: str) -> HeaderMatch:
    """A cookie that has to have a value."""
    return HeaderMatch(cookie_name="who", cookie_value=StringMatch(**value))


def share(*entries: HeaderMatch, **more: Any) -> Share:
    """A share with a header route."""
    return Share("web-canary", 20, headers=(HeaderRoute(name="beta", match=entries),), **more)


class Cluster:
    """Ingresses, and what becomes of them by a router's writes."""

    def __init__(self, *users: Object) -> None:
        self.users = list(users)
        self.ours: dict[str, Object] = {}

    @property
    def objects(self) -> dict[str, list[Object]]:
        return {"Ingress": [*self.users, *self.ours.values()], "IngressClass": [NGINX]}

    def write(self, primary: Object, shares: dict[str, Share], target: Target = TARGET) -> None:
        for write in ROUTER.writes(self.objects, primary, shares, target):
            self._make(write)

    def _make(self, write: Write) -> None:
        name = write.object["metadata"]["name"]
        assert all(user["metadata"]["name"] != name for user in self.users)
        if isinstance(write, Put):
            self.ours[name] = write.object
        elif isinstance(write, Delete):
            del self.ours[name]

    def shares(self, primary: Object) -> dict[str, Share]:
        return ROUTER.shares(self.objects, primary, NAMESPACE)

    def strays(self) -> list[str]:
        return ROUTER.strays(self.objects, NAMESPACE, TARGET.services)


def notes(made: Share, primary: Object | None = None) -> dict[str, str]:
    """The dialect's canary conditions on the canary Ingress for a share."""
    primary = primary or ingress(("/", "web"))
    cluster = Cluster(primary)
    cluster.write(primary, {"web": made})
    found = cluster.ours["web.web-canary"]["metadata"]["annotations"]
    return {key.removeprefix(NOTE): value for key, value in found.items() if NOTE in key}


WEIGHT = {"canary": "true", "canary-weight": "20"}
CONDITIONS = {
    "exact": (header(exact="a.b"), {
        "canary-by-header": "X-Canary", "canary-by-header-value": "a.b"}),
    "prefix": (header(prefix="a."), {
        "canary-by-header": "X-Canary", "canary-by-header-pattern": r"^a\..*$"}),
    "regex": (header(regex="v1|v2"), {
        "canary-by-header": "X-Canary", "canary-by-header-pattern": "^(?:v1|v2)$"}),
    "cookie always": (cookie(exact="always"), {"canary-by-cookie": "who"}),
    "any other cookie": (cookie(exact="yes"), {
        "canary-by-header": "Cookie",
        "canary-by-header-pattern": "^(?:.*;)?[ ]*who=yes[ ]*(?:;.*)?$"}),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "said"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_each_condition_has_its_annotations(entry: HeaderMatch, said: dict[str, str]) -> None:
    """Beside the weight, which stays."""
    assert notes(share(entry)) == WEIGHT | said
    assert ROUTER.lacks({}, ingress(("/", "web")), NAMESPACE, {"web": share(entry)}) is None


def test_a_header_and_the_cookie_always_have_room_together() -> None:
    """The dialect looks at one, then at the other; the same one twice is one."""
    both = share(header(exact="1"), cookie(exact="always"), header(exact="1"))
    assert notes(both).keys() == WEIGHT.keys() | {
        "canary-by-header", "canary-by-header-value", "canary-by-cookie"}  # fmt: skip


LACKS = {
    "two headers": (share(header(exact="1"), header(exact="2")), "room for one header"),
    "two cookies": (share(cookie(exact="always"), HeaderMatch(
        cookie_name="b", cookie_value=StringMatch(exact="always"))), "room for one header"),
    "an empty header": (share(header(exact="")), "an empty header"),
    "no expression": (share(header(regex="v(")), "can't read the expression 'v('"),
    "not in RE2": (share(cookie(regex="(?!x)v")), "RE2 does not know"),
    "a mirror": (Share("web-canary", 5, mirrors=(MirrorRoute(name="m"),)), "can't mirror"),
    "a preview of itself": (Share("web-canary", 5, preview="shop.example"), "one of its own hosts"),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "why"), LACKS.values(), ids=LACKS.keys())
def test_what_the_dialect_can_not_say_is_refused_by_name(asked: Share, why: str) -> None:
    """The sentence names the Ingress; if it is written all the same, only the weight is shown."""
    said = ROUTER.lacks({}, ingress(("/", "web")), NAMESPACE, {"web": asked}) or ""
    assert said.startswith(f"Ingress {NAMESPACE}/web can't ")
    assert why in said
    assert {key for key in notes(asked) if key.startswith("canary-by")} == set()


def test_a_mirror_that_was_taken_away_is_no_obstacle() -> None:
    """Percentage 0 asks for nothing."""
    gone = Share("web-canary", 5, mirrors=(MirrorRoute(name="m", percentage=0),))
    assert ROUTER.lacks({}, ingress(("/", "web")), NAMESPACE, {"web": gone}) is None


def test_stickiness_is_the_ingresss_own_or_there_is_none() -> None:
    """With affinity users stay while the version has traffic; without, it is said."""
    own = ingress(("/", "web"), affinity="cookie")
    sticky = Share("web-canary", 20, sticky=Sticky("seen", 60))
    none = Share("web-canary", 0, sticky=Sticky("seen", 60))
    for asked, behaviour in ((sticky, "sticky"), (none, "legacy"), (share(), "legacy")):
        assert notes(asked, own)["affinity-canary-behavior"] == behaviour
    assert ROUTER.without({}, own, NAMESPACE, {"web": sticky}) == ()
    [said] = ROUTER.without({}, ingress(("/", "web")), NAMESPACE, {"web": sticky})
    assert f"Ingress {NAMESPACE}/web does not bring users back" in said
    assert ROUTER.without({}, ingress(("/", "web")), NAMESPACE, {"web": share()}) == ()


@settings(max_examples=60, deadline=None)
@given(whole_shares(), st.booleans())
def test_the_shares_that_were_written_are_read_back_and_go_without_a_trace(
    wanted: dict[str, Share], affinity: bool
) -> None:
    """Whatever of them the dialect can show; a second write has nothing to do."""
    more = {"affinity": "cookie"} if affinity else {}
    primary = ingress(("/", "web"), ("/api", "api"), **more)
    cluster = Cluster(primary)
    cluster.write(primary, wanted)
    assert cluster.shares(primary) == wanted
    assert ROUTER.writes(cluster.objects, primary, wanted, TARGET) == []
    assert cluster.strays() == []
    cluster.write(primary, {})
    assert cluster.ours == {}


@pytest.mark.parametrize("key", ["canary-by-header", "canary-by-header-value", "rewrite-target"])
def test_a_condition_that_somebody_changed_is_written_anew(key: str) -> None:
    """Anything that the controller reads."""
    primary = ingress(("/", "web"))
    cluster = Cluster(primary)
    cluster.write(primary, {"web": share(header(exact="1"))})
    cluster.ours["web.web-canary"]["metadata"]["annotations"][NOTE + key] = "other"
    assert cluster.shares(primary) == {}
    cluster.write(primary, {"web": share(header(exact="1"))})
    assert cluster.shares(primary) == {"web": share(header(exact="1"))}


# Previews


PREVIEWED = Share("web-canary", 0, preview="next.example")


def test_a_preview_is_the_whole_site_under_another_host_with_the_new_version() -> None:
    """Other Services stay; the class and what shapes requests too."""
    primary = ingress(("/", "web"), ("/api", "api"), rewrite_target="/x", server_alias="a.example")
    primary["spec"]["rules"].append({**primary["spec"]["rules"][0], "host": "b.example"})
    cluster = Cluster(primary)
    cluster.write(primary, {"web": PREVIEWED})
    [preview] = [item for item in cluster.ours.values() if "preview" in item["metadata"]["name"]]
    [rule] = preview["spec"]["rules"]
    assert rule["host"] == "next.example"
    assert [(p["path"], p["backend"]["service"]["name"]) for p in rule["http"]["paths"]] == [
        ("/", "web-canary"), ("/api", "api"),
    ]  # fmt: skip
    assert preview["spec"]["ingressClassName"] == "nginx"
    said = preview["metadata"]["annotations"]
    assert (said[NOTE + "rewrite-target"], NOTE + "server-alias" in said) == ("/x", False)
    assert NOTE + "canary" not in said
    assert preview["metadata"]["ownerReferences"] == [OWNER]
    assert preview["metadata"]["labels"] == {names.CANARY_OF: "web"}


def test_a_default_backend_is_previewed_at_all_paths() -> None:
    """Unless a rule has them."""
    primary = ingress(name="plain")
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    primary["spec"] = {"defaultBackend": backend, "ingressClassName": "nginx"}
    cluster = Cluster(primary)
    cluster.write(primary, {"web": PREVIEWED})
    [preview] = [item for item in cluster.ours.values() if "preview" in item["metadata"]["name"]]
    [path] = preview["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["backend"]["service"]["name"]) == ("/", "web-canary")


def test_a_preview_that_is_gone_or_was_changed_is_written_anew() -> None:
    """It is not read back until it is there."""
    primary = ingress(("/", "web"))
    cluster = Cluster(primary)
    cluster.write(primary, {"web": PREVIEWED})
    assert cluster.shares(primary) == {"web": PREVIEWED}
    [name] = [name for name in cluster.ours if "preview" in name]
    for broken in ({**cluster.ours[name], "spec": {"rules": []}}, None):
        cluster.ours.pop(name)
        cluster.ours |= {name: broken} if broken else {}
        assert cluster.shares(primary) == {"web": Share("web-canary", 0)}
        cluster.write(primary, {"web": PREVIEWED})
        assert cluster.shares(primary) == {"web": PREVIEWED}


def test_a_preview_that_nobody_asks_for_is_a_stray_or_goes_with_its_step() -> None:
    """Also when its Ingress went, or its canary Ingress."""
    primary = ingress(("/", "web"))
    cluster = Cluster(primary)
    cluster.write(primary, {"web": PREVIEWED})
    [name] = [name for name in cluster.ours if "preview" in name]
    cluster.users = []
    assert cluster.strays() == [*cluster.ours]
    cluster.users = [primary]
    assert cluster.strays() == []
    canary = cluster.ours.pop("web.web-canary")
    assert cluster.strays() == [name]
    cluster.ours["web.web-canary"] = canary
    cluster.write(primary, {"web": Share("web-canary", 30)})
    assert [*cluster.ours] == ["web.web-canary"]


def test_two_deployments_behind_one_ingress_share_a_preview_host() -> None:
    """Each exchanges its own Service, and takes only its own away."""
    primary = ingress(("/", "web"), ("/api", "api"))
    cluster = Cluster(primary)
    mine = {root: Target(OWNER, NAMESPACE, frozenset({root}), 1) for root in ("web", "api")}
    api = Share("api-canary", 5, preview="next.example")
    cluster.write(primary, {"web": PREVIEWED}, mine["web"])
    cluster.write(primary, {"api": api}, mine["api"])
    assert cluster.shares(primary) == {"web": PREVIEWED, "api": api}
    cluster.write(primary, {}, mine["web"])
    assert cluster.shares(primary) == {"api": api}
    cluster.write(primary, {}, mine["api"])
    assert cluster.ours == {}


def test_every_ingress_that_uses_the_service_is_named_as_affected() -> None:
    """The dialect attaches a canary to the backend, whatever path it names."""
    primary = ingress(("/", "web"), ("/api", "api"))
    other = ingress(("/old", "web"), name="old")
    third = ingress(("/", "api"), name="api")
    cluster = Cluster(primary, other, third)
    cluster.write(primary, {"web": PREVIEWED})
    affected = ROUTER.affected(cluster.objects, primary, NAMESPACE, frozenset({"web"}))
    assert affected == ("shop.example/", "shop.example/old (Ingress old)")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["web", "api"]), whole_shares(), st.booleans()), max_size=6)
)
def test_two_deployments_behind_one_ingress_do_not_disturb_each_other(
    turns: list[tuple[str, dict[str, Share], bool]],
) -> None:
    """Each writes its own canary Ingress whenever it likes; in the end there is none."""
    primary = ingress(("/", "web"), ("/api", "api"))
    cluster = Cluster(primary)
    wanted: dict[str, Share] = {}
    for root, drawn, ends in [*turns, ("web", {}, True), ("api", {}, True)]:
        mine = {} if ends or root not in drawn else {root: drawn[root]}
        wanted = {key: made for key, made in wanted.items() if key != root} | mine
        cluster.write(primary, mine, Target(OWNER, NAMESPACE, frozenset({root}), 1))
        assert cluster.shares(primary) == wanted
    assert cluster.ours == {}


def test_one_service_behind_several_ingresses_has_a_canary_beside_each() -> None:
    """Deleting one leaves the other's in place, and only the first a stray."""
    first, second = ingress(("/", "web")), ingress(("/old", "web"), name="old")
    cluster = Cluster(first, second)
    for primary in (first, second):
        cluster.write(primary, {"web": share(header(exact="1"))})
    assert sorted(cluster.ours) == ["old.web-canary", "web.web-canary"]
    cluster.users = [second]
    assert cluster.strays() == ["web.web-canary"]
    assert cluster.shares(second) == {"web": share(header(exact="1"))}
