"""How proxies that read lists of weighted Services pick a rule for a request."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway_model import Asked, under
from hypothesis import strategies as st
from weighted_kinds import KINDS, Kind

from tests.strategies import HEADER_MATCHES, REQUEST_MATCHES, TEXTS
from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.objects.steps import HeaderRoute, MirrorRoute

SERVICES = ("web", "web", "api", "legacy")


@dataclass(frozen=True)
class Model:
    """One kind that has rules."""

    kind: Kind
    field: str
    backends: str
    rule: st.SearchStrategy[Object]
    """What a user's rule may have beside its backends."""
    chosen: Callable[[list[Any], Asked], Any]
    """The rule that gets a request, or None."""
    mirrors: Callable[[Object], list[tuple[str, int]]]
    """To which Services a rule sends copies, and of how many percent."""

    mirroring: bool = False
    """Whether such rules can mirror."""

    def made(self, rules: list[Object]) -> Object:
        """An object with these rules."""
        obj = self.kind.made([])
        obj["spec"][self.field] = rules
        return obj

    def rules(self, obj: Object) -> list[Any]:
        """The rules of an object."""
        found: list[Any] = obj["spec"][self.field]
        return found


@st.composite
def users(draw: st.DrawFn, model: Model) -> Object:
    """Objects whose rules overlap in many ways."""
    weights = st.one_of(st.none(), st.integers(0, 3))
    entries = st.lists(
        st.builds(model.kind.entry, st.sampled_from(SERVICES), weights), min_size=1, max_size=3
    )
    count = draw(st.integers(1, 4))
    return model.made([{**draw(model.rule), model.backends: draw(entries)} for _ in range(count)])


@st.composite
def shares(draw: st.DrawFn, most: int = 2) -> dict[str, Share]:
    """Shares with header routes and up to so many mirrors each."""
    headers = st.builds(
        HeaderRoute, name=st.just("h"), match=st.lists(HEADER_MATCHES, max_size=2).map(tuple)
    )
    mirrors = st.builds(
        MirrorRoute,
        name=st.just("m"),
        match=st.lists(REQUEST_MATCHES, max_size=2).map(tuple),
        percentage=st.sampled_from([0, 50, 100]),
    )
    return {
        root: Share(
            canary=f"{root}-canary",
            weight=draw(st.integers(0, 100)),
            headers=tuple(draw(st.lists(headers, max_size=2))),
            mirrors=tuple(draw(st.lists(mirrors, max_size=most))),
        )
        for root in draw(st.sampled_from([["web"], ["web"], ["web", "api"]]))
    }


# Istio


def _istio_text(text: Object | None, value: str | None) -> bool:
    if text is None:
        return True
    if value is None:
        return False
    if "exact" in text:
        return bool(value == text["exact"])
    if "prefix" in text:
        return value.startswith(text["prefix"])
    return re.fullmatch(text["regex"], value) is not None


def _istio_meets(match: Object, asked: Asked) -> bool:
    return (
        _istio_text(match.get("uri"), asked.path)
        and _istio_text(match.get("method"), asked.method)
        and all(
            _istio_text(text, asked.headers.get(name))
            for name, text in match.get("headers", {}).items()
        )
    )


def _istio_chosen(rules: list[Any], asked: Asked) -> Any:
    for rule in rules:
        if any(_istio_meets(match, asked) for match in rule.get("match") or [{}]):
            return rule
    return None


def _istio_mirrors(rule: Object) -> list[tuple[str, int]]:
    if "mirror" not in rule:
        return []
    return [(rule["mirror"]["host"], rule["mirrorPercentage"]["value"])]


_ISTIO_TEXTS = st.one_of(
    TEXTS.map(lambda text: {"exact": text.exact} if text.exact else {"prefix": "v"}),
    st.just({"regex": "v[0-9]|yes"}),
)
_ISTIO_MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "uri": st.sampled_from([{"prefix": "/"}, {"prefix": "/a"}, {"exact": "/a/b"}]),
        "method": st.sampled_from([{"exact": "GET"}, {"exact": "POST"}]),
        "headers": st.dictionaries(st.sampled_from(["x-canary", "x-tenant"]), _ISTIO_TEXTS),
    },
)

# Traefik


class Tie(Exception):
    """Two rules of one priority: nobody says which one it is."""


_CALL = re.compile(r"(\w+)\(`([^`]*)`(?:, `([^`]*)`)?\)")
_TRUTHS = {"(T)": "T", "(F)": "F", "T && T": "T", "T && F": "F", "F && T": "F", "F && F": "F"}
_LATER = {"T || T": "T", "T || F": "T", "F || T": "T", "F || F": "F"}


def _traefik_call(call: re.Match[str], asked: Asked) -> str:
    name, first, second = call.groups()
    said = asked.headers.get(first.lower())
    return "T" if {
        "Host": first == "shop.example",
        "Path": asked.path == first,
        "PathPrefix": asked.path.startswith(first),
        "Method": asked.method == first,
        "Header": said == second,
        "HeaderRegexp": said is not None and re.search(second or "", said) is not None,
    }[name] else "F"  # fmt: skip


def _traefik_meets(match: str, asked: Asked) -> bool:
    said = _CALL.sub(lambda call: _traefik_call(call, asked), match)
    while len(said) > 1:
        before = said
        for table in (_TRUTHS, _LATER):
            if said == before:
                for expression, truth in table.items():
                    said = said.replace(expression, truth)
        assert said != before, said
    return said == "T"


def _traefik_chosen(rules: list[Any], asked: Asked) -> Any:
    met = [rule for rule in rules if _traefik_meets(rule["match"], asked)]
    if not met:
        return None
    priorities = [rule.get("priority") or len(rule["match"]) for rule in met]
    if priorities.count(max(priorities)) > 1:
        raise Tie
    return met[priorities.index(max(priorities))]


_TRAEFIK_MATCHES = st.sampled_from(
    [
        "Host(`shop.example`)",
        "Host(`other.example`)",
        "PathPrefix(`/a`)",
        "PathPrefix(`/ab`)",
        "PathPrefix(`/b`) || Path(`/`)",
        "Host(`shop.example`) && PathPrefix(`/a`)",
        "Host(`shop.example`) && Path(`/a/b`)",
        "Method(`GET`)",
        "Header(`X-Tenant`, `a`)",
    ]
)

# Contour

_CONTOUR_PATHS = ("exact", "regex", "prefix")


def _contour_path(rule: Object) -> tuple[str, str]:
    found = [
        (kind, c[kind]) for c in rule.get("conditions", []) for kind in _CONTOUR_PATHS if kind in c
    ]
    return found[0] if found else ("prefix", "/")


def _contour_headers(rule: Object) -> list[Object]:
    return [c["header"] for c in rule.get("conditions", []) if "header" in c]


def _contour_meets(rule: Object, asked: Asked) -> bool:
    kind, path = _contour_path(rule)
    met = asked.path == path if kind == "exact" else under(asked.path, path)
    for header in _contour_headers(rule):
        said = asked.headers.get(header["name"].lower())
        if said is None:
            return False
        if "exact" in header:
            met = met and said == header["exact"]
        elif "contains" in header:
            met = met and header["contains"] in said
        else:
            met = met and re.fullmatch(header["regex"], said) is not None
    return met


def _contour_chosen(rules: list[Any], asked: Asked) -> Any:
    ranked = [
        ((path[0] == "exact", path[1], len(_contour_headers(rule))), rule)
        for rule in rules
        if _contour_meets(rule, asked) and (path := _contour_path(rule))
    ]
    best = [rule for rank, rule in ranked if rank == max(rank for rank, _ in ranked)]
    if any(rule["services"] != best[0]["services"] for rule in best):
        raise Tie
    return best[0] if best else None


def _contour_mirrors(rule: Object) -> list[tuple[str, int]]:
    return [(s["name"], s.get("weight", 100)) for s in rule["services"] if s.get("mirror")]


_CONTOUR_CONDITIONS = st.tuples(
    st.sampled_from([{"prefix": "/"}, {"prefix": "/a"}, {"exact": "/a/b"}, {}]),
    st.sampled_from(
        [
            [],
            [],
            [{"header": {"name": "X-Tenant", "exact": "a"}}],
            [{"header": {"name": "x-tenant", "exact": "b"}}],
            [{"header": {"name": "X-Canary", "contains": "v"}}],
            [{"header": {"name": "x-who", "exact": "v2"}}, {"header": {"name": "y", "exact": "1"}}],
        ]
    ),
).map(lambda parts: [*([parts[0]] if parts[0] else []), *parts[1]])

# APISIX


def _apisix_meets(match: Object, asked: Asked) -> bool:
    cookies = dict(
        part.strip().split("=", 1) for part in asked.headers.get("cookie", "").split(";") if part
    )
    for expr in match.get("exprs", []):
        name, cookie = expr["subject"]["name"], expr["subject"]["scope"] == "Cookie"
        said = cookies.get(name) if cookie else asked.headers.get(name.lower())
        if expr["op"] == "Equal" and said != expr["value"]:
            return False
        if expr["op"] == "RegexMatch" and (said is None or not re.search(expr["value"], said)):
            return False
    return True


def _apisix_chosen(rules: list[Any], asked: Asked) -> Any:
    ranked = [
        ((len(path), rule.get("priority", 0)), rule)
        for rule in rules
        for path in rule["match"]["paths"]
        if (asked.path == path or (path[-1] == "*" and asked.path.startswith(path[:-1])))
        and _apisix_meets(rule["match"], asked)
    ]
    best = [rule for rank, rule in ranked if rank == max(rank for rank, _ in ranked)]
    if any(rule["backends"] != best[0]["backends"] for rule in best):
        raise Tie
    return best[0] if best else None


_APISIX_MATCHES = st.fixed_dictionaries(
    {"paths": st.lists(st.sampled_from(["/*", "/a*", "/a/b"]), min_size=1, max_size=2)},
    optional={
        "exprs": st.just(
            [{"subject": {"scope": "Header", "name": "X-Tenant"}, "op": "Equal", "value": "a"}]
        )
    },
)

MODELS = {
    model.kind.router.kind: model
    for model in (
        Model(
            kind=KINDS["VirtualService"],
            field="http",
            backends="route",
            rule=st.fixed_dictionaries(
                {}, optional={"match": st.lists(_ISTIO_MATCHES, max_size=2), "name": st.just("n")}
            ),
            chosen=_istio_chosen,
            mirrors=_istio_mirrors,
            mirroring=True,
        ),
        Model(
            kind=KINDS["IngressRoute"],
            field="routes",
            backends="services",
            rule=st.fixed_dictionaries(
                {"kind": st.just("Rule"), "match": _TRAEFIK_MATCHES},
                optional={"priority": st.integers(0, 60)},
            ),
            chosen=_traefik_chosen,
            mirrors=lambda _rule: [],
        ),
        Model(
            kind=KINDS["HTTPProxy"],
            field="routes",
            backends="services",
            rule=st.fixed_dictionaries({}, optional={"conditions": _CONTOUR_CONDITIONS}),
            chosen=_contour_chosen,
            mirrors=_contour_mirrors,
            mirroring=True,
        ),
        Model(
            kind=KINDS["ApisixRoute"],
            field="http",
            backends="backends",
            rule=st.fixed_dictionaries(
                {"match": _APISIX_MATCHES, "name": st.sampled_from("abc")},
                optional={"priority": st.integers(-1, 3)},
            ),
            chosen=_apisix_chosen,
            mirrors=lambda _rule: [],
        ),
    )
}
