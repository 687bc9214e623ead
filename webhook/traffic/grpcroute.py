"""GRPCRoute (Gateway API v1): ``spec.rules[].backendRefs[].weight``.

Source: Gateway API v1, reference of GRPCRoute; a backend without a weight counts as 1, a rule has
at most 16 backends, a rule without matches takes every call. A Service is named as in an
HTTPRoute, and in another namespace it needs the same ReferenceGrant.
"""

from collections.abc import Mapping
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.gateway_status import unprogrammed
from webhook.traffic.httproute_limits import OTHERS
from webhook.traffic.httproute_parts import is_service, objects_in, part_of, rules_of
from webhook.traffic.httproute_weights import LARGEST
from webhook.traffic.splits import read_list
from webhook.traffic.weighted import Dialect, Place, counts_as, places_in, router


def _service(entry: Object, home: str) -> tuple[str, str] | None:
    name = str(entry.get("name") or "")
    return (str(entry.get("namespace") or home), name) if name and is_service(entry) else None


def _affected(route: Object, places: frozenset[Place]) -> tuple[str, ...]:
    """The route's own hosts, with the methods that lead to the Services."""
    rules = rules_of(route)
    methods = {
        _called(part_of(match, "method"))
        for place in places
        for match in objects_in(rules[int(place[2])], "matches") or [{}]
    }
    hosts = read_list(route.get("spec"), "hostnames") or ["*"]
    return tuple(f"{host}{method}" for host in hosts for method in sorted(methods))


def _called(method: Mapping[str, Any]) -> str:
    """A call's path."""
    return f"/{method.get('service') or '*'}/{method.get('method') or '*'}"


KIND: Final = "GRPCRoute"
ROUTER: Final = router(
    Dialect(
        group="gateway.networking.k8s.io",
        kind=KIND,
        places=places_in("rules", "backendRefs"),
        service=_service,
        renamed=lambda entry, canary: {**entry, "name": canary},
        counts=counts_as(1),
        largest=LARGEST,
        most=OTHERS,
        affected=_affected,
        unprogrammed=unprogrammed,
    )
)
