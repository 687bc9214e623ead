"""Contour's HTTPProxy: ``spec.routes[].services[].weight`` and ``spec.tcpproxy.services[].weight``.

Source: Contour v1, reference of HTTPProxy and its processor. A service without a weight counts
as 0, unless no service of the route has one: then all count alike. A service that is a mirror
gets copies and takes no part.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.contour_rules import RULES, is_mirror
from webhook.traffic.splits import read_list
from webhook.traffic.weighted import Dialect, Place, places_in, router, weight_in


def _places(obj: Object) -> Iterable[Place]:
    return [*places_in("routes", "services")(obj), ("spec", "tcpproxy", "services")]


def _service(entry: Object, home: str) -> tuple[str, str] | None:
    name = str(entry.get("name") or "")
    return (home, name) if name and not entry.get("mirror") else None


def _counts(entries: Sequence[Any]) -> list[int]:
    weights = [weight_in(entry) or 0 for entry in entries]
    taking = [isinstance(entry, dict) and not entry.get("mirror") for entry in entries]
    if any(weight for weight, takes in zip(weights, taking, strict=True) if takes):
        return weights
    return [int(takes) or weight for weight, takes in zip(weights, taking, strict=True)]


def _affected(obj: Object, places: frozenset[Place]) -> tuple[str, ...]:
    spec = obj.get("spec") or {}
    host = str((spec.get("virtualhost") or {}).get("fqdn") or "*")
    routes: list[Any] = read_list(spec, "routes")
    prefixes = {
        str(condition.get("prefix") or condition.get("exact") or "/")
        for place in places
        if place[1] == "routes"
        for condition in read_list(routes[int(place[2])], "conditions") or [{}]
    }
    return tuple(f"{host}{prefix}" for prefix in sorted(prefixes))


def unprogrammed(obj: Object) -> str | None:
    """Why the object's present generation is not known to be valid; None if it is.

    Contour reports the condition ``Valid``. An object that nobody reports on has nothing to wait
    for.
    """
    generation = (obj.get("metadata") or {}).get("generation", 0)
    for condition in read_list(obj.get("status"), "conditions"):
        if condition.get("type") != "Valid":
            continue
        if condition.get("observedGeneration", 0) < generation:
            return f"Contour has not reported Valid for generation {generation}"
        if condition.get("status") != "True":
            return f"Contour says Valid is {condition.get('status')}: {condition.get('message')}"
    return None


KIND: Final = "HTTPProxy"
ROUTER: Final = router(
    Dialect(
        group="projectcontour.io",
        kind=KIND,
        places=_places,
        service=_service,
        renamed=lambda entry, canary: {**entry, "name": canary},
        counts=_counts,
        affected=_affected,
        unprogrammed=unprogrammed,
        aside=is_mirror,
        rules=RULES,
    )
)
