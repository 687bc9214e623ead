"""Follows ConfigMaps and Secrets where a policy guards them: snapshots, and releases of contents.

It stands beside the engine and knows nothing of it: it writes which contents a Deployment shows,
and the release begins at admission, in that write.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from webhook import names
from webhook.cluster import errors
from webhook.cluster.apply import LeadershipLost
from webhook.cluster.client import Client
from webhook.cluster.contents import KINDS
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    DEPLOYMENTS,
    NAMESPACES,
    RELEASEPOLICIES,
    Kind,
)
from webhook.cluster.policies import Policies
from webhook.cluster.snapshots import ContentsMoved, SnapshotKeeper, known_in
from webhook.cluster.store import Change, Store
from webhook.objects.raw import Object
from webhook.projection.config import Ref, plain, references, snapshots_of, source_of
from webhook.projection.deployment import users_deployment
from webhook.projection.fields import labels
from webhook.reconciler.queue import Key, WorkQueue, utc
from webhook.snapshots.plan import GRACE, needed_by, plan_contents, unneeded

log = structlog.get_logger(__name__)

_PATIENCE: Final = 20.0
"""Seconds for the tables of a namespace to be complete; then it is tried again."""
_WORKERS: Final = 2
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 60.0
_TIDY_LATEST: Final = 600.0
_EVERYTHING: Final = ""
"""In place of a Deployment's name in a key: the snapshots of the whole namespace."""


@dataclass(frozen=True, slots=True)
class ConfigPace:
    """How long what follows a change is waited for."""

    gather: float = 1.0
    """Seconds in which what was applied together comes: one release for all of it."""
    tidy_after: float = 5.0
    """Seconds from the last change of a Deployment to the look for snapshots nobody names."""
    grace: timedelta = GRACE


class ConfigReconciler:
    """Works for one leader's term; cancel `run` to stop."""

    def __init__(
        self,
        client: Client,
        store: Store,
        policies: Policies,
        keeper: SnapshotKeeper,
        pace: ConfigPace | None = None,
        now: Callable[[], datetime] = utc,
    ) -> None:
        self._pace = pace or ConfigPace()
        self._now = now
        self._client = client
        self._store = store
        self._policies = policies
        self._keeper = keeper
        self._queue = WorkQueue()
        self._spaces: set[str] = set()
        self._entering = asyncio.Lock()
        self._changed_at: dict[str, float] = {}
        self._failures: dict[Key, int] = {}
        self._idle: dict[str, dict[Ref, datetime]] = {}
        self._tidy_in: dict[str, float] = {}

    async def run(self) -> None:
        """Take up what is there, then follow changes until cancelled."""
        unsubscribe = self._store.subscribe(self._changed)
        self._add_all(self._store.table(DEPLOYMENTS).all())
        for namespace in await self._with_copies():
            self._queue.add((namespace, _EVERYTHING))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_WORKERS):
                    group.create_task(self._work())
        finally:
            unsubscribe()
            await self._leave_all()

    async def complete(self) -> None:
        """Make every snapshot that a Deployment names, once; raises ``errors.ApiError``.

        Before a hold is lifted for good: pods that name a snapshot do not start without it.
        """
        try:
            for deployment in self._store.table(DEPLOYMENTS).all():
                if snapshots_of(deployment) is not None:
                    await self._complete(deployment)
        finally:
            await self._leave_all()

    async def _complete(self, deployment: Object) -> None:
        meta = deployment["metadata"]
        await self._enter(meta["namespace"])
        known = known_in(self._store, meta["namespace"])
        for action in plan_contents(deployment, known, guarded=False, gathered=False):
            try:
                await self._keeper.perform(deployment, action)
            except ContentsMoved as error:
                where = {"namespace": meta["namespace"], "deployment": meta["name"]}
                log.warning("snapshot_lost", error=str(error), **where)

    async def _with_copies(self) -> set[str]:
        """Namespaces in which snapshots are left, whoever needed them."""
        found: set[str] = set()
        try:
            for kind in KINDS.values():
                page = await self._client.list(kind, labels=names.SNAPSHOT_OF, trim=_only_where)
                found.update(obj["metadata"]["namespace"] for obj in page.items)
        except errors.ApiError as error:  # tidied in the next term; nothing else depends on it
            log.warning("snapshots_not_listed", error=str(error))
        return found

    # What a change concerns

    def _changed(self, change: Change) -> None:
        if change.type == "RELISTED":
            return
        meta = change.object["metadata"]
        if change.kind == DEPLOYMENTS:
            self._deployment_changed(change)
        elif change.kind in KINDS.values():
            self._contents_changed(change.kind, change.object)
        elif change.kind in (CLUSTERRELEASEPOLICIES, RELEASEPOLICIES):
            self._add_all(self._store.table(DEPLOYMENTS).all(meta.get("namespace")))
        elif change.kind == NAMESPACES:
            self._add_all(self._store.table(DEPLOYMENTS).all(meta["name"]))

    def _deployment_changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        namespace = meta["namespace"]
        if namespace in self._spaces:
            self._tidy_in[namespace] = self._pace.tidy_after
            self._queue.add_after((namespace, _EVERYTHING), self._pace.tidy_after)
        if change.type != "DELETED":
            self._add_all([change.object])

    def _contents_changed(self, kind: Kind, obj: Object) -> None:
        """A snapshot concerns whoever uses its original: somebody may have deleted it."""
        namespace = obj["metadata"]["namespace"]
        ref = Ref(kind.kind, source_of(obj["metadata"]["name"])[0])
        users = [
            d for d in self._store.table(DEPLOYMENTS).all(namespace) if ref in _originals_of(d)
        ]
        if not users:
            return
        if names.SNAPSHOT_OF in labels(obj):
            self._add_all(users)
            return
        self._changed_at[namespace] = asyncio.get_running_loop().time()
        for deployment in users:
            self._queue.add_after((namespace, deployment["metadata"]["name"]), self._pace.gather)

    def _add_all(self, deployments: Iterable[Object]) -> None:
        for obj in deployments:
            if self._concerns(obj):
                self._queue.add((obj["metadata"]["namespace"], obj["metadata"]["name"]))

    def _guarded(self, deployment: Object) -> bool:
        policy = self._policies.policy_for(deployment["metadata"]["namespace"], deployment)
        return policy is not None and policy.spec.config.guard

    def _concerns(self, deployment: Object) -> bool:
        if snapshots_of(deployment) is not None:
            return True
        return bool(references(deployment["spec"]["template"])) and self._guarded(deployment)

    # Work

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._reconcile(key)
                self._failures.pop(key, None)
            except (errors.ApiError, LeadershipLost, ContentsMoved) as error:
                self._failed(key, error)
            except Exception as error:  # one broken object must not stop the others
                log.exception("config_crashed", namespace=key[0], deployment=key[1])
                self._failed(key, error)
            finally:
                self._queue.done(key)

    def _failed(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (failures - 1))
        ordinary = isinstance(error, errors.Conflict | errors.NotFound | ContentsMoved)
        (log.debug if ordinary and failures < 5 else log.warning)(
            "config_failed",
            namespace=key[0],
            deployment=key[1],
            error=str(error),
            retry_in=delay,
        )
        self._queue.add_after(key, delay)

    async def _reconcile(self, key: Key) -> None:
        namespace, name = key
        await self._enter(namespace)
        if name == _EVERYTHING:
            await self._tidy(namespace)
            return
        deployment = self._store.table(DEPLOYMENTS).get(namespace, name)
        if deployment is None or "deletionTimestamp" in deployment["metadata"]:
            return
        quiet_at = self._changed_at.get(namespace, 0.0) + self._pace.gather
        quiet_in = quiet_at - asyncio.get_running_loop().time()
        actions = plan_contents(
            deployment,
            known_in(self._store, namespace),
            guarded=self._guarded(deployment),
            gathered=quiet_in <= 0,
        )
        for action in actions:
            log.info("action", namespace=namespace, deployment=name, action=type(action).__name__)
            await self._keeper.perform(deployment, action)
        if quiet_in > 0:
            self._queue.add_after(key, quiet_in)

    async def _enter(self, namespace: str) -> None:
        """Follow the ConfigMaps and Secrets of a namespace; returns when both are complete."""
        async with self._entering:
            if namespace in self._spaces:
                return
            try:
                for kind in KINDS.values():
                    await self._store.follow(kind, namespace, timeout=_PATIENCE)
            except BaseException:
                await self._leave(namespace)
                raise
            self._spaces.add(namespace)
        self._queue.add_after((namespace, _EVERYTHING), self._pace.tidy_after)

    async def _leave(self, namespace: str) -> None:
        self._spaces.discard(namespace)
        for held in (self._idle, self._tidy_in, self._changed_at):
            held.pop(namespace, None)
        for kind in KINDS.values():
            await self._store.unfollow(kind, namespace)

    async def _leave_all(self) -> None:
        for namespace in list(self._spaces):
            await self._leave(namespace)

    # Snapshots that nobody needs

    async def _tidy(self, namespace: str) -> None:
        """Delete what no template, no ReplicaSet that can be returned to, and no pod names."""
        deployments = self._store.table(DEPLOYMENTS).all(namespace)
        copies = known_in(self._store, namespace).copies
        named = frozenset(ref for obj in deployments for ref in needed_by(obj))
        if not copies.keys() - named:
            self._idle.pop(namespace, None)
            if not copies and not any(map(self._concerns, deployments)):
                await self._leave(namespace)
            return
        used = named | await self._keeper.used_in(namespace)
        known = self._idle.get(namespace, {})
        drops, self._idle[namespace] = unneeded(copies, used, known, self._now(), self._pace.grace)
        for ref in drops:
            log.info("action", namespace=namespace, action="DropCopy", snapshot=str(ref))
            await self._keeper.drop(namespace, ref)
        again = self._tidy_in.get(namespace, self._pace.tidy_after)
        self._tidy_in[namespace] = min(2 * again, _TIDY_LATEST)
        wait = self._pace.grace.total_seconds() if self._idle[namespace] else again
        self._queue.add_after((namespace, _EVERYTHING), wait)


def _originals_of(deployment: Object) -> frozenset[Ref]:
    return frozenset(references(plain(users_deployment(deployment)["spec"]["template"])))


def _only_where(obj: Object) -> Object:
    meta = obj["metadata"]
    return {"metadata": {"name": meta["name"], "namespace": meta["namespace"]}}
