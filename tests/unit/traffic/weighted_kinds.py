"""Objects of the kinds that list weighted Services, as their users write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.strategies import NAMESPACE
from webhook.objects.raw import Object
from webhook.traffic import (
    apisix_route,
    contour_httpproxy,
    grpcroute,
    istio_virtualservice,
    traefik_ingressroute,
    traefik_service,
)
from webhook.traffic.contract import Router

Entry = Callable[[str, int | None], Object]


@dataclass(frozen=True)
class Kind:
    """How to write one kind, and what it makes of weights that are left out."""

    router: Router
    version: str
    entry: Entry
    """A backend by the name of its Service; None for no weight."""
    spec: Callable[[Sequence[list[Any]]], Object]
    """The spec with these lists of backends."""
    read: Callable[[Object], list[list[Any]]]
    name: Callable[[Object], str]
    implied: Callable[[list[int | None]], list[int]]
    """How weights count."""
    lists: int = 3
    """How many lists an object may have."""

    def made(self, *lists: list[Any]) -> Object:
        """An object with these lists."""
        return {
            "apiVersion": f"{self.router.group}/{self.version}",
            "kind": self.router.kind,
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": self.spec(lists),
        }


def _weighted(entry: Object, weight: int | None) -> Object:
    return entry if weight is None else {**entry, "weight": weight}


def _with_port(name: str, weight: int | None) -> Object:
    return _weighted({"name": name, "port": 80}, weight)


def _by_default(default: int) -> Callable[[list[int | None]], list[int]]:
    return lambda weights: [default if weight is None else weight for weight in weights]


def _in_contour(weights: list[int | None]) -> list[int]:
    counted = [weight or 0 for weight in weights]
    return counted if any(counted) else [1 for _ in weights]


def _in_istio(weights: list[int | None]) -> list[int]:
    return [weights[0] or 100] if len(weights) == 1 else [weight or 0 for weight in weights]


KINDS = {
    kind.router.kind: kind
    for kind in (
        Kind(
            router=grpcroute.ROUTER,
            version="v1",
            entry=_with_port,
            spec=lambda lists: {
                "parentRefs": [{"name": "public", "namespace": "infra"}],
                "hostnames": ["shop.example"],
                "rules": [
                    {"matches": [{"method": {"service": f"shop.V{i}"}}], "backendRefs": entries}
                    for i, entries in enumerate(lists)
                ],
            },
            read=lambda obj: [rule["backendRefs"] for rule in obj["spec"]["rules"]],
            name=lambda entry: str(entry["name"]),
            implied=_by_default(1),
        ),
        Kind(
            router=traefik_ingressroute.ROUTER,
            version="v1alpha1",
            entry=_with_port,
            spec=lambda lists: {
                "entryPoints": ["web"],
                "routes": [
                    {"match": f"PathPrefix(`/{i}`)", "kind": "Rule", "services": entries}
                    for i, entries in enumerate(lists)
                ],
            },
            read=lambda obj: [route["services"] for route in obj["spec"]["routes"]],
            name=lambda entry: str(entry["name"]),
            implied=_by_default(1),
        ),
        Kind(
            router=traefik_service.ROUTER,
            version="v1alpha1",
            entry=_with_port,
            spec=lambda lists: {"weighted": {"services": lists[0], "sticky": {"cookie": {}}}},
            read=lambda obj: [obj["spec"]["weighted"]["services"]],
            name=lambda entry: str(entry["name"]),
            implied=_by_default(1),
            lists=1,
        ),
        Kind(
            router=contour_httpproxy.ROUTER,
            version="v1",
            entry=_with_port,
            spec=lambda lists: {
                "virtualhost": {"fqdn": "shop.example"},
                "routes": [
                    {"conditions": [{"prefix": f"/{i}"}], "services": entries}
                    for i, entries in enumerate(lists)
                ],
            },
            read=lambda obj: [route["services"] for route in obj["spec"]["routes"]],
            name=lambda entry: str(entry["name"]),
            implied=_in_contour,
        ),
        Kind(
            router=istio_virtualservice.ROUTER,
            version="v1",
            entry=lambda name, weight: _weighted({"destination": {"host": name}}, weight),
            spec=lambda lists: {
                "hosts": ["shop.example"],
                "http": [
                    {"match": [{"uri": {"prefix": f"/{i}"}}], "route": entries}
                    for i, entries in enumerate(lists)
                ],
            },
            read=lambda obj: [rule["route"] for rule in obj["spec"]["http"]],
            name=lambda entry: str(entry["destination"]["host"]).partition(".")[0],
            implied=_in_istio,
        ),
        Kind(
            router=apisix_route.ROUTER,
            version="v2",
            entry=lambda name, weight: _weighted({"serviceName": name, "servicePort": 80}, weight),
            spec=lambda lists: {
                "http": [
                    {
                        "name": f"rule-{i}",
                        "match": {"hosts": ["shop.example"], "paths": [f"/{i}/*"]},
                        "backends": entries,
                    }
                    for i, entries in enumerate(lists)
                ]
            },
            read=lambda obj: [rule["backends"] for rule in obj["spec"]["http"]],
            name=lambda entry: str(entry["serviceName"]),
            implied=_by_default(100),
        ),
    )
}
