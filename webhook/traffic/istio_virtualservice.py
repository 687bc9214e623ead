"""Istio's VirtualService: ``spec.http[].route[].weight``, and the same of ``tcp`` and ``tls``.

Source: Istio, reference of VirtualService. Alone in its list, a destination takes everything;
otherwise one without a weight takes nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.splits import read_list
from webhook.traffic.weighted import Dialect, Place, places_in, router, weight_in

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


def _affected(obj: Object, _places: frozenset[Place]) -> tuple[str, ...]:
    return tuple(str(host) for host in read_list(obj.get("spec"), "hosts"))


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
    )
)
