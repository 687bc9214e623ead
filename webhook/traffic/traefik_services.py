"""How Traefik's own kinds name a Service and its weight. Source: Traefik v3, reference."""

from collections.abc import Sequence
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.traffic.weighted import weight_in

GROUP: Final = "traefik.io"
LARGEST: Final = 2**31 - 1
NAMED_AT_0: Final = False
"""Unless it runs with ``allowEmptyServices``, Traefik answers 404 for everything while one Service
of a list has no endpoint, whatever its weight (seen on 3.7). So it is listed with weight only."""


def service(entry: Object, home: str) -> tuple[str, str] | None:
    """(namespace, name) of a Service; None for a TraefikService and Traefik's internal ones."""
    name = str(entry.get("name") or "")
    if entry.get("kind", "Service") != "Service" or not name or "@" in name:
        return None
    return str(entry.get("namespace") or home), name


def renamed(entry: Object, canary: str) -> Object:
    """The entry with another Service."""
    return {**entry, "name": canary}


def counts(entries: Sequence[Any]) -> list[int]:
    """A service without a weight counts as 1."""
    weights = [weight_in(entry) for entry in entries]
    return [1 if weight is None else max(0, weight) for weight in weights]
