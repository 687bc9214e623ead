"""Header routes and mirrors of an HTTPProxy: a copy of a route with one condition more.

Source: Contour v1, reference of HTTPProxy, its processor and the order in which it sorts routes.
All conditions of a route have to be met. Of two routes with the same path the one with more
conditions on headers goes first, whatever their order; of two with the same conditions only one
is kept. A header by expression, and a mirror of some percent, came with version 1.26. A route has
one mirror, which stands among its services; ``weight`` is its percentage, all if left out.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch
from webhook.traffic.patterns import Inexpressible, condition
from webhook.traffic.splits import read_list
from webhook.traffic.weighted_rules import At, Rules

Conditions: TypeAlias = list[Object]

_PATHS: Final = ("prefix", "exact", "regex")


def is_mirror(entry: Any) -> bool:
    """Whether a service gets copies, and takes no part in the weights."""
    return isinstance(entry, dict) and bool(entry.get("mirror"))


def _narrowed(at: At, entries: Sequence[HeaderMatch]) -> list[Object]:
    """One for each entry, since all conditions of a route have to be met."""
    there = _conditions(at.rule)
    out: list[Object] = []
    for entry in entries:
        conditions = _with_header(there, entry)
        if conditions is not None:
            _overtakes_nobody(at, conditions)
            copy = {**at.rule, "conditions": conditions}
            out += [] if copy in out else [copy]
    return out


def _with_header(conditions: Conditions, entry: HeaderMatch) -> Conditions | None:
    """Both at once; None if no request can meet both."""
    wanted = condition(entry)
    exact = wanted.value.exact
    text = {"regex": wanted.pattern} if exact is None else {"exact": exact}
    for there in _headers(conditions):
        if str(there.get("name")).lower() != wanted.name.lower():
            continue
        if exact is not None and there.get("exact") not in (None, "", exact):
            return None
        raise Inexpressible(f"asks for the header {wanted.name} already in a route")
    return [*conditions, {"header": {"name": wanted.name, **text}}]


def _overtakes_nobody(at: At, copy: Conditions) -> None:
    """A route of the same path that went before the user's must still go before the copy."""
    own, path = _conditions(at.rule), _path(copy)
    count, queries = len(_headers(own)), _queries(own)
    for place, route in enumerate(at.rules):
        other = _conditions(route)
        if place == at.place or at.sends(route) or _path(other) != path or _apart(copy, other):
            continue
        theirs = len(_headers(other))
        behind = theirs < count or (theirs == count and _queries(other) < queries)
        if not behind and theirs <= count + 1:
            raise Inexpressible(f"would take requests from its route {place + 1}")


def _apart(one: Conditions, other: Conditions) -> bool:
    """Whether surely no request meets both: a header would have to have two values."""
    values = {str(h.get("name")).lower(): h["exact"] for h in _headers(one) if h.get("exact")}
    return any(
        h.get("exact") and values.get(str(h.get("name")).lower(), h["exact"]) != h["exact"]
        for h in _headers(other)
    )


def _path(conditions: Conditions) -> tuple[str, str]:
    found = ((kind, str(c[kind])) for c in conditions for kind in _PATHS if c.get(kind))
    return next(found, ("prefix", "/"))


def _conditions(route: Any) -> Conditions:
    return [each for each in read_list(route, "conditions") if isinstance(each, dict)]


def _headers(conditions: Conditions) -> list[Object]:
    return [c["header"] for c in conditions if isinstance(c.get("header"), dict)]


def _queries(conditions: Conditions) -> int:
    return sum("queryParameter" in each for each in conditions)


def _mirrored(route: Object, backend: Object, percent: int) -> Object:
    services = read_list(route, "services")
    if any(is_mirror(entry) for entry in services):
        raise Inexpressible("would have two mirrors in one route")
    share = {"weight": percent} if percent < 100 else {}
    return {**route, "services": [*services, {**backend, "mirror": True, **share}]}


def _unmirrored(route: Object, ours: Callable[[Object], bool]) -> Object:
    services = read_list(route, "services")
    kept = [s for s in services if not (is_mirror(s) and ours({**s, "mirror": False}))]
    return route if len(kept) == len(services) else {**route, "services": kept}


RULES: Final = Rules(
    field="routes",
    backends="services",
    narrowed=_narrowed,
    mirrored=_mirrored,
    unmirrored=_unmirrored,
)
