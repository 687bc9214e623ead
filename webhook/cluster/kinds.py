"""The kinds of objects that Slipway reads and writes, and where the API server keeps them."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from webhook import names

Object: TypeAlias = dict[str, Any]
"""One Kubernetes object exactly as the API server sent it."""


@dataclass(frozen=True, slots=True, eq=False)  # each is there once; tables are found by them
class Kind:
    """One resource of the API: ``group`` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The value of ``apiVersion`` in this kind's objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> str:
        """The URL path of the collection, of one object, or of a part of it.

        Raises:
            ValueError: a part could leave its place in the path, or does not fit the kind.

        """
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.kind} is not in a namespace (got {namespace!r})")
        if name is not None and self.namespaced and namespace is None:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        parts += [_segment(part) for part in (name, subresource) if part is not None]
        return "/".join(parts)


def _segment(text: str) -> str:
    """Refuse what the API server itself refuses as a name, so that no name can change the path."""
    if text in {"", ".", ".."} or any(c in text for c in "/%?#") or not text.isprintable():
        raise ValueError(f"{text!r} cannot be part of an API path")
    return text


APPS: Final = "apps"
NETWORKING: Final = "networking.k8s.io"
GATEWAY_API: Final = "gateway.networking.k8s.io"
TRAEFIK: Final = "traefik.io"
ADMISSION: Final = "admissionregistration.k8s.io"

DEPLOYMENTS: Final = Kind(APPS, "v1", "Deployment", "deployments")
REPLICASETS: Final = Kind(APPS, "v1", "ReplicaSet", "replicasets")
PODS: Final = Kind("", "v1", "Pod", "pods")
SERVICES: Final = Kind("", "v1", "Service", "services")
CONFIGMAPS: Final = Kind("", "v1", "ConfigMap", "configmaps")
SECRETS: Final = Kind("", "v1", "Secret", "secrets")
NAMESPACES: Final = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
ENDPOINTSLICES: Final = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
INGRESSES: Final = Kind(NETWORKING, "v1", "Ingress", "ingresses")
INGRESSCLASSES: Final = Kind(NETWORKING, "v1", "IngressClass", "ingressclasses", namespaced=False)
HTTPROUTES: Final = Kind(GATEWAY_API, "v1", "HTTPRoute", "httproutes")
GRPCROUTES: Final = Kind(GATEWAY_API, "v1", "GRPCRoute", "grpcroutes")
GATEWAYS: Final = Kind(GATEWAY_API, "v1", "Gateway", "gateways")
GATEWAYCLASSES: Final = Kind(GATEWAY_API, "v1", "GatewayClass", "gatewayclasses", namespaced=False)
INGRESSROUTES: Final = Kind(TRAEFIK, "v1alpha1", "IngressRoute", "ingressroutes")
TRAEFIKSERVICES: Final = Kind(TRAEFIK, "v1alpha1", "TraefikService", "traefikservices")
HTTPPROXIES: Final = Kind("projectcontour.io", "v1", "HTTPProxy", "httpproxies")
VIRTUALSERVICES: Final = Kind("networking.istio.io", "v1", "VirtualService", "virtualservices")
APISIXROUTES: Final = Kind("apisix.apache.org", "v2", "ApisixRoute", "apisixroutes")
MAPPINGS: Final = Kind("getambassador.io", "v3alpha1", "Mapping", "mappings")
ROUTES: Final = {
    kind.kind: kind
    for kind in (
        HTTPROUTES,
        GRPCROUTES,
        INGRESSES,
        INGRESSROUTES,
        TRAEFIKSERVICES,
        HTTPPROXIES,
        VIRTUALSERVICES,
        APISIXROUTES,
        MAPPINGS,
    )
}
"""Kinds of `webhook.traffic.routers`, by name."""
EVENTS: Final = Kind("events.k8s.io", "v1", "Event", "events")
LEASES: Final = Kind("coordination.k8s.io", "v1", "Lease", "leases")
SELFSUBJECTREVIEWS: Final = Kind(
    "authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False
)
CUSTOMRESOURCEDEFINITIONS: Final = Kind(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)
MUTATINGWEBHOOKCONFIGURATIONS: Final = Kind(
    ADMISSION,
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)
VALIDATINGWEBHOOKCONFIGURATIONS: Final = Kind(
    ADMISSION,
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
MUTATINGADMISSIONPOLICIES: Final = Kind(
    ADMISSION, "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", namespaced=False
)
MUTATINGADMISSIONPOLICYBINDINGS: Final = Kind(
    ADMISSION,
    "v1",
    "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings",
    namespaced=False,
)
CLUSTERRELEASEPOLICIES: Final = Kind(
    names.GROUP, "v1alpha1", "ClusterReleasePolicy", "clusterreleasepolicies", namespaced=False
)
RELEASEPOLICIES: Final = Kind(names.GROUP, "v1alpha1", "ReleasePolicy", "releasepolicies")
RELEASES: Final = Kind(names.GROUP, "v1alpha1", "Release", "releases")
