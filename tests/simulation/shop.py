"""The user's objects before anything happens: plain ones, in the shapes that releases meet."""

from __future__ import annotations

from typing import Any

from tests.simulation.patches import Object

NAMESPACE = "shop"
SIDE = "side"
"""A second Deployment, in the shape ``pair``; its Services have names that begin so."""

CONFIG, KEYS = "web-config", "web-keys"
"""A ConfigMap and a Secret, where the Deployment uses them."""

SHAPES = {
    "route": (("web",), (("HTTPRoute", "web", ("web",)),)),
    "service": (("web",), ()),
    "mixed": (("web", "admin"), (("HTTPRoute", "web", ("web",)),)),
    "two roots": (("web", "api"), (("HTTPRoute", "web", ("web", "api")),)),
    "two routes": (("web",), (("HTTPRoute", "web", ("web",)), ("HTTPRoute", "more", ("web",)))),
    "ingress": (("web",), (("Ingress", "web", ("web",)),)),
    "both": (("web",), (("HTTPRoute", "web", ("web",)), ("Ingress", "web", ("web",)))),
    "shared": (("web", "all"), (("HTTPRoute", "web", ("web",)),)),
    "kinds": (
        ("web", "peers", "ports", "outside"),
        (("HTTPRoute", "web", ("web",)), ("HTTPRoute", "ports", ("ports",))),
    ),
    "headless": (("peers",), (("HTTPRoute", "peers", ("peers",)),)),
    "pair": (
        ("web", "side", "all"),
        (("HTTPRoute", "web", ("web",)), ("HTTPRoute", "side", ("side", "all"))),
    ),
    "nothing": ((), ()),
}
"""By name: Services, and routes as (kind, name, Services)."""


def deployment(replicas: int, version: str = "v1", name: str = "web", **spec: Any) -> Object:
    """The Deployment as its user's manifest has it."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app": name},
            "annotations": {"example.com/owner": "team-a"},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, "tier": "shop"}},
                "spec": {"containers": containers(version)},
            },
            **spec,
        },
    }


def containers(version: str) -> list[Object]:
    return [{"name": "web", "image": f"web:{version}"}]


def pod_spec(version: str, *, config: bool) -> Object:
    """The pods' spec, with or without a ConfigMap for the environment and a Secret as files."""
    if not config:
        return {"containers": containers(version)}
    (web,) = containers(version)
    return {
        "containers": [{**web, "envFrom": [{"configMapRef": {"name": CONFIG}}]}],
        "volumes": [{"name": "keys", "secret": {"secretName": KEYS}}],
    }


def contents(kind: str, name: str, value: str) -> Object:
    """A ConfigMap or Secret with one value in it."""
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {"value": value},
    }


def service(name: str) -> Object:
    """A Service of the Deployment's pods; ``all`` also takes in others of the tier.

    ``peers`` is headless, ``ports`` a NodePort with two of them, ``outside`` an ExternalName.
    """
    selector = {"tier": "shop"} if name == "all" else {"app": "web"}
    if name == SIDE:
        selector = {"app": SIDE}
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    more: Object = {"ports": ports}
    if name == "peers":
        more |= {"clusterIP": "None", "publishNotReadyAddresses": False}
    elif name == "ports":
        metrics = {"name": "metrics", "port": 9090, "targetPort": "metrics"}
        more |= {"type": "NodePort", "ports": [*ports, metrics]}
    elif name == "outside":
        more |= {"type": "ExternalName", "externalName": "shop.example.com"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "web"}},
        "spec": {"selector": selector, **more},
    }


def route(kind: str, name: str, services: tuple[str, ...]) -> Object:
    return http_route(name, services) if kind == "HTTPRoute" else ingress(name, services)


def http_route(name: str, services: tuple[str, ...]) -> Object:
    """One rule for each Service, one with two weighted backends, and one that only redirects."""
    rules: list[Object] = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": f"/{each}"}}],
            "backendRefs": [{"name": each, "port": 80}],
        }
        for each in services
    ]
    rules[0]["backendRefs"].append({"name": "legacy", "port": 80, "weight": 0})
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
    rules.append({"filters": [redirect]})
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"parentRefs": [{"name": "gateway"}], "rules": rules},
    }


def ingress(name: str, services: tuple[str, ...]) -> Object:
    paths = [
        {
            "path": f"/{each}",
            "pathType": "Prefix",
            "backend": {"service": {"name": each, "port": {"number": 80}}},
        }
        for each in services
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": "shop.example", "http": {"paths": paths}}],
        },
    }


def ingress_class() -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    }


FEATURES = (
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteMethodMatching",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteBackendRequestHeaderModification",
)


def gateway_class() -> Object:
    """One that says that it can do everything."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "proxy"},
        "spec": {"controllerName": "example.com/proxy"},
        "status": {"supportedFeatures": [{"name": name} for name in FEATURES]},
    }


def gateway() -> Object:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "gateway", "namespace": NAMESPACE},
        "spec": {
            "gatewayClassName": "proxy",
            "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}],
        },
    }


def stranger() -> Object:
    """Another workload's pod, which the Service ``all`` selects as well."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "other-1",
            "namespace": NAMESPACE,
            "labels": {"app": "other", "tier": "shop"},
        },
        "spec": {"containers": [{"name": "other", "image": "other:v1"}]},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-10-01T12:00:00Z"}
            ],
        },
    }


def namespace() -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {}}}


def policy(spec: Object) -> Object:
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ClusterReleasePolicy",
        "metadata": {"name": "default"},
        "spec": spec,
    }
