"""How Traefik's own kinds name a Service and its weight. Source: Traefik v3, reference."""

from typing import Final

from webhook.objects.raw import Object
from webhook.traffic.weighted import counts_as

GROUP: Final = "traefik.io"
COUNTS: Final = counts_as(1)
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
