"""Traefik's IngressRoute: ``spec.routes[].services[].weight``.

Source: Traefik v3, reference of the kind; a service without a weight counts as 1.
"""

from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.splits import read_list
from webhook.traffic.traefik_rules import RULES
from webhook.traffic.traefik_services import COUNTS, GROUP, NAMED_AT_0, renamed, service
from webhook.traffic.weighted import Dialect, Place, places_in, router


def _affected(obj: Object, places: frozenset[Place]) -> tuple[str, ...]:
    """Their match expressions say it as exactly as can be."""
    routes: list[Any] = read_list(obj.get("spec"), "routes")
    return tuple(str(routes[place[2]].get("match")) for place in sorted(places))  # type: ignore[index]


KIND: Final = "IngressRoute"
ROUTER: Final = router(
    Dialect(
        group=GROUP,
        kind=KIND,
        places=places_in("routes", "services"),
        service=service,
        renamed=renamed,
        counts=COUNTS,
        named_at_0=NAMED_AT_0,
        affected=_affected,
        rules=RULES,
    )
)
