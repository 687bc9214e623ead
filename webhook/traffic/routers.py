"""Every router that Slipway knows: one row each."""

from collections.abc import Mapping
from typing import Final

from webhook.traffic import httproute, nginx_ingress
from webhook.traffic.contract import Router

ROUTERS: Final[Mapping[str, Router]] = {
    httproute.KIND: httproute.ROUTER,
    nginx_ingress.KIND: nginx_ingress.ROUTER,
}
