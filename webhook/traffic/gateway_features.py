"""What the Gateways of a route can do, by ``GatewayClass.status.supportedFeatures``.

A feature that is not listed is taken as not there: Traefik 3.7 answers 500 to every request of a
rule with a RequestMirror filter, while the route is Accepted and its references are resolved.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.contract import Objects
from webhook.traffic.splits import home_of

MIRROR: Final = "HTTPRouteRequestMirror"
PERCENTAGE: Final = "HTTPRouteRequestPercentageMirror"
SEVERAL: Final = "HTTPRouteRequestMultipleMirrors"
METHOD: Final = "HTTPRouteMethodMatching"
COOKIE: Final = ("HTTPRouteResponseHeaderModification", "HTTPRouteBackendRequestHeaderModification")
"""A response header that one backend sets has no feature name of its own: these two together say
that response headers can be changed, and that a backend may have filters."""


def missing(objects: Objects, route: Object, features: Collection[str]) -> str | None:
    """Which Gateway of the route lacks which feature; None if all are known to have them all."""
    parents = (route.get("spec") or {}).get("parentRefs") or []
    if not parents:
        return "it has no Gateway"
    for parent in parents:
        why = _missing_at(objects, parent, home_of(route), features)
        if why:
            return why
    return None


def gateways(objects: Objects, route: Object) -> Iterator[tuple[Object, Object]]:
    """Each parentRef of the route whose Gateway is known, with the Gateway."""
    for parent in (route.get("spec") or {}).get("parentRefs") or []:
        found = _gateway(objects, parent, home_of(route))
        if found is not None:
            yield parent, found


def _missing_at(objects: Objects, parent: Any, home: str, features: Collection[str]) -> str | None:
    kind, name = parent.get("kind", "Gateway"), parent.get("name")
    where = f"{kind} {parent.get('namespace') or home}/{name}"
    if kind != "Gateway":
        return f"nobody says what its parent {where} supports"
    gateway = _gateway(objects, parent, home)
    if gateway is None:
        return f"its {where} is not there"
    named = (gateway.get("spec") or {}).get("gatewayClassName")
    classes = {item["metadata"]["name"]: item for item in objects.get("GatewayClass", ())}
    have = _supported(classes.get(named, {}))
    lacking = sorted(set(features) - have)
    if not lacking:
        return None
    return f"{where} of class {named} does not say that it supports {' and '.join(lacking)}"


def _gateway(objects: Objects, parent: Any, home: str) -> Object | None:
    if parent.get("kind", "Gateway") != "Gateway":
        return None
    wanted = (parent.get("namespace") or home, parent.get("name"))
    for item in objects.get("Gateway", ()):
        if (item["metadata"].get("namespace"), item["metadata"]["name"]) == wanted:
            return item
    return None


def _supported(gateway_class: Object) -> set[str]:
    """Up to Gateway API v1.1 the list had plain names."""
    listed = (gateway_class.get("status") or {}).get("supportedFeatures") or []
    return {str(item.get("name")) if isinstance(item, dict) else str(item) for item in listed}
