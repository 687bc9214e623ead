"""How proxies that read lists of weighted Services pick a rule for a request."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway_model import Asked
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
        ),
    )
}
