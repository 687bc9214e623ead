"""Kinds that list weighted Services: header routes, cookies and mirrors, as proxies see them."""

from copy import deepcopy
from fractions import Fraction
from typing import Any

import pytest
from gateway_model import REQUESTS, Asked, means, text, under
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from weighted_models import MODELS, Model, Tie, shares, users

from tests.strategies import NAMESPACE
from webhook.objects.intent import Share, Split
from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, HeaderRoute, MirrorRoute, RequestMatch, StringMatch

PROPERTY = settings(max_examples=100, deadline=None)
ISTIO, TRAEFIK = MODELS["VirtualService"], MODELS["IngressRoute"]
CONTOUR, APISIX = MODELS["HTTPProxy"], MODELS["ApisixRoute"]
EVERY = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
MIRRORING = pytest.mark.parametrize("model", [m for m in MODELS.values() if m.mirroring])
BETA = HeaderMatch(header_name="X-Canary", header_value=StringMatch(exact="yes"))
COOKIE = HeaderMatch(cookie_name="who", cookie_value=StringMatch(exact="yes"))


def by_header(*entries: HeaderMatch, weight: int = 20) -> Share:
    """A share with one header route."""
    return Share("web-canary", weight, headers=(HeaderRoute(name="beta", match=entries),))


def mirroring(*entries: RequestMatch, percentage: int = 100) -> Share:
    """A share with one mirror route."""
    mirror = MirrorRoute(name="shadow", match=entries, percentage=percentage)
    return Share("web-canary", 20, mirrors=(mirror,))


def project(model: Model, obj: Object, asked: dict[str, Share]) -> Object:
    """The object while Services are split."""
    assert model.kind.router.shown
    return model.kind.router.shown.project(obj, Split(shares=asked))


def behind(model: Model, new: Object, old: Object | None = None) -> Object:
    """The user's object behind another, without what is decided about it."""
    assert model.kind.router.shown
    return model.kind.router.shown.project(model.kind.router.shown.restore(new, old), None)


def parts(model: Model, rule: Any) -> dict[str, Fraction]:
    """The part of its requests that each Service gets."""
    entries = [e for e in rule[model.backends] if not e.get("mirror")] if rule else []
    weights = model.kind.implied([entry.get("weight") for entry in entries])
    out: dict[str, Fraction] = {}
    for entry, weight in zip(entries, weights, strict=True):
        name = model.kind.name(entry)
        out[name] = out.get(name, Fraction(0)) + Fraction(weight, sum(weights) or 1)
    return {name: part for name, part in out.items() if part}


def rules(model: Model, obj: Object, share: Share) -> list[Any]:
    """The rules that an object of the user's shows."""
    shown = project(model, obj, {"web": share})
    assert behind(model, shown) == obj
    assert model.kind.router.projected(shown) == shown
    return model.rules(shown)


def without(asked: dict[str, Share]) -> dict[str, Share]:
    """What is asked for only by weight."""
    return {key: Share(share.canary, share.weight) for key, share in asked.items()}


@EVERY
@PROPERTY
@given(st.data(), shares())
def test_whatever_is_put_in_comes_out_again_value_for_value(
    model: Model, data: st.DataObject, asked: dict[str, Share]
) -> None:
    """Also looked at twice, and after another split was shown."""
    obj = data.draw(users(model))
    seen = project(model, obj, asked)
    assert behind(model, seen) == obj
    assert model.kind.router.projected(seen) == seen
    weighted = project(model, behind(model, seen), without(asked))
    assert project(model, behind(model, weighted), asked) == seen


@EVERY
@settings(PROPERTY, max_examples=200)
@given(st.data(), shares(most=1), REQUESTS)
def test_each_request_goes_where_user_and_policy_want_it(
    model: Model, data: st.DataObject, asked: dict[str, Share], request_: Asked
) -> None:
    """To the canary Service alone if an entry matches, else as with weights only."""
    obj = data.draw(users(model))
    asked = {key: share if model.mirroring else _mirrorless(share) for key, share in asked.items()}
    assume(model.kind.router.lacks({}, obj, NAMESPACE, asked) is None)
    try:
        theirs = parts(model, model.chosen(model.rules(obj), request_))
    except Tie:
        reject()
    plain = parts(model, model.chosen(model.rules(project(model, obj, without(asked))), request_))
    sent = {root: share for root, share in asked.items() if root in theirs}
    over = {root for root, share in sent.items() if _sent_over(share, request_)}
    if len(over) > 1:
        return  # either is right
    got = model.chosen(model.rules(project(model, obj, asked)), request_)
    if over:
        assert parts(model, got) == {f"{over.pop()}-canary": 1}
    else:
        assert parts(model, got) == plain
        wanted = {(s.canary, m.percentage) for s in sent.values() for m in _mirrored(s, request_)}
        assert set(model.mirrors(got) if got else []) == wanted or len(wanted) > 1


def _mirrorless(share: Share) -> Share:
    return Share(share.canary, share.weight, headers=share.headers)


def _sent_over(share: Share, asked: Asked) -> bool:
    return any(means(entry, asked) for header in share.headers for entry in header.match)


def _mirrored(share: Share, asked: Asked) -> list[MirrorRoute]:
    return [
        mirror
        for mirror in share.mirrors
        if mirror.percentage
        and (not mirror.match or any(_meets(entry, asked) for entry in mirror.match))
    ]


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


# Rule by rule


PLAIN: dict[str, Object] = {
    "IngressRoute": {"match": "PathPrefix(`/`)", "kind": "Rule"},
    "ApisixRoute": {"match": {"paths": ["/*"]}, "name": "all"},
}


def plain(model: Model, *names: str) -> Object:
    """An object with one rule for all requests."""
    rule = PLAIN.get(model.kind.router.kind, {})
    weight = 50 if len(names) > 1 else None
    return model.made([{**rule, model.backends: [model.kind.entry(n, weight) for n in names]}])


HEADERS = {
    "exact": (StringMatch(exact="a.b"), {"a.b": True, "axb": False, "a.bc": False}),
    "prefix": (StringMatch(prefix="a."), {"a.b": True, "axb": False, "xa.": False}),
    "regex": (StringMatch(regex="v1|v2"), {"v1": True, "v2": True, "v12": False, "xv2": False}),
    "backtick": (StringMatch(exact="`"), {"`": True, "x`": False}),
}


@EVERY
@pytest.mark.parametrize(("value", "cases"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_is_compared_as_a_whole(
    model: Model, value: StringMatch, cases: dict[str, bool]
) -> None:
    """Also while the version has no weight: that is what a header route is for."""
    entry = HeaderMatch(header_name="X-Canary", header_value=value)
    shown = rules(model, plain(model, "web"), by_header(entry, weight=0))
    for said, over in cases.items():
        got = model.chosen(shown, Asked(headers={"x-canary": said}))
        assert (parts(model, got) == {"web-canary": 1}) == over, said


@EVERY
@pytest.mark.parametrize(
    ("cookie", "over"),
    [
        ("who=yes", True),
        ("a=b; who=yes", True),
        ("a=b;who=yes ; c=d", True),
        ("who=yes2", False),
        ("nowho=yes", False),
        ("a=who=yes", False),
    ],
)
def test_a_cookie_is_found_among_others(model: Model, cookie: str, over: bool) -> None:
    """Its whole name, and its whole value."""
    shown = rules(model, plain(model, "web"), by_header(COOKIE))
    got = model.chosen(shown, Asked(headers={"cookie": cookie}))
    assert (parts(model, got) == {"web-canary": 1}) == over


@EVERY
def test_other_rules_and_services_stay_as_they_are(model: Model) -> None:
    """A rule that gives the Service nothing gets no copy."""
    shown = rules(model, plain(model, "legacy"), by_header(BETA))
    assert shown == model.rules(plain(model, "legacy"))


@EVERY
def test_users_apply_their_manifest_in_mid_release_and_the_header_route_stays(
    model: Model,
) -> None:
    """What they wrote has no rule of ours: it is taken as it stands, and shown again."""
    before, asked = plain(model, "web"), {"web": by_header(BETA)}
    seen, edited = project(model, before, asked), plain(model, "web", "legacy")
    edited["metadata"] = seen["metadata"]
    assert model.rules(behind(model, edited, seen)) == model.rules(plain(model, "web", "legacy"))


@EVERY
def test_an_edit_of_what_is_shown_keeps_both_the_edit_and_the_header_route(model: Model) -> None:
    """`kubectl edit` in mid-release reads the projection and writes it back, changed."""
    seen = deepcopy(project(model, plain(model, "web", "legacy"), {"web": by_header(BETA)}))
    for rule in model.rules(seen):
        rule["timeout"] = "5s"
    [back] = model.rules(behind(model, seen))
    assert back["timeout"] == "5s"
    assert back[model.backends] == model.rules(plain(model, "web", "legacy"))[0][model.backends]


@EVERY
def test_a_header_that_no_proxy_could_read_is_refused_before_anything_moves(model: Model) -> None:
    """The rest is shown."""
    for entry, why in (
        (HeaderMatch(header_name="X Y", header_value=StringMatch(exact="1")), "can't name"),
        (HeaderMatch(header_name="X", header_value=StringMatch(exact="")), "empty value"),
        (HeaderMatch(header_name="X", header_value=StringMatch(regex="(")), "can't read"),
    ):
        said = model.kind.router.lacks(
            {}, plain(model, "web"), NAMESPACE, {"web": by_header(entry)}
        )
        assert said
        assert said.startswith(f"{model.kind.router.kind} {NAMESPACE}/shop can't carry the header")
        assert why in said
        shown = rules(model, plain(model, "web"), by_header(entry))
        assert shown == rules(model, plain(model, "web"), Share("web-canary", 20))


@EVERY
@pytest.mark.parametrize("odd", [7, None, "x", [3], {"a": 1}])
def test_what_no_schema_allows_is_left_for_the_api_server_to_refuse(model: Model, odd: Any) -> None:
    """It checks after admission, and says better what is wrong; whatever is odd comes back."""
    everything = Share("web-canary", 20, headers=by_header(BETA, COOKIE).headers,
                       mirrors=mirroring().mirrors)  # fmt: skip
    obj = users_of_all(model)
    for place in places(obj["spec"]):
        broken = deepcopy(obj)
        here = broken["spec"]
        for step in place[:-1]:
            here = here[step]
        here[place[-1]] = odd
        seen = project(model, broken, {"web": everything})
        if "weight" not in place:
            assert behind(model, seen) == broken, place
        model.kind.router.lacks({}, broken, NAMESPACE, {"web": everything})


def users_of_all(model: Model) -> Object:
    """An object with rules for the Service and for another one."""
    first, second = (
        model.rules(plain(model, *names))[0] for names in (("web", "legacy"), ("api",))
    )
    more: Object = {
        "VirtualService": {"match": [{"uri": {"prefix": "/a"}, "headers": {"x": {"exact": "1"}}}]},
        "HTTPProxy": {"conditions": [{"prefix": "/a"}, {"header": {"name": "x", "exact": "1"}}]},
    }.get(model.kind.router.kind, {})
    return model.made([{**first, **more}, {**second, **more}])


def places(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything inside."""
    found = (
        part.items()
        if isinstance(part, dict)
        else enumerate(part)
        if isinstance(part, list)
        else ()
    )
    return [p for key, inner in found for p in [(*path, key), *places(inner, (*path, key))]]


@MIRRORING
def test_requests_are_mirrored_where_the_rule_stands(model: Model) -> None:
    """All of them on the rule itself; a percentage of 0 takes the mirror away."""
    for percentage in (100, 25):
        [only] = rules(model, plain(model, "web"), mirroring(percentage=percentage))
        assert model.mirrors(only) == [("web-canary", percentage)]
    [none] = rules(model, plain(model, "web"), mirroring(percentage=0))
    assert model.mirrors(none) == []


@MIRRORING
def test_two_mirrors_in_one_rule_are_refused(model: Model) -> None:
    """The second one would push out the first."""
    twice = Share("web-canary", 20, mirrors=mirroring().mirrors * 2)
    said = model.kind.router.lacks({}, plain(model, "web"), NAMESPACE, {"web": twice})
    assert said
    assert said.startswith(f"{model.kind.router.kind} {NAMESPACE}/shop can't mirror requests: it ")


# What is special about Istio


def istio(**rule: Any) -> Object:
    """A VirtualService with one rule."""
    return ISTIO.made([{**rule, "route": [{"destination": {"host": "web"}}]}])


def test_a_virtual_service_has_a_copy_before_each_rule_with_a_condition_in_every_match() -> None:
    """It keeps what the rule does, and not its name or subset."""
    match = [{"uri": {"prefix": "/a"}, "gateways": ["edge"]}, {"headers": {"x-b": {"exact": "1"}}}]
    destination = {"host": "web.shop.svc.cluster.local", "subset": "eu"}
    users_ = istio(name="shop", match=match, timeout="5s")
    users_["spec"]["http"][0]["route"] = [{"destination": destination}]
    put_in, own = rules(ISTIO, users_, by_header(BETA))
    assert put_in == {
        "match": [
            {
                "uri": {"prefix": "/a"},
                "gateways": ["edge"],
                "headers": {"x-canary": {"exact": "yes"}},
            },
            {"headers": {"x-b": {"exact": "1"}, "x-canary": {"exact": "yes"}}},
        ],
        "timeout": "5s",
        "route": [{"destination": {"host": "web-canary.shop.svc.cluster.local"}}],
    }
    assert own["name"] == "shop"


def test_a_rule_of_a_virtual_service_without_matches_gets_one_in_its_copy() -> None:
    """Which stands for all requests with that header."""
    put_in, own = rules(ISTIO, istio(), by_header(BETA))
    assert put_in["match"] == [{"headers": {"x-canary": {"exact": "yes"}}}]
    assert "match" not in own


def test_redirects_delegates_and_answers_of_a_virtual_service_are_left_alone() -> None:
    """They send to no Service."""
    others: list[Object] = [
        {"redirect": {"uri": "/new"}},
        {"delegate": {"name": "other"}},
        {"directResponse": {"status": 503}},
    ]
    users_ = istio()
    users_["spec"]["http"] = [*others, *users_["spec"]["http"]]
    assert rules(ISTIO, users_, by_header(BETA))[:3] == others


def test_some_requests_are_mirrored_by_a_rule_of_their_own() -> None:
    """It divides the rest as the user's rule does; a prefix of a path means whole elements."""
    entry = RequestMatch(path=StringMatch(prefix="/cart"), method=StringMatch(exact="POST"))
    copy, own = rules(ISTIO, plain(ISTIO, "web", "legacy"), mirroring(entry))
    assert ISTIO.mirrors(copy) == [("web-canary", 100)]
    assert parts(ISTIO, copy) == parts(ISTIO, own)
    assert copy["match"] == [
        {"method": {"exact": "POST"}, "uri": {"exact": "/cart"}},
        {"method": {"exact": "POST"}, "uri": {"prefix": "/cart/"}},
    ]


def test_a_rule_of_a_virtual_service_outlives_a_user_who_takes_the_service_out_of_it() -> None:
    """Although what is left begins with the canary Service and mirrors to it."""
    seen = deepcopy(project(ISTIO, plain(ISTIO, "web", "legacy"), {"web": mirroring()}))
    [rule] = ISTIO.rules(seen)
    rule["route"] = [entry for entry in rule["route"] if entry["destination"]["host"] != "web"]
    [back] = ISTIO.rules(behind(ISTIO, seen))
    assert back["route"] == [{"destination": {"host": "legacy"}, "weight": 50}]
    assert "mirror" not in back


CONNECTIONS: Object = {"match": [{"port": 443, "sniHosts": ["shop.example"]}]}
REFUSED = {
    "a mirror of their own": (istio(mirror={"host": "audit"}), mirroring(), "two mirrors"),
    "mirrors of their own": (
        istio(mirrors=[{"destination": {"host": "audit"}}]),
        mirroring(),
        "two mirrors",
    ),
    "a header twice": (
        istio(match=[{"headers": {"x-canary": {"regex": ".*"}}}]),
        by_header(BETA),
        "the header X-Canary already",
    ),
    "a path by two expressions": (
        istio(match=[{"uri": {"regex": "/.*"}}]),
        mirroring(RequestMatch(path=StringMatch(prefix="/a"))),
        "the path already",
    ),
    "a path in any case": (
        istio(match=[{"uri": {"prefix": "/a"}, "ignoreUriCase": True}]),
        mirroring(RequestMatch(path=StringMatch(prefix="/a/b"))),
        "in any case",
    ),
    "a path that is rewritten": (
        istio(match=[{"uri": {"prefix": "/a"}}], rewrite={"uri": "/"}),
        mirroring(RequestMatch(path=StringMatch(prefix="/a/b"))),
        "rewrites a path",
    ),
}


@pytest.mark.parametrize(("obj", "share", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_virtual_service_has_no_words_for_is_said_and_left_out(
    obj: Object, share: Share, why: str
) -> None:
    """Weights are shown all the same."""
    said = ISTIO.kind.router.lacks({}, obj, NAMESPACE, {"web": share})
    assert said
    assert why in said
    assert rules(ISTIO, obj, share) == rules(ISTIO, obj, Share("web-canary", 20))


def test_a_virtual_service_that_others_delegate_to_takes_no_expressions() -> None:
    """Istio's own webhook would refuse the write; values and prefixes it takes."""
    obj = istio()
    del obj["spec"]["hosts"]
    assert ISTIO.kind.router.lacks({}, obj, NAMESPACE, {"web": by_header(BETA)}) is None
    said = ISTIO.kind.router.lacks({}, obj, NAMESPACE, {"web": by_header(COOKIE)})
    assert said
    assert "is delegated to" in said


def test_a_virtual_service_that_only_passes_connections_on_cannot_look_at_headers() -> None:
    """The Service is in a rule for TLS, which stays encrypted."""
    obj = istio()
    obj["spec"]["tls"] = [{**CONNECTIONS, "route": obj["spec"].pop("http")[0]["route"]}]
    assert "http" not in project(ISTIO, obj, {"web": by_header(BETA)})["spec"]
    said = ISTIO.kind.router.lacks({}, obj, NAMESPACE, {"web": by_header(BETA)})
    assert said
    assert "only connections" in said


# What is special about Traefik


def traefik(match: str, *others: str, **more: Any) -> Object:
    """An IngressRoute with a route to the Service, and routes to another one."""
    routes = [{"match": match, "services": [{"name": "web", "port": 80}], **more}]
    return TRAEFIK.made(
        [*routes, *({"match": o, "services": [{"name": "api", "port": 80}]} for o in others)]
    )


def test_an_ingressroute_has_a_copy_of_a_route_with_one_condition_more() -> None:
    """And its middlewares; entries are alternatives. It goes just before its own route."""
    match, middlewares = "Host(`a`) || Host(`b`)", [{"name": "auth"}]
    put_in, own = rules(TRAEFIK, traefik(match, middlewares=middlewares), by_header(BETA, COOKIE))
    assert put_in["services"] == [{"name": "web-canary", "port": 80}]
    assert put_in["middlewares"] == middlewares
    assert put_in["match"].startswith(
        "(Host(`a`) || Host(`b`)) && (Header(`X-Canary`, `yes`) || HeaderRegexp(`Cookie`, `^"
    )
    assert put_in["priority"] == len(match) + 1
    assert "priority" not in own


def test_a_route_keeps_its_own_priority_and_the_copy_has_the_next() -> None:
    """Also where it is below 0."""
    for priority in (10, -5):
        put_in, own = rules(TRAEFIK, traefik("Host(`a`)", priority=priority), by_header(BETA))
        assert (put_in["priority"], own["priority"]) == (priority + 1, priority)


def test_a_narrower_route_still_goes_before_the_copy_of_a_wider_one() -> None:
    """The copy's rule is the longest of all, and would go first without a priority of its own."""
    obj = traefik("Host(`shop.example`)", "Host(`shop.example`) && PathPrefix(`/a`)")
    shown = rules(TRAEFIK, obj, by_header(BETA))
    got = TRAEFIK.chosen(shown, Asked(path="/a", headers={"x-canary": "yes"}))
    assert parts(TRAEFIK, got) == {"api": 1}


def test_a_route_in_the_syntax_of_v2_has_its_names_of_functions() -> None:
    """They mean the same."""
    [put_in, _] = rules(TRAEFIK, traefik("Host(`a`)", syntax="v2"), by_header(BETA, COOKIE))
    assert "&& (Headers(`X-Canary`, `yes`) || HeadersRegexp(`Cookie`, `^" in put_in["match"]


def regex(value: str) -> Share:
    """A header route by an expression."""
    return by_header(HeaderMatch(header_name="X", header_value=StringMatch(regex=value)))


REFUSED_BY_TRAEFIK = {
    "a route of the next priority": (
        traefik("PathPrefix(`/a`)", "Path(`/a/b/c/de`)"),
        by_header(BETA),
        "no priority between its routes 1 and 2",
    ),
    "a backquote": (traefik("Host(`a`)"), regex("a`b"), "can't have a backquote"),
    "priority -1": (traefik("Host(`a`)", priority=-1), by_header(BETA), "no number is next"),
    "a double wildcard": (traefik("Host(`**.a`)"), by_header(BETA), "a host with **"),
}


@pytest.mark.parametrize(
    ("obj", "share", "why"), REFUSED_BY_TRAEFIK.values(), ids=REFUSED_BY_TRAEFIK.keys()
)
def test_what_an_ingressroute_has_no_words_for_is_said_and_left_out(
    obj: Object, share: Share, why: str
) -> None:
    """Weights are shown all the same."""
    said = TRAEFIK.kind.router.lacks({}, obj, NAMESPACE, {"web": share})
    assert said
    assert why in said
    assert rules(TRAEFIK, obj, share) == rules(TRAEFIK, obj, Share("web-canary", 20))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PathPrefix(`/a`)", "PathPrefix(`/bc`)"),
        ("PathPrefix(`/a/b`)", "PathPrefix(`/a/cd`)"),
        ("Host(`a`)", "Host(`bc`)"),
        ("Path(`/a`)", "Path(`/bc`)"),
        ("Path(`/abcdefg`)", "PathPrefix(`/bc`)"),
    ],
)
def test_routes_that_no_request_meets_both_need_no_priority_between_them(
    one: str, other: str
) -> None:
    """Their rules are as long as if they did."""
    assert len(other) == len(one) + 1
    assert (
        TRAEFIK.kind.router.lacks({}, traefik(one, other), NAMESPACE, {"web": by_header(BETA)})
        is None
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Path(`/a`)", "Path(`/a`) && Method(`GET`)"),
        ("PathPrefix(`/a/b`)", "PathPrefix(`/a`)"),
        ("PathPrefix(`/a`)", "PathPrefix(`/a/b`)"),
        ("Host(`a`)", "Host(`b`) || Path(`/`)"),
    ],
)
def test_routes_that_some_request_meets_both_need_a_priority_between_them(
    one: str, other: str
) -> None:
    """Unless both lead to the same Service: then that other route has a copy before it."""
    obj = traefik(one, other, priority=7)
    obj["spec"]["routes"][1]["priority"] = 8
    said = TRAEFIK.kind.router.lacks({}, obj, NAMESPACE, {"web": by_header(BETA)})
    assert said
    assert "no priority between its routes 1 and 2" in said
    obj["spec"]["routes"][1]["services"] = obj["spec"]["routes"][0]["services"]
    assert TRAEFIK.kind.router.lacks({}, obj, NAMESPACE, {"web": by_header(BETA)}) is None


# What is special about Contour


def contour(*conditions: Object, others: Any = (), **more: Any) -> Object:
    """An HTTPProxy with a route to the Service, and routes to another one."""
    own = {"conditions": list(conditions), "services": [{"name": "web", "port": 80}], **more}
    theirs = [{"conditions": each, "services": [{"name": "api", "port": 80}]} for each in others]
    return CONTOUR.made([own, *theirs])


def having(name: str, **text: str) -> Object:
    """A condition on a header."""
    return {"header": {"name": name, **text}}


def test_an_httpproxy_has_a_copy_of_a_route_for_each_entry_of_a_header_route() -> None:
    """All conditions of a route have to be met, so entries can't share one."""
    shown = rules(
        CONTOUR, contour({"prefix": "/a"}, enableWebsockets=True), by_header(BETA, COOKIE)
    )
    first, second, own = shown
    for copy in (first, second):
        assert copy["services"] == [{"name": "web-canary", "port": 80}]
        assert copy["enableWebsockets"] is True
    assert first["conditions"] == [{"prefix": "/a"}, having("X-Canary", exact="yes")]
    assert second["conditions"][1]["header"]["name"] == "Cookie"
    assert "regex" in second["conditions"][1]["header"]
    assert own["conditions"] == [{"prefix": "/a"}]


def test_a_mirror_of_an_httpproxy_is_one_more_service_of_the_route() -> None:
    """Its weight is a percentage, whatever the weights of the others were multiplied by."""
    [whole] = rules(CONTOUR, contour(), mirroring())
    assert whole["services"][-1] == {"name": "web-canary", "port": 80, "mirror": True}
    share = mirroring(percentage=25)
    [part] = rules(CONTOUR, contour(), Share("web-canary", 33, mirrors=share.mirrors))
    to = {"name": "web-canary", "port": 80, "mirror": True, "weight": 25}
    assert part["services"][-1] == to


REFUSED_BY_CONTOUR = {
    "another condition on a header": (
        contour(others=[[having("x-team", exact="qa")]]),
        by_header(BETA),
        "would take requests from its route 2",
    ),
    "the same condition": (
        contour(others=[[having("X-Canary", exact="yes")]]),
        by_header(BETA),
        "would take requests from its route 2",
    ),
    "as many conditions": (
        contour(having("x-b", exact="1"), others=[[having("x-a", exact="1")]]),
        by_header(BETA),
        "would take requests from its route 2",
    ),
    "a header twice": (
        contour(having("x-canary", contains="y")),
        by_header(BETA),
        "asks for the header X-Canary already",
    ),
    "a mirror of their own": (
        contour(services=[{"name": "web", "port": 80}, {"name": "s", "port": 80, "mirror": True}]),
        mirroring(),
        "two mirrors",
    ),
    "some requests": (
        contour(),
        mirroring(RequestMatch(path=StringMatch(prefix="/a"))),
        "mirrors all requests",
    ),
    "connections": (
        CONTOUR.made([]) | {"spec": {"tcpproxy": {"services": [{"name": "web", "port": 80}]}}},
        by_header(BETA),
        "only connections",
    ),
}


@pytest.mark.parametrize(
    ("obj", "share", "why"), REFUSED_BY_CONTOUR.values(), ids=REFUSED_BY_CONTOUR.keys()
)
def test_what_an_httpproxy_has_no_words_for_is_said_and_left_out(
    obj: Object, share: Share, why: str
) -> None:
    """Weights are shown all the same."""
    said = CONTOUR.kind.router.lacks({}, obj, NAMESPACE, {"web": share})
    assert said
    assert why in said
    bare = {"web": Share("web-canary", 20)}
    assert project(CONTOUR, obj, {"web": share})["spec"] == project(CONTOUR, obj, bare)["spec"]


@pytest.mark.parametrize(
    "other",
    [
        [{"prefix": "/b"}, having("x-team", exact="qa")],
        [having("x-a", exact="1"), having("x-b", exact="1")],
        [having("x-canary", exact="no")],
    ],
    ids=["another path", "two more conditions", "another value"],
)
def test_routes_of_an_httpproxy_that_the_copy_takes_nothing_from_are_no_hindrance(
    other: Any,
) -> None:
    """They go before it as they went before its own route, or get other requests."""
    obj = contour(others=[other])
    assert CONTOUR.kind.router.lacks({}, obj, NAMESPACE, {"web": by_header(BETA)}) is None


# What is special about APISIX


def apisix(path: str, other: str, priority: int) -> Object:
    """An ApisixRoute with a rule to the Service, and one of that priority to another one."""
    own, theirs = (
        {"backends": [{"serviceName": name, "servicePort": 80}]} for name in ("web", "api")
    )
    match: Object = {"paths": [path], "hosts": ["shop.example"]}
    return APISIX.made(
        [
            {"name": "own", "match": match, **own},
            {"name": "theirs", "match": {"paths": [other]}, "priority": priority, **theirs},
        ]
    )


def test_an_apisixroute_has_a_copy_for_each_entry_at_its_end() -> None:
    """The controller numbers what it makes by their order: the user's own keep their numbers."""
    shown = rules(APISIX, apisix("/*", "/a*", 0), by_header(BETA, COOKIE))
    assert [rule["name"] for rule in shown[:2]] == ["own", "theirs"]
    assert len({rule["name"] for rule in shown}) == 4
    first, second = shown[2:]
    assert first["priority"] == second["priority"] == 1
    assert first["backends"] == [{"serviceName": "web-canary", "servicePort": 80}]
    assert first["match"] == {
        "paths": ["/*"],
        "hosts": ["shop.example"],
        "exprs": [
            {"subject": {"scope": "Header", "name": "X-Canary"}, "op": "Equal", "value": "yes"}
        ],
    }
    [expr] = second["match"]["exprs"]
    assert expr["subject"] == {"scope": "Cookie", "name": "who"}


def test_rules_of_an_apisixroute_need_a_priority_between_them_only_for_the_same_path() -> None:
    """A longer path goes first whatever the priorities."""
    asked = {"web": by_header(BETA)}
    said = APISIX.kind.router.lacks({}, apisix("/*", "/*", 1), NAMESPACE, asked)
    assert said
    assert "no priority between its rules 1 and 2" in said
    assert APISIX.kind.router.lacks({}, apisix("/*", "/*", 2), NAMESPACE, asked) is None
    assert APISIX.kind.router.lacks({}, apisix("/*", "/a*", 1), NAMESPACE, asked) is None
