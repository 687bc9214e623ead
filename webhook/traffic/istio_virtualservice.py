"""Istio's VirtualService: ``spec.http[].route[].weight``, and the same of ``tcp`` and ``tls``.

Source: Istio, reference of VirtualService. Alone in its list, a destination takes everything;
otherwise one without a weight takes nothing. Rules of ``http`` are looked at in their order. A rule
mirrors to one destination (``mirror``) or to several (``mirrors``). Where a rule is delegated,
Istio's own webhook refuses expressions on both sides.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, RequestMatch
from webhook.traffic.istio_matches import (
    asks_by_expression,
    narrowed_by_header,
    narrowed_by_request,
)
from webhook.traffic.patterns import Inexpressible
from webhook.traffic.splits import read_list
from webhook.traffic.weighted import Dialect, Place, places_in, router, weight_in
from webhook.traffic.weighted_rules import At, Rules

T = TypeVar("T", HeaderMatch, RequestMatch)

_PROTOCOLS: Final = ("http", "tcp", "tls")
_SERVICE: Final = ("svc", "cluster", "local")


def _places(obj: Object) -> Iterable[Place]:
    return [place for protocol in _PROTOCOLS for place in places_in(protocol, "route")(obj)]


def _service(entry: Object, home: str) -> tuple[str, str] | None:
    """A short name is of the VirtualService's own namespace."""
    destination = entry.get("destination")
    host = str(destination.get("host") or "") if isinstance(destination, dict) else ""
    name, *rest = host.split(".")
    if not name or "*" in host:
        return None
    inside = rest[1:] == list(_SERVICE[: len(rest) - 1]) if rest else True
    return ((rest[0] if rest else home), name) if inside else None


def _renamed(entry: Object, canary: str) -> Object:
    """The host in the form in which the user wrote it.

    A subset stays behind: pods of the new version need not have the labels that it asks for.
    """
    destination = dict(entry["destination"])
    _, dot, rest = str(destination["host"]).partition(".")
    destination["host"] = f"{canary}{dot}{rest}"
    destination.pop("subset", None)
    return {**entry, "destination": destination}


def _counts(entries: Sequence[Any]) -> list[int]:
    if len(entries) == 1:
        return [100 if weight_in(entries[0]) in (None, 0) else weight_in(entries[0]) or 0]
    return [weight_in(entry) or 0 for entry in entries]


def _left_behind(entry: Object) -> str | None:
    subset = entry["destination"].get("subset")
    said = f"the DestinationRule that has the subset {subset} says nothing of the new version"
    return said if subset else None


def _affected(obj: Object, _places: frozenset[Place]) -> tuple[str, ...]:
    return tuple(str(host) for host in read_list(obj.get("spec"), "hosts"))


def _narrowed(at: At, entries: Sequence[HeaderMatch]) -> list[Object]:
    return _copy(at, entries, narrowed_by_header)


def _some(at: At, entries: Sequence[RequestMatch]) -> list[Object]:
    made = _copy(at, entries, narrowed_by_request)
    rewrites = isinstance(at.rule.get("rewrite"), dict) and "uri" in at.rule["rewrite"]
    if made and rewrites and any(entry.path for entry in entries):
        raise Inexpressible("rewrites a path, of which a prefix may be what it matches")
    return made


def _copy(
    at: At, entries: Sequence[T], narrow: Callable[[Object, T], list[Object]]
) -> list[Object]:
    """Every match with every entry; a name is for logs, and stays with the user's rule."""
    delegated = not (at.object.get("spec") or {}).get("hosts")
    if delegated and any(asks_by_expression(entry) for entry in entries):
        raise Inexpressible("is delegated to, and Istio takes no expressions there")
    made: list[Object] = []
    for match in [m for m in read_list(at.rule, "match") if isinstance(m, dict)] or [{}]:
        for entry in entries:
            made += [both for both in narrow(match, entry) if both not in made]
    rest = {field: value for field, value in at.rule.items() if field != "name"}
    return [{**rest, "match": made}] if made else []


_MIRRORS: Final = ("mirror", "mirrors", "mirrorPercent", "mirrorPercentage")


def _mirrored(rule: Object, backend: Object, percent: int) -> Object:
    if any(field in rule for field in _MIRRORS):
        raise Inexpressible("would have two mirrors in one rule")
    share = {"value": percent}
    return {**rule, "mirror": backend["destination"], "mirrorPercentage": share}


def _unmirrored(rule: Object, ours: Callable[[Object], bool]) -> Object:
    if not ours({"destination": rule.get("mirror")}):
        return rule
    mine = ("mirror", "mirrorPercentage")
    return {field: value for field, value in rule.items() if field not in mine}


KIND: Final = "VirtualService"
ROUTER: Final = router(
    Dialect(
        group="networking.istio.io",
        kind=KIND,
        places=_places,
        service=_service,
        renamed=_renamed,
        counts=_counts,
        affected=_affected,
        left_behind=_left_behind,
        rules=Rules(
            field="http",
            backends="route",
            narrowed=_narrowed,
            some=_some,
            mirrored=_mirrored,
            unmirrored=_unmirrored,
        ),
    )
)
