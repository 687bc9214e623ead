"""APISIX's ApisixRoute: ``spec.http[].backends[].weight``.

Source: APISIX ingress controller, reference of ApisixRoute v2; a backend without a weight counts
as 100.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.splits import read_list
from webhook.traffic.weighted import Dialect, Place, router, weight_in

_IMPLIED: Final = 100


def _places(obj: Object) -> Iterable[Place]:
    return [("spec", "http", i, "backends") for i in range(len(read_list(obj.get("spec"), "http")))]


def _service(entry: Object, home: str) -> tuple[str, str] | None:
    name = str(entry.get("serviceName") or "")
    return (home, name) if name else None


def _counts(entries: Sequence[Any]) -> list[int]:
    weights = [weight_in(entry) for entry in entries]
    return [_IMPLIED if weight is None else max(0, weight) for weight in weights]


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
        places=_places,
        service=_service,
        renamed=lambda entry, canary: {**entry, "serviceName": canary},
        counts=_counts,
        largest=2**31 - 1,
        affected=_affected,
    )
)
