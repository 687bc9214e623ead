"""APISIX's ApisixRoute: ``spec.http[].backends[].weight``.

Source: APISIX ingress controller, reference of ApisixRoute v2; a backend without a weight counts
as 100.
"""

from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.apisix_rules import RULES
from webhook.traffic.splits import read_list
from webhook.traffic.weighted import Dialect, Place, counts_as, places_in, router


def _service(entry: Object, home: str) -> tuple[str, str] | None:
    name = str(entry.get("serviceName") or "")
    return (home, name) if name else None


def _affected(obj: Object, places: frozenset[Place]) -> tuple[str, ...]:
    rules: list[Any] = read_list(obj.get("spec"), "http")
    found = set()
    for place in places:
        match = rules[int(place[2])].get("match") or {}
        for host in read_list(match, "hosts") or ["*"]:
            found |= {f"{host}{path}" for path in read_list(match, "paths") or ["/*"]}
    return tuple(sorted(found))


KIND: Final = "ApisixRoute"
ROUTER: Final = router(
    Dialect(
        group="apisix.apache.org",
        kind=KIND,
        places=places_in("http", "backends"),
        service=_service,
        renamed=lambda entry, canary: {**entry, "serviceName": canary},
        counts=counts_as(100),
        affected=_affected,
        rules=RULES,
    )
)
