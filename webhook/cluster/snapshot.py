"""Everything that one decision looks at, taken from the tables at one moment."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from webhook import names
from webhook.cluster.indexes import (
    WORDS,
    being,
    called,
    first_label,
    labelled,
    offered_by,
    owned_by,
    sent_to,
)
from webhook.cluster.kinds import (
    DEPLOYMENTS,
    ENDPOINTSLICES,
    GATEWAYCLASSES,
    GATEWAYS,
    INGRESSCLASSES,
    PODS,
    RELEASES,
    REPLICASETS,
    ROUTES,
    SERVICES,
    Kind,
)
from webhook.cluster.releases import readable_releases
from webhook.cluster.store import Store
from webhook.objects.policy import Policy
from webhook.objects.raw import Object
from webhook.objects.release import Release
from webhook.projection.fields import annotations, labels
from webhook.release.gathered import Raw
from webhook.release.grants import SUFFIXES, canary_name
from webhook.release.readings import Readings
from webhook.traffic.contract import Objects
from webhook.traffic.routers import ROUTERS

_SERVING: tuple[Kind, ...] = (INGRESSCLASSES, GATEWAYS, GATEWAYCLASSES)

ROUTING: tuple[Kind, ...] = (*ROUTES.values(), *_SERVING)
"""What the routers look at: routes, and what serves them."""

CLUSTER_WIDE: tuple[Kind, ...] = (DEPLOYMENTS, RELEASES, *ROUTING)
"""Followed always: what tells that a release has to begin, and routes, few and small."""

OF_A_NAMESPACE: tuple[Kind, ...] = (REPLICASETS, PODS, SERVICES, ENDPOINTSLICES)
"""Followed only in namespaces where a release runs: pods are never watched cluster-wide."""


AROUND: tuple[Kind, ...] = (*OF_A_NAMESPACE, *ROUTES.values())
"""Looked for by words: a change of one concerns the Deployments that looked for such."""

Word: TypeAlias = tuple[Kind, str | None, str]
"""Kind, the namespace of its table, and a word of `indexes`."""


def routing(store: Store) -> Objects:
    """The objects that routers look at, by kind."""
    return {kind.kind: store.table(kind).all() for kind in ROUTING}


def gather(
    store: Store, deployment: Object, policy: Policy | None, readings: Readings | None = None
) -> Raw:
    """The objects around one Deployment, whatever else is in its namespace."""
    return look_around(store, deployment, policy, readings)[0]


def look_around(
    store: Store, deployment: Object, policy: Policy | None, readings: Readings | None = None
) -> tuple[Raw, list[Word]]:
    """The objects around one Deployment, and the words by which they were looked for.

    As long as no object of these words changes, the same is found again.
    """
    meta = deployment["metadata"]
    namespace, uid = meta["namespace"], meta.get("uid", "")
    seek = _Seeker(store, namespace)
    releases = readable_releases(store.table(RELEASES).found(being(uid)), readings)
    services = _services(seek, uid, labels(deployment["spec"]["template"]))
    replicasets, pods = _pods(seek, uid, services)
    named = {obj["metadata"]["name"] for obj in services}
    raw = Raw(
        deployment=deployment,
        replicasets=replicasets,
        pods=pods,
        services=services,
        slices=seek.found(ENDPOINTSLICES, *map(offered_by, sorted(named))),
        routes={
            **_routes(seek, store, namespace, uid, named | _split(services, releases)),
            SERVICES.kind: services,
        },
        releases=releases,
        policy=policy,
    )
    return raw, seek.asked


def words_of(kind: Kind, obj: Object) -> Iterator[Word]:
    """Every word by which an object may be looked for, or was found when it had others."""
    meta = obj["metadata"]
    scope = meta.get("namespace") if kind in OF_A_NAMESPACE else None
    yield kind, scope, called(meta.get("namespace"), meta["name"])
    for word in WORDS[kind](obj):
        yield kind, scope, word


class _Seeker:
    """Finds objects around a Deployment, and notes what it looked for."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store, self._namespace = store, namespace
        self.asked: list[Word] = []

    def found(self, kind: Kind, *words: str) -> list[Object]:
        scope = self._namespace if kind in OF_A_NAMESPACE else None
        found = self._store.table(kind, scope).found(*words)
        self.asked += [(kind, scope, word) for word in words]
        for obj in found:
            meta = obj["metadata"]
            self.asked.append((kind, scope, called(meta.get("namespace"), meta["name"])))
        return found

    def named(self, kind: Kind, name: str) -> Object | None:
        self.asked.append((kind, self._namespace, called(self._namespace, name)))
        return self._store.table(kind, self._namespace).get(self._namespace, name)


def _services(seek: _Seeker, uid: str, of_pods: Mapping[str, str]) -> Sequence[Object]:
    """Services that may select the pods, our own, and those whose names we would like to have."""
    words = [labelled(key, value) for key, value in sorted(of_pods.items())]
    found = seek.found(SERVICES, *words, owned_by(uid))
    names_ = {obj["metadata"]["name"] for obj in found}
    wished = {canary_name(n, frozenset(), suffix) for n in names_ for suffix in SUFFIXES} - names_
    others = (seek.named(SERVICES, name) for name in sorted(wished))
    return [*found, *(obj for obj in others if obj is not None)]


def _pods(
    seek: _Seeker, uid: str, services: Sequence[Object]
) -> tuple[Sequence[Object], Sequence[Object]]:
    """The Deployment's ReplicaSets and pods, and whatever else its Services may select."""
    mine = seek.found(REPLICASETS, owned_by(uid))
    words = [owned_by(obj["metadata"].get("uid", "")) for obj in mine]
    words += [word for obj in services if (word := first_label(obj))]
    pods = seek.found(PODS, *words)
    owners = sorted({o for pod in pods for o in _owners(pod)})
    return seek.found(REPLICASETS, owned_by(uid), *map(being, owners)), pods


def _owners(pod: Object) -> list[str]:
    return [owner["uid"] for owner in pod["metadata"].get("ownerReferences") or ()]


def _split(services: Sequence[Object], releases: Sequence[Release]) -> set[str]:
    """Services that may still be named by routes though they are gone."""
    roots = {str(annotations(obj).get(names.ROOT_SERVICE, "")) for obj in services}
    pairs = [pair for release in releases for pair in release.status.exposed]
    return roots | {pair.root for pair in pairs} | {pair.canary for pair in pairs}


def _routes(seek: _Seeker, store: Store, namespace: str, uid: str, services: set[str]) -> Objects:
    words = [owned_by(uid), *(sent_to(namespace, name) for name in sorted(services))]
    around: dict[str, Sequence[Object]] = {
        kind.kind: seek.found(kind, *words) for kind in ROUTES.values()
    }
    for kind in (ROUTES[router.kind] for router in ROUTERS.values() if router.siblings):
        if around[kind.kind]:
            around[kind.kind] = store.table(kind).all(namespace)
    return {**around, **{kind.kind: store.table(kind).all() for kind in _SERVING}}
