"""Traefik as the data plane: Ingress in the nginx dialect, the Gateway API, and its own kinds."""

from pathlib import Path
from typing import Any, Final

from lab import binaries
from lab.processes import Process, Processes

WEB_PORT: Final = 8000
"""Where Traefik serves, on 127.0.0.1 inside the lab."""
METRICS_PORT: Final = 8080
"""Where its API, dashboard and /metrics are."""
CLASS: Final = "nginx"
"""Name of the IngressClass."""
PLAIN_CLASS: Final = "plain"
"""Name of an IngressClass of Traefik's own provider, which knows no weights."""
GATEWAY: Final = "lab"
"""Name of the Gateway, in the namespace `default`; routes of every namespace may attach."""
QUICK: Final = "100ms"
"""How long changes are gathered before they go live: quick for tests. Users have 2s."""

OBJECTS: Final[list[dict[str, Any]]] = [
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": PLAIN_CLASS},
        "spec": {"controller": "traefik.io/ingress-controller"},
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "traefik"},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": GATEWAY, "namespace": "default"},
        "spec": {
            "gatewayClassName": "traefik",
            "listeners": [
                {
                    "name": "web",
                    "protocol": "HTTP",
                    "port": WEB_PORT,  # must be the port of an entry point
                    "allowedRoutes": {"namespaces": {"from": "All"}},
                }
            ],
        },
    },
]


def start(processes: Processes, kubeconfig: Path, throttle: str = QUICK) -> Process:
    """Start Traefik; ``throttle`` as in its flag providersThrottleDuration, e.g. ``2s``."""
    return processes.spawn(
        "traefik", [binaries.traefik(), *_flags(throttle)], {"KUBECONFIG": str(kubeconfig)}
    )


def _flags(throttle: str) -> list[str]:
    return [
        f"--entrypoints.web.address=127.0.0.1:{WEB_PORT}",
        f"--entrypoints.traefik.address=127.0.0.1:{METRICS_PORT}",
        "--api.insecure=true",
        "--ping=true",
        "--providers.kubernetesingressnginx=true",
        "--providers.kubernetesingress=true",
        "--providers.kubernetesgateway=true",
        "--providers.kubernetescrd=true",
        # Without it one backend with no endpoint answers 404 for all, whatever its weight.
        "--providers.kubernetescrd.allowemptyservices=true",
        "--metrics.prometheus=true",
        f"--providers.providersthrottleduration={throttle}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=INFO",
    ]
