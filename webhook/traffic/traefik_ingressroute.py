"""Traefik's IngressRoute: ``spec.routes[].services[].weight``.

Source: Traefik v3, reference of the kind; a service without a weight counts as 1.
"""

from collections.abc import Iterable
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.splits import read_list
from webhook.traffic.traefik_services import GROUP, LARGEST, NAMED_AT_0, counts, renamed, service
from webhook.traffic.weighted import Dialect, Place, router


def _places(obj: Object) -> Iterable[Place]:
    routes = read_list(obj.get("spec"), "routes")
    return [("spec", "routes", i, "services") for i in range(len(routes))]


def _affected(obj: Object, places: frozenset[Place]) -> tuple[str, ...]:
    """Their match expressions say it as exactly as can be."""
    routes: list[Any] = read_list(obj.get("spec"), "routes")
    return tuple(str(routes[place[2]].get("match")) for place in sorted(places))  # type: ignore[index]


KIND: Final = "IngressRoute"
ROUTER: Final = router(
    Dialect(
        group=GROUP,
        kind=KIND,
        places=_places,
        service=service,
        renamed=renamed,
        counts=counts,
        largest=LARGEST,
        named_at_0=NAMED_AT_0,
        affected=_affected,
    )
)
