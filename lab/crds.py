"""CRDs of routers whose own are not to be had as packages: the names and versions, and no schema.

What their users write is taken as it is, so the API server prunes and defaults nothing. Where a
router's controller runs in the lab, the controller itself judges the objects.
"""

from typing import Any, Final

Object = dict[str, Any]


def without_schema(group: str, version: str, kind: str, plural: str) -> Object:
    """A CRD of a namespaced kind that takes any ``spec`` and ``status``."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


TRAEFIK: Final = [
    without_schema("traefik.io", "v1alpha1", kind, plural)
    for kind, plural in (
        ("IngressRoute", "ingressroutes"),
        ("IngressRouteTCP", "ingressroutetcps"),
        ("IngressRouteUDP", "ingressrouteudps"),
        ("Middleware", "middlewares"),
        ("MiddlewareTCP", "middlewaretcps"),
        ("ServersTransport", "serverstransports"),
        ("ServersTransportTCP", "serverstransporttcps"),
        ("TLSOption", "tlsoptions"),
        ("TLSStore", "tlsstores"),
        ("TraefikService", "traefikservices"),
    )
]
"""All that Traefik's own provider watches: it does not start before every one is there."""
