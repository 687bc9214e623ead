"""An ordinary application to try things on: Deployment, Service, Ingress and HTTPRoute."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from lab.api import Object
from lab.cluster import Lab
from lab.probe import Probe
from lab.traefik import CLASS, GATEWAY, WEB_PORT


@dataclass(frozen=True)
class Shop:
    """The application in a namespace of its own."""

    lab: Lab
    namespace: str

    @classmethod
    def open(cls, lab: Lab, namespace: str, **options: Any) -> Self:
        """Apply it; ``options`` as for `deployment`. See `wait_rolled_out`, `wait_answers`."""
        shop = cls(lab, namespace)
        lab.apply(
            [deployment(**options), service(), ingress(namespace), route(namespace)],
            namespace=namespace,
        )
        return shop

    @property
    def ingress_host(self) -> str:
        """The host of its Ingress."""
        return f"ingress.{self.namespace}.example"

    @property
    def route_host(self) -> str:
        """The host of its HTTPRoute."""
        return f"route.{self.namespace}.example"

    def wait_rolled_out(self) -> None:
        """Wait for ``kubectl rollout status``; CommandError if it fails."""
        self.lab.kubectl(
            "rollout", "status", "deployment/shop", f"--namespace={self.namespace}", "--timeout=60s"
        )

    def wait_answers(self, version: str) -> None:
        """Wait until Traefik leads both hosts to a pod of a version."""
        for host in (self.ingress_host, self.route_host):
            self.lab.wait(partial(self._answers, host, version), 20, f"{host} to answer {version}")

    def version_at(self, host: str) -> str:
        """The ``X-Version`` that answers at a host now, or an empty text."""
        try:
            answer = self.lab.fetch("GET", "127.0.0.1", WEB_PORT, "/", {"Host": host})
        except OSError:
            return ""
        return answer.headers.get("X-Version", "") if answer.ok else ""

    def set_image(self, image: str) -> None:
        """``kubectl set image``: the tag is the version that answers."""
        self.lab.kubectl(
            "set", "image", "deployment/shop", f"app={image}", f"--namespace={self.namespace}"
        )

    def probes(self, rate: float = 100) -> list[Probe]:
        """Start a load on each of the two hosts."""
        return [self.lab.probe(host, rate=rate) for host in (self.ingress_host, self.route_host)]

    def pods(self) -> list[Object]:
        """Its pods, those that are ending included."""
        return self.lab.list("pods", self.namespace, "app=shop")

    def pod(self) -> Object:
        """The only pod; LookupError while there is none, or more than one."""
        pods = self.pods()
        if len(pods) != 1:
            raise LookupError(f"{len(pods)} pods of the shop in {self.namespace}, not one")
        return pods[0]

    def conditions(self) -> dict[str, str]:
        """The conditions of the only pod."""
        return conditions(self.pod())

    def _answers(self, host: str, version: str) -> bool:
        return self.version_at(host) == version


def conditions(pod: Object) -> dict[str, str]:
    """The status of each condition of a pod."""
    return {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", ())}


def is_ready(pod: Object) -> bool:
    """Whether a pod is Ready."""
    return conditions(pod).get("Ready") == "True"


def deployment(
    *,
    image: str = "shop:v1",
    replicas: int = 1,
    env: dict[str, str] | None = None,
    container: Object | None = None,
    pod: Object | None = None,
) -> Object:
    """The Deployment ``shop``.

    ``env`` is the behaviour of its pods; ``container`` and ``pod`` are merged over the
    container's and the pod's spec.
    """
    app = {
        "name": "app",
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        **(container or {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [app], **(pod or {})},
            },
        },
    }


def service() -> Object:
    """The Service, port 80."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {
            "selector": {"app": "shop"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }


def ingress(namespace: str) -> Object:
    """The Ingress, in the nginx dialect."""
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop"},
        "spec": {
            "ingressClassName": CLASS,
            "rules": [{"host": f"ingress.{namespace}.example", "http": {"paths": [path]}}],
        },
    }


def route(namespace: str) -> Object:
    """The HTTPRoute, on the lab's Gateway."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "shop"},
        "spec": {
            "hostnames": [f"route.{namespace}.example"],
            "parentRefs": [{"name": GATEWAY, "namespace": "default"}],
            "rules": [{"backendRefs": [{"name": "shop", "port": 80}]}],
        },
    }
