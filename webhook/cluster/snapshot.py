"""Everything that one decision looks at, taken from the tables at one moment."""

from webhook.cluster.kinds import (
    DEPLOYMENTS,
    ENDPOINTSLICES,
    GATEWAYCLASSES,
    GATEWAYS,
    HTTPROUTES,
    INGRESSCLASSES,
    INGRESSES,
    PODS,
    RELEASES,
    REPLICASETS,
    SERVICES,
    Kind,
)
from webhook.cluster.releases import readable_releases
from webhook.cluster.store import Store
from webhook.objects.policy import Policy
from webhook.objects.raw import Object
from webhook.release.gathered import Raw
from webhook.traffic.contract import Objects

ROUTING: tuple[Kind, ...] = (INGRESSES, INGRESSCLASSES, HTTPROUTES, GATEWAYS, GATEWAYCLASSES)
"""What the routers look at: routes, and what serves them."""

CLUSTER_WIDE: tuple[Kind, ...] = (DEPLOYMENTS, RELEASES, *ROUTING)
"""Followed always: what tells that a release has to begin, and routes, few and small."""

OF_A_NAMESPACE: tuple[Kind, ...] = (REPLICASETS, PODS, SERVICES, ENDPOINTSLICES)
"""Followed only in namespaces where a release runs: pods are never watched cluster-wide."""


def routing(store: Store) -> Objects:
    """The objects that routers look at, by kind."""
    return {kind.kind: store.table(kind).all() for kind in ROUTING}


def gather(store: Store, deployment: Object, policy: Policy | None) -> Raw:
    """The objects around one Deployment."""
    namespace = deployment["metadata"]["namespace"]
    return Raw(
        deployment=deployment,
        replicasets=store.table(REPLICASETS, namespace).all(),
        pods=store.table(PODS, namespace).all(),
        services=store.table(SERVICES, namespace).all(),
        slices=store.table(ENDPOINTSLICES, namespace).all(),
        routes=routing(store),
        releases=readable_releases(store.table(RELEASES).all(namespace)),
        policy=policy,
    )
