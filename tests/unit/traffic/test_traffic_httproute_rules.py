"""HTTPRoute: header routes, cookies and mirrors, as a Gateway would act on them."""

from typing import Any

import pytest
from gateway_model import REQUESTS, Asked, chosen, means, mirrors, parts, text, under
from hypothesis import assume, given, settings
from msgspec.structs import replace

from tests.strategies import (
    NAMESPACE,
    SPLITS,
    Object,
    backend,
    narrow_routes,
    route,
    route_with,
)
from webhook.objects.intent import Share, Split, Sticky
from webhook.objects.steps import (
    HeaderMatch,
    HeaderRoute,
    MirrorRoute,
    RequestMatch,
    StringMatch,
)
from webhook.traffic.httproute import project, projected, restore
from webhook.traffic.httproute_rules import show

PROPERTY = settings(max_examples=100, deadline=None)
BETA = HeaderMatch(header_name="X-Canary", header_value=StringMatch(exact="yes"))
PLAIN = Share("web-canary", 20)


def by_header(*entries: HeaderMatch, weight: int = 20) -> Share:
    """A share with one header route."""
    return Share("web-canary", weight, headers=(HeaderRoute(name="beta", match=entries),))


def mirroring(*entries: RequestMatch, percentage: int = 100) -> Share:
    """A share with one mirror route."""
    mirror = MirrorRoute(name="shadow", match=entries, percentage=percentage)
    return Share("web-canary", 20, mirrors=(mirror,))


def sticking(weight: int = 20) -> Share:
    """A share whose users come back."""
    return Share("web-canary", weight, sticky=Sticky("seen", 60, value="7f"))


def split(share: Share, *features: Any) -> Split:
    """A split of ``web`` for a router that can do all, unless said otherwise."""
    return Split(shares={"web": share}, features=features or ("mirror", "cookie"))


def rules(users: Object, share: Share) -> list[Any]:
    """The rules that a route shows."""
    shown = project(users, split(share))
    assert project(restore(shown), None) == users
    found: list[Any] = shown["spec"]["rules"]
    return found


def without_features(whole: Split) -> Split:
    """What is asked for only by weight."""
    return Split(shares={k: Share(s.canary, s.weight) for k, s in whole.shares.items()})


@PROPERTY
@given(narrow_routes(), SPLITS)
def test_whatever_is_put_in_comes_out_again_value_for_value(users: Object, whole: Split) -> None:
    """Also looked at twice, and after another split was shown."""
    seen = project(users, whole)
    assert project(restore(seen), None) == users
    assert projected(seen) == seen
    assert project(restore(project(restore(seen), without_features(whole))), whole) == seen


@settings(PROPERTY, max_examples=200)
@given(narrow_routes(), SPLITS, REQUESTS)
def test_each_request_goes_where_user_and_policy_want_it(
    users: Object, whole: Split, asked: Asked
) -> None:
    """To the canary Service alone if an entry matches, else as with weights only."""
    shown = show(users, whole)
    assume(all(refusal.part == "sticky" for refusal in shown.refused))
    weighted = show(users, without_features(whole)).rules
    theirs = chosen(users["spec"]["rules"], asked)
    wanted = parts(chosen(weighted, asked))
    copies = set()
    forgetful = {refusal.key for refusal in shown.refused}
    sent = {
        root: replace(share, sticky=None) if root in forgetful else share
        for root, share in whole.shares.items()
        if f"Service /{root}" in parts(theirs)
    }
    over = {root for root, share in sent.items() if _sent_over(share, asked)}
    for share in sent.values():
        copies |= {share.canary} if _mirrored(share, asked) and not over else set()
    got = chosen(shown.rules, asked)
    if len(over) < 2:  # with two, either is right
        expected = {f"Service /{root}-canary": 1} if (root := next(iter(over), None)) else wanted
        assert parts(got) == expected
    if len(copies) < 2:  # of several conditions the first one counts
        assert set(mirrors(got)) == copies


def _sent_over(share: Share, asked: Asked) -> bool:
    entries = [entry for header in share.headers for entry in header.match]
    if share.sticky and share.weight:
        said = StringMatch(exact=share.sticky.value)
        entries.append(HeaderMatch(cookie_name=share.sticky.cookie, cookie_value=said))
    return any(means(entry, asked) for entry in entries)


def _mirrored(share: Share, asked: Asked) -> bool:
    return any(
        mirror.percentage
        and (not mirror.match or any(_meets(entry, asked) for entry in mirror.match))
        for mirror in share.mirrors
    )


def _meets(entry: RequestMatch, asked: Asked) -> bool:
    path = entry.path
    if path and path.exact is not None and asked.path != path.exact:
        return False
    if path and path.prefix is not None and not under(asked.path, path.prefix):
        return False
    if entry.method and asked.method != entry.method.exact:
        return False
    return all(
        (value := asked.headers.get(name.lower())) is not None and text(wanted, value)
        for name, wanted in entry.headers.items()
    )


# Row by row


def test_a_header_route_is_a_rule_before_the_users_own() -> None:
    """The same but for a match more, the canary Service alone, and the name."""
    users = route([backend("web", 3), backend("legacy")])
    users["spec"]["rules"][0] |= {"name": "shop", "timeouts": {"request": "5s"}}
    put_in, own = rules(users, by_header(BETA))
    assert put_in == {
        "matches": [
            {
                "path": {"type": "PathPrefix", "value": "/"},
                "headers": [{"type": "Exact", "name": "X-Canary", "value": "yes"}],
            }
        ],
        "timeouts": {"request": "5s"},
        "backendRefs": [backend("web-canary", 3)],
    }
    assert own["name"] == "shop"
    assert parts(own) == parts(rules(users, PLAIN)[0])


HEADERS = {
    "exact": (StringMatch(exact="a.b"), {"a.b": True, "axb": False, "a.bc": False}),
    "prefix": (StringMatch(prefix="a."), {"a.b": True, "axb": False, "xa.": False}),
    "regex": (StringMatch(regex="v1|v2"), {"v1": True, "v2": True, "v12": False, "xv2": False}),
    "backtick": (StringMatch(prefix="`"), {"`x": True, "x`": False}),
}


@pytest.mark.parametrize(("value", "cases"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_is_compared_as_a_whole(value: StringMatch, cases: dict[str, bool]) -> None:
    """On gateways that look anywhere in the value, and on those that want all of it."""
    entry = HeaderMatch(header_name="X-Canary", header_value=value)
    shown = rules(route([backend()]), by_header(entry))
    for said, over in cases.items():
        got = chosen(shown, Asked(headers={"x-canary": said}))
        assert (parts(got) == {"Service /web-canary": 1}) == over, said
    assert "`" not in shown[0]["matches"][0]["headers"][0]["value"]


COOKIES = {
    "who=yes": True,
    "a=b; who=yes": True,
    "a=b;who=yes ; c=d": True,
    "who=yes2": False,
    "nowho=yes": False,
    "a=who=yes": False,
    "": False,
}


@pytest.mark.parametrize(("cookie", "over"), COOKIES.items())
def test_a_cookie_is_found_among_others(cookie: str, over: bool) -> None:
    """Its whole name, and its whole value."""
    entry = HeaderMatch(cookie_name="who", cookie_value=StringMatch(exact="yes"))
    got = chosen(rules(route([backend()]), by_header(entry)), Asked(headers={"cookie": cookie}))
    assert (parts(got) == {"Service /web-canary": 1}) == over


def test_entries_of_a_header_route_are_alternatives() -> None:
    """One match for each of the rule's matches and each entry."""
    users = route_with(
        [{"matches": [{"path": {"type": "Exact", "value": p}} for p in ("/a", "/b")],
          "backendRefs": [backend()]}]
    )  # fmt: skip
    other = HeaderMatch(cookie_name="who", cookie_value=StringMatch(exact="yes"))
    assert len(rules(users, by_header(BETA, other))[0]["matches"]) == 4


def test_a_rule_that_gives_the_service_nothing_stays_as_it_is() -> None:
    """Weight 0 is the user's own no; so is a rule without backends."""
    users = route([backend("web", 0), backend("legacy")], [], [backend("legacy")])
    for share in (by_header(BETA), mirroring(), sticking()):
        assert len(rules(users, share)) == 3
        assert rules(users, share) == rules(users, PLAIN)


def test_a_header_route_works_while_the_version_has_no_weight() -> None:
    """That is what it is for."""
    shown = rules(route([backend()]), by_header(BETA, weight=0))
    assert parts(chosen(shown, Asked())) == {"Service /web": 1}
    got = chosen(shown, Asked(headers={"x-canary": "yes"}))
    assert parts(got) == {"Service /web-canary": 1}


def test_all_requests_are_mirrored_by_a_filter_on_the_rule_itself() -> None:
    """After the user's filters; a percentage is named where it is not 100."""
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a"]}}
    users = route_with([{"filters": [header], "backendRefs": [backend(port=81)]}])
    to = {"group": "", "kind": "Service", "name": "web-canary", "port": 81}
    for percentage, more in ((100, {}), (25, {"percent": 25})):
        [only] = rules(users, mirroring(percentage=percentage))
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": to, **more}}
        assert only["filters"] == [header, mirror]
    assert rules(users, mirroring(percentage=0)) == rules(users, PLAIN)


def test_some_requests_are_mirrored_by_a_rule_of_their_own() -> None:
    """It divides the rest as the user's rule does."""
    entry = RequestMatch(path=StringMatch(prefix="/cart"), method=StringMatch(exact="POST"))
    copy, own = rules(route([backend("web", 3), backend("legacy")]), mirroring(entry))
    assert mirrors(copy) == ["web-canary"]
    assert parts(copy) == parts(own)
    assert mirrors(own) == []
    assert copy["matches"] == [{"path": {"type": "PathPrefix", "value": "/cart"}, "method": "POST"}]


def test_a_mirror_of_the_users_own_stays() -> None:
    """It is not ours to take out."""
    to = {"group": "", "kind": "Service", "name": "audit", "port": 80}
    theirs = {"type": "RequestMirror", "requestMirror": {"backendRef": to}}
    users = route_with([{"filters": [theirs], "backendRefs": [backend()]}])
    assert mirrors(rules(users, mirroring())[0]) == ["audit", "web-canary"]


def test_a_user_who_saw_the_new_version_has_a_cookie_and_a_rule_for_it() -> None:
    """Only the new version's answers set it, beside what filters there are."""
    change = {"add": [{"name": "x-a", "value": "b"}], "remove": ["x-c"]}
    theirs = {"type": "ResponseHeaderModifier", "responseHeaderModifier": change}
    put_in, own = rules(route([backend(filters=[theirs])]), sticking())
    assert put_in["matches"][0]["headers"][0]["name"] == "Cookie"
    stable, canary = own["backendRefs"]
    assert stable["filters"] == [theirs]
    cookie = {"name": "Set-Cookie", "value": "seen=7f; Path=/; Max-Age=60"}
    [setter] = canary["filters"]
    assert setter["responseHeaderModifier"] == {**change, "add": [*change["add"], cookie]}


def test_users_leave_a_version_that_lost_its_traffic_whatever_cookie_they_have() -> None:
    """An abort sets the weight to 0, and there is no rule for the cookie any more."""
    assert rules(route([backend()]), sticking(0)) == rules(route([backend()]), Share(
        "web-canary", 0))  # fmt: skip


def test_without_the_router_being_known_to_can_neither_mirrors_nor_cookies_are_shown() -> None:
    """A filter that a Gateway does not know may cost every request."""
    users = route([backend()])
    for share, can in ((mirroring(), "cookie"), (sticking(), "mirror")):
        assert project(users, split(share, can))["spec"] == project(users, split(PLAIN))["spec"]


PREFIX = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch",
          "replacePrefixMatch": "/"}}}  # fmt: skip


def test_a_rule_that_rewrites_its_prefix_keeps_one_match() -> None:
    """The API allows no more, so each entry has a rule of its own."""
    matches = [{"path": {"type": "PathPrefix", "value": "/shop"}}]
    users = route_with([{"matches": matches, "filters": [PREFIX], "backendRefs": [backend()]}])
    other = HeaderMatch(cookie_name="who", cookie_value=StringMatch(exact="yes"))
    assert [len(r["matches"]) for r in rules(users, by_header(BETA, other))] == [1, 1, 1]


def test_two_services_in_one_rule_have_rules_of_their_own() -> None:
    """Each to its canary Service."""
    users = route([backend("web"), backend("api")])
    api = Share("api-canary", 5, headers=(HeaderRoute("b", (HeaderMatch(
        header_name="X-Api", header_value=StringMatch(exact="1")),)),))  # fmt: skip
    both = Split(shares={"web": by_header(BETA), "api": api})
    shown = project(users, both)
    assert project(restore(shown), None) == users
    for name, value, to in (("x-canary", "yes", "web-canary"), ("x-api", "1", "api-canary")):
        got = chosen(shown["spec"]["rules"], Asked(headers={name: value}))
        assert parts(got) == {f"Service /{to}": 1}


def test_a_service_of_another_namespace_has_its_canary_there() -> None:
    """Also as the target of a mirror."""
    users = route([backend("web", namespace=NAMESPACE)])
    users["metadata"]["namespace"] = "edge"
    share = Share("web-canary", 5, headers=by_header(BETA).headers, mirrors=mirroring().mirrors)
    shown = project(users, Split(shares={f"{NAMESPACE}/web": share}, features=("mirror",)))
    put_in, own = shown["spec"]["rules"]
    assert put_in["backendRefs"] == [backend("web-canary", namespace=NAMESPACE)]
    to = own["filters"][0]["requestMirror"]["backendRef"]
    assert (to["namespace"], to["name"]) == (NAMESPACE, "web-canary")
    assert project(restore(shown), None) == users


# What can't be shown is not, and is told


def many(count: int) -> Object:
    """A route with so many rules."""
    return route_with(
        [
            {"matches": [{"path": {"type": "Exact", "value": f"/{i}"}}], "backendRefs": [backend()]}
            for i in range(count)
        ]
    )


def having(match: Object, *more: Object, filters: Any = ()) -> Object:
    """A route whose first rule has a match, before other rules of another Service."""
    first: Object = {"matches": [match], "backendRefs": [backend()]}
    if filters:
        first["filters"] = list(filters)
    return route_with([first, *({"matches": [m], "backendRefs": [backend("api")]} for m in more)])


ROOT = {"path": {"type": "PathPrefix", "value": "/"}}
SHOP = {"path": {"type": "PathPrefix", "value": "/shop"}}
TENANT = {**ROOT, "headers": [{"type": "RegularExpression", "name": "x-canary", "value": "y.*"}]}
WITH_COOKIE = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {
    "set": [{"name": "set-cookie", "value": "a=b"}]}}]  # fmt: skip
CART = RequestMatch(path=StringMatch(prefix="/shop/cart"))
REFUSED = {
    "too many rules": (many(9), by_header(BETA), "would have 18 rules"),
    "too many backends": (route([backend("web", port=i) for i in range(1, 10)]), PLAIN,
                          "would have 18 backends"),
    "a header twice": (having(TENANT), by_header(BETA), "asks for the header X-Canary twice"),
    "no header name": (many(1), by_header(HeaderMatch(
        header_name="X Canary", header_value=StringMatch(exact="1"))), "can't name the header"),
    "an empty value": (many(1), by_header(HeaderMatch(
        header_name="X", header_value=StringMatch(exact=""))), "a header of 0 characters"),
    "a path that is none": (route([backend()]), mirroring(RequestMatch(
        path=StringMatch(exact="shop"))), "can't match the path 'shop'"),
    "a method by pattern": (many(1), mirroring(RequestMatch(
        method=StringMatch(prefix="P"))), "matches a method by a pattern"),
    "two expressions": (having(SHOP), mirroring(RequestMatch(
        path=StringMatch(regex="/s.*"))), "matches a path by an expression"),
    "a rule that would lose requests": (having(ROOT, SHOP), mirroring(CART), "from its rule 2"),
    "a parameter that would lose": (
        having(ROOT, {**ROOT, "queryParams": [{"name": "q", "value": "1"}]}), by_header(BETA),
        "from its rule 2"),
    "a prefix that is rewritten": (having(SHOP, filters=[PREFIX]), mirroring(CART),
                                   "rewrites a path prefix"),
    "a cookie of their own": (route([backend(filters=WITH_COOKIE)]), sticking(),
                              "sets a cookie already"),
}  # fmt: skip


@pytest.mark.parametrize(("users", "share", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_route_has_no_room_or_words_for_is_left_out(
    users: Object, share: Share, why: str
) -> None:
    """The write would be refused, or other requests would go astray; the rest is shown."""
    [refusal] = show(users, split(share)).refused
    assert why in refusal.why
    rest = rules(users, share)
    if share is PLAIN:
        assert rest == users["spec"]["rules"]
    else:
        assert rest == rules(users, Share(share.canary, share.weight))
