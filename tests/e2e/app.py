"""A user's application: a Deployment, a Service, and a way in.

Plain manifests, as a developer would write them; nothing in them knows of Slipway.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lab import traefik
from lab.api import Object
from tests.e2e.pace import LINGER

PORT: Final = 8080
CALLS_PORT: Final = 9090
_CALLS: Final = {
    "name": "grpc",
    "port": CALLS_PORT,
    "targetPort": "grpc",
    "appProtocol": "kubernetes.io/h2c",
}
GRACEFUL: Final = {"lifecycle": {"preStop": {"sleep": {"seconds": LINGER}}}}
"""A container that serves on for a while when its pod is told to end.

Without it a pod that is killed or scaled away loses requests in any cluster: what it listens on is
closed before proxies hear of it.
"""


@dataclass(frozen=True, slots=True)
class App:
    """The application in one namespace; every method returns a manifest."""

    namespace: str
    name: str = "web"
    replicas: int | None = 4
    """None leaves the field out of the manifest, as for an autoscaler."""
    env: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the Deployment's spec."""
    pod: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the pod's spec."""
    container: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of its container."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the pods."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further labels of the pods."""
    called: bool = False
    """Whether pods answer gRPC, too."""

    @property
    def host(self) -> str:
        """The virtual host under which Traefik serves it."""
        return f"{self.name}.{self.namespace}.example"

    def having(self, **changes: Any) -> "App":
        """The same application with other fields."""
        return replace(self, **changes)

    def deployment(self, version: str, env: Mapping[str, str] | None = None) -> Object:
        """The Deployment at a version; ``env`` says how its pods behave."""
        labels = {"app": self.name}
        pod_meta = {
            "labels": {**labels, **self.labels},
            **({"annotations": dict(self.notes)} if self.notes else {}),
        }
        variables = [
            {"name": key, "value": value} for key, value in {**self.env, **(env or {})}.items()
        ]
        container = {
            "name": "web",
            "image": f"shop:{version}",
            "ports": [
                {"name": "http", "containerPort": PORT},
                *([{"name": "grpc", "containerPort": CALLS_PORT}] if self.called else []),
            ],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
            **({"env": variables} if variables else {}),
            **self.container,
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self._meta(),
            "spec": {
                **({} if self.replicas is None else {"replicas": self.replicas}),
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": pod_meta,
                    "spec": {"containers": [container], **self.pod},
                },
                **self.spec,
            },
        }

    def service(self) -> Object:
        """The Service."""
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self._meta(),
            "spec": {
                "selector": {"app": self.name},
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "http"},
                    *([_CALLS] if self.called else []),
                ],
            },
        }

    def ingress(self) -> Object:
        """An Ingress in the nginx dialect."""
        return self._ingress(traefik.CLASS)

    def plain_ingress(self) -> Object:
        """An Ingress of a controller whose weights Slipway does not move."""
        return self._ingress(traefik.PLAIN_CLASS)

    def httproute(self) -> Object:
        """An HTTPRoute of the Gateway API."""
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": self._meta(),
            "spec": {
                "parentRefs": [{"name": traefik.GATEWAY, "namespace": "default"}],
                "hostnames": [self.host],
                "rules": [{"backendRefs": [{"name": self.name, "port": 80}]}],
            },
        }

    def grpcroute(self) -> Object:
        """A GRPCRoute of the Gateway API; the pods have to be ``called``."""
        route = self.httproute()
        route["spec"]["rules"] = [{"backendRefs": [{"name": self.name, "port": CALLS_PORT}]}]
        return {**route, "kind": "GRPCRoute"}

    def ingressroute(self, kind: str = "Service") -> Object:
        """An IngressRoute of Traefik's own, to the Service or to the TraefikService."""
        port = {"port": 80} if kind == "Service" else {}
        return {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": self._meta(),
            "spec": {
                "entryPoints": ["web"],
                "routes": [
                    {
                        "kind": "Rule",
                        "match": f"Host(`{self.host}`)",
                        "services": [{"name": self.name, "kind": kind, **port}],
                    }
                ],
            },
        }

    def traefikservice(self) -> Object:
        """A TraefikService, which an IngressRoute may send to."""
        return {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "TraefikService",
            "metadata": self._meta(),
            "spec": {"weighted": {"services": [{"name": self.name, "port": 80}]}},
        }

    def _ingress(self, of_class: str) -> Object:
        backend = {"service": {"name": self.name, "port": {"number": 80}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": self._meta(),
            "spec": {
                "ingressClassName": of_class,
                "rules": [{"host": self.host, "http": {"paths": [path]}}],
            },
        }

    def _meta(self) -> Object:
        return {"name": self.name, "namespace": self.namespace}
