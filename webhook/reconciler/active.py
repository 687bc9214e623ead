"""Which Deployments are in a release: only around these are pods, Services and slices watched."""

import asyncio
from collections import defaultdict

from webhook import names
from webhook.cluster.kinds import DEPLOYMENTS, RELEASES, ROUTES, Object
from webhook.cluster.snapshot import OF_A_NAMESPACE
from webhook.cluster.store import Store
from webhook.objects.release import Phase
from webhook.projection.deployment import hold_of
from webhook.projection.fields import annotations
from webhook.projection.template import stable_of
from webhook.reconciler.queue import Key
from webhook.traffic.splits import split_of

_PATIENCE = 20.0
"""Seconds for the tables of a namespace to be complete; then it is tried again."""


class Active:
    """The Deployments that need the engine, by namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, set[str]] = defaultdict(set)
        self._last: dict[Key, Object] = {}

    def everywhere(self) -> list[Key]:
        """Every active key."""
        return [(namespace, name) for namespace, names_ in self._keys.items() for name in names_]

    def __contains__(self, key: Key) -> bool:
        return key[1] in self._keys.get(key[0], ())

    async def begin(self, key: Key) -> None:
        """Watch what is around a Deployment; returns when the tables are complete."""
        if key in self:
            return
        follows = (self._store.follow(k, key[0], timeout=_PATIENCE) for k in OF_A_NAMESPACE)
        ends = await asyncio.gather(*follows, return_exceptions=True)
        failed = [end for end in ends if isinstance(end, BaseException)]
        if failed:
            for kind, end in zip(OF_A_NAMESPACE, ends, strict=True):
                if not isinstance(end, BaseException):
                    await self._store.unfollow(kind, key[0])
            raise failed[0]
        self._keys[key[0]].add(key[1])

    async def end(self, key: Key) -> None:
        """Stop watching around a Deployment."""
        if key not in self:
            return
        self._keys[key[0]].discard(key[1])
        self._last.pop(key, None)
        if not self._keys[key[0]]:
            del self._keys[key[0]]
        for kind in OF_A_NAMESPACE:
            await self._store.unfollow(kind, key[0])

    def deployment(self, key: Key) -> tuple[Object | None, bool]:
        """The Deployment and whether it is still there; its last state where it is gone."""
        found = self._store.table(DEPLOYMENTS).get(*key)
        if found is not None:
            self._last[key] = found
            return found, True
        return self._last.get(key), False

    def remember(self, obj: Object) -> None:
        """Keep the last state of a Deployment that was deleted."""
        meta = obj["metadata"]
        self._last[meta["namespace"], meta["name"]] = obj


def key_of_release(obj: Object) -> Key | None:
    """The Deployment that a Release is about."""
    reference = ((obj.get("spec") or {}).get("deployment") or {}).get("name")
    return (obj["metadata"]["namespace"], reference) if reference else None


def wants_engine(obj: Object) -> bool:
    """Whether a Deployment carries a hold, or the rest of one, that somebody has to act on.

    One that was aborted rests, but at 0 replicas, from where the native controller would scale
    up the newest ReplicaSet, when it was resumed and no webhook saw it, and when the released
    version was asked for in the last moment.
    """
    hold = hold_of(obj)
    if hold is None:
        return bool({names.ORIGINAL, names.HELD_BY} & annotations(obj).keys())
    if not hold.aborted:
        return True
    stable, wanted = stable_of(obj), annotations(obj).get(names.REVISION)
    spec = obj.get("spec") or {}
    resumed = spec.get("paused") is not True  # while no webhook ran
    return resumed or spec.get("replicas") == 0 or bool(stable and stable.revision == wanted)


def unfinished(obj: Object) -> bool:
    """Whether a Release object is in flight."""
    phase = (obj.get("status") or {}).get("phase", Phase.PENDING)
    return not Phase(phase).finished if phase in set(Phase) else False


def calls_for_engine(obj: Object) -> bool:
    """Whether a Release is in flight, or somebody wants its aborted version tried again."""
    return unfinished(obj) or (obj.get("spec") or {}).get("retry") is True


def in_flight(store: Store) -> set[Key]:
    """Every Deployment that needs the engine, as the tables stand now."""
    held = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"])
        for obj in store.table(DEPLOYMENTS).all()
        if wants_engine(obj)
    }
    running = {
        key
        for obj in store.table(RELEASES).all()
        if calls_for_engine(obj) and (key := key_of_release(obj)) is not None
    }
    return held | running


def highest_term(store: Store) -> int:
    """The newest leader's term that any intent tells of.

    A Lease that somebody deleted must not start again below it: the webhook would refuse the
    new leader as an old one.
    """
    holds = (hold_of(obj) for obj in store.table(DEPLOYMENTS).all())
    routes = (obj for kind in ROUTES.values() for obj in store.table(kind).all())
    splits = (split_of(obj) for obj in routes)
    return max((intent.term for intent in (*holds, *splits) if intent), default=0)
