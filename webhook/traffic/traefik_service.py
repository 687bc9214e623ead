"""Traefik's TraefikService: ``spec.weighted.services[].weight``.

Source: Traefik v3, reference of the kind; a service without a weight counts as 1.
"""

from typing import Final

from webhook.traffic.traefik_services import COUNTS, GROUP, NAMED_AT_0, renamed, service
from webhook.traffic.weighted import Dialect, router

KIND: Final = "TraefikService"
ROUTER: Final = router(
    Dialect(
        group=GROUP,
        kind=KIND,
        places=lambda _obj: [("spec", "weighted", "services")],
        service=service,
        renamed=renamed,
        counts=COUNTS,
        named_at_0=NAMED_AT_0,
    )
)
