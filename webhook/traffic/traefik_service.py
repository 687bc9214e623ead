"""Traefik's TraefikService: ``spec.weighted.services[].weight``.

Source: Traefik v3, reference of the kind; a service without a weight counts as 1. The cookie of
``weighted.sticky`` says which Service answered first, that of an entry which pod of it did.
"""

from typing import Final

from webhook.objects.raw import Object
from webhook.projection.fields import read
from webhook.traffic.traefik_services import COUNTS, GROUP, NAMED_AT_0, renamed, service
from webhook.traffic.weighted import Dialect, router


def _brings_back(obj: Object) -> bool:
    return isinstance(read(obj, ("spec", "weighted", "sticky", "cookie")), dict)


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
        brings_back=_brings_back,
    )
)
