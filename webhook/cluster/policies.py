"""Which policy guards a Deployment.

The namespace's own before the cluster's; of each, those that select before those for all; then
by name.
"""

from collections.abc import Mapping, Sequence

import structlog

from webhook import names
from webhook.cluster.kinds import CLUSTERRELEASEPOLICIES, NAMESPACES, RELEASEPOLICIES, Object
from webhook.cluster.store import Store
from webhook.objects.policy import Policy, PolicyError, read_policy
from webhook.projection.fields import annotations, labels

log = structlog.get_logger(__name__)


def _rank(policy: Policy) -> tuple[bool, str]:
    match = policy.spec.match
    for_all = match.namespace_selector.empty and match.object_selector.empty
    return for_all, policy.name


FOLLOWED = (CLUSTERRELEASEPOLICIES, RELEASEPOLICIES, NAMESPACES)


class Policies:
    """The policies in the watch cache, each read once for every version of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, tuple[str, Policy | None]] = {}
        self._ordered: dict[str, tuple[tuple[Sequence[Object], ...], list[Policy]]] = {}

    def policy_for(self, namespace: str, deployment: Object) -> Policy | None:
        """The policy for this Deployment; None if none matches or the one named is not there.

        A Deployment may name a policy of its own namespace, or else of the cluster.
        """
        named = annotations(deployment).get(names.POLICY)
        for policy in self._in_order(namespace):
            wanted = policy.name == named if named else self._matches(policy, namespace, deployment)
            if wanted:
                return None if policy.spec.strategy.none is not None else policy
        return None

    def _in_order(self, namespace: str) -> list[Policy]:
        own = self._store.table(RELEASEPOLICIES).all(namespace)
        groups = (own, self._store.table(CLUSTERRELEASEPOLICIES).all())
        known = self._ordered.get(namespace)
        if known is None or known[0] != groups:
            ranked = [sorted(filter(None, map(self._policy, group)), key=_rank) for group in groups]
            known = self._ordered[namespace] = groups, [*ranked[0], *ranked[1]]
        return known[1]

    def _matches(self, policy: Policy, namespace: str, deployment: Object) -> bool:
        match = policy.spec.match
        space = self._store.table(NAMESPACES).get(None, namespace)
        of_space: Mapping[str, str] = labels(space) if space else {}
        return match.namespace_selector.admits(of_space) and match.object_selector.admits(
            labels(deployment)
        )

    def _policy(self, obj: Object) -> Policy | None:
        meta = obj["metadata"]
        uid, version = str(meta.get("uid")), str(meta.get("resourceVersion"))
        known = self._read.get(uid)
        if known and known[0] == version:
            return known[1]
        policy: Policy | None = None
        try:
            policy = read_policy(obj)
        except PolicyError as error:
            log.warning("policy_unreadable", error=str(error))
        self._read[uid] = (version, policy)
        return policy
