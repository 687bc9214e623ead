"""Every router that Slipway knows: one row each."""

from collections.abc import Mapping
from typing import Final

from webhook.traffic import (
    apisix_route,
    contour_httpproxy,
    emissary_mapping,
    grpcroute,
    httproute,
    ingress,
    istio_virtualservice,
    traefik_ingressroute,
    traefik_service,
)
from webhook.traffic.contract import Router

ROUTERS: Final[Mapping[str, Router]] = {
    router.kind: router
    for router in (
        httproute.ROUTER,
        grpcroute.ROUTER,
        ingress.ROUTER,
        traefik_ingressroute.ROUTER,
        traefik_service.ROUTER,
        contour_httpproxy.ROUTER,
        istio_virtualservice.ROUTER,
        apisix_route.ROUTER,
        emissary_mapping.ROUTER,
    )
}
