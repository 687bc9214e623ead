"""How the API server finds the resource metrics API that the node serves."""

from typing import Any, Final

ADDRESS: Final = "10.244.255.9"  # pods get none of these
PORT: Final = 4443
API_SERVICE: Final = "v1beta1.metrics.k8s.io"
CPU: Final = "lab.slipway.dev/cpu"
"""Annotation on a namespace: the CPU that its pods use together, as a quantity, e.g. ``1800m``."""

_NAME: Final = "lab-metrics"
_NAMESPACE: Final = "kube-system"
_META: Final = {"name": _NAME, "namespace": _NAMESPACE}

OBJECTS: Final[list[dict[str, Any]]] = [
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _META,
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": PORT}]},
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**_META, "labels": {"kubernetes.io/service-name": _NAME}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
    },
    {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API_SERVICE},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": _NAME, "namespace": _NAMESPACE},
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,  # nobody else is in the lab's network
        },
    },
]
