"""Everything that one decision looks at, taken from the tables at one moment."""

from collections.abc import Mapping, Sequence

from webhook import names
from webhook.cluster.indexes import being, first_label, labelled, offered_by, owned_by, sent_to
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
from webhook.cluster.store import Store, Table
from webhook.objects.policy import Policy
from webhook.objects.raw import Object
from webhook.objects.release import Release
from webhook.projection.fields import annotations, labels
from webhook.release.gathered import Raw
from webhook.release.grants import SUFFIXES, canary_name
from webhook.release.readings import Readings
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


def gather(
    store: Store, deployment: Object, policy: Policy | None, readings: Readings | None = None
) -> Raw:
    """The objects around one Deployment, whatever else is in its namespace."""
    meta = deployment["metadata"]
    namespace, uid = meta["namespace"], meta.get("uid", "")
    releases = readable_releases(store.table(RELEASES).found(being(uid)), readings)
    services = _services(store, namespace, uid, labels(deployment["spec"]["template"]))
    replicasets, pods = _pods(store.table(REPLICASETS, namespace), store, namespace, uid, services)
    named = {obj["metadata"]["name"] for obj in services}
    slices = store.table(ENDPOINTSLICES, namespace).found(*map(offered_by, sorted(named)))
    return Raw(
        deployment=deployment,
        replicasets=replicasets,
        pods=pods,
        services=services,
        slices=slices,
        routes=_routes(store, namespace, uid, named | _split(services, releases)),
        releases=releases,
        policy=policy,
    )


def _services(
    store: Store, namespace: str, uid: str, of_pods: Mapping[str, str]
) -> Sequence[Object]:
    """Services that may select the pods, our own, and those whose names we would like to have."""
    table = store.table(SERVICES, namespace)
    words = [labelled(key, value) for key, value in sorted(of_pods.items())]
    found = table.found(*words, owned_by(uid))
    names_ = {obj["metadata"]["name"] for obj in found}
    wished = {canary_name(n, frozenset(), suffix) for n in names_ for suffix in SUFFIXES} - names_
    others = (table.get(namespace, name) for name in sorted(wished))
    return [*found, *(obj for obj in others if obj is not None)]


def _pods(
    replicasets: Table, store: Store, namespace: str, uid: str, services: Sequence[Object]
) -> tuple[Sequence[Object], Sequence[Object]]:
    """The Deployment's ReplicaSets and pods, and whatever else its Services may select."""
    mine = replicasets.found(owned_by(uid))
    words = [owned_by(obj["metadata"].get("uid", "")) for obj in mine]
    words += [word for obj in services if (word := first_label(obj))]
    pods = store.table(PODS, namespace).found(*words)
    owners = sorted({o for pod in pods for o in _owners(pod)})
    return replicasets.found(owned_by(uid), *map(being, owners)), pods


def _owners(pod: Object) -> list[str]:
    return [owner["uid"] for owner in pod["metadata"].get("ownerReferences") or ()]


def _split(services: Sequence[Object], releases: Sequence[Release]) -> set[str]:
    """Services that may still be named by routes though they are gone."""
    roots = {str(annotations(obj).get(names.ROOT_SERVICE, "")) for obj in services}
    pairs = [pair for release in releases for pair in release.status.exposed]
    return roots | {pair.root for pair in pairs} | {pair.canary for pair in pairs}


def _routes(store: Store, namespace: str, uid: str, services: set[str]) -> Objects:
    words = [owned_by(uid), *(sent_to(namespace, name) for name in sorted(services))]
    around = {kind.kind: store.table(kind).found(*words) for kind in (HTTPROUTES, INGRESSES)}
    serving = (INGRESSCLASSES, GATEWAYS, GATEWAYCLASSES)
    return {**around, **{kind.kind: store.table(kind).all() for kind in serving}}
