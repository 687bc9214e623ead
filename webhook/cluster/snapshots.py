"""Snapshots of ConfigMaps and Secrets in the cluster: what is there, made, owned and deleted.

Data passes through and is never kept: tables hold digests, and a copy is made from what was read
for it alone.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, assert_never

import structlog
from msgspec.structs import replace

from webhook import names
from webhook.cluster import errors
from webhook.cluster.apply import LeadershipLost, Leads, owner_of
from webhook.cluster.client import Client
from webhook.cluster.contents import KINDS
from webhook.cluster.kinds import DEPLOYMENTS, PODS, REPLICASETS, Object
from webhook.cluster.preconditions import patch_unless_changed
from webhook.cluster.store import Store
from webhook.cluster.world import StoreWorld
from webhook.mutation.mutate import mutate
from webhook.mutation.request import Request
from webhook.objects.intent import Snapshots
from webhook.projection.config import (
    Ref,
    digest_of,
    digests_in,
    live_digest,
    snapshots_of,
    source_of,
)
from webhook.projection.config import snapshot_name as name_of
from webhook.projection.deployment import users_deployment
from webhook.projection.diff import diff
from webhook.projection.fields import annotate, labels
from webhook.projection.template import label_value
from webhook.snapshots.plan import Action, Copy, Known, MakeCopy, OwnCopy, ShowContents, copies_in

log = structlog.get_logger(__name__)

_COPIED: Final = ("type", "data", "binaryData")


class ContentsMoved(Exception):
    """An object was changed between the decision to copy it and the copy; decide anew."""


def known_in(store: Store, namespace: str) -> Known:
    """The ConfigMaps and Secrets of a namespace, as its tables stand now."""
    live: dict[Ref, str] = {}
    copies: dict[Ref, Copy] = {}
    for name, kind in KINDS.items():
        for obj in store.table(kind, namespace).all():
            ref = Ref(name, obj["metadata"]["name"])
            if names.SNAPSHOT_OF in labels(obj):
                owners = obj["metadata"].get("ownerReferences") or ()
                copies[ref] = Copy(obj["digest"], frozenset(o["uid"] for o in owners))
            else:
                live[ref] = obj["liveDigest"]
    return Known(live, copies)


class SnapshotKeeper:
    """Writes for one leader's term. All methods raise ``errors.ApiError``."""

    def __init__(
        self, client: Client, store: Store, world: StoreWorld, *, term: int, leads: Leads
    ) -> None:
        self._client = client
        self._store = store
        self._world = world
        self._term = term
        self._leads = leads

    async def perform(self, deployment: Object, action: Action) -> None:
        """Make one action true.

        Raises:
            ContentsMoved: the source has other contents by now.

        """
        self._check(action)
        match action:
            case MakeCopy(source=source, digest=digest):
                await self._make(deployment, source, digest)
            case OwnCopy(copy=copy):
                await self._own(deployment, copy)
            case ShowContents(decided=decided):
                await self._show(deployment, replace(decided, term=self._term))
            case _:
                assert_never(action)

    async def used_in(self, namespace: str) -> frozenset[Ref]:
        """The snapshots that any Deployment, ReplicaSet or pod of a namespace names, read anew."""
        used: set[Ref] = set()
        for kind in (DEPLOYMENTS, REPLICASETS, PODS):  # what makes others comes before them
            page = await self._client.list(kind, namespace, trim=_only_copies)
            used.update(ref for obj in page.items for ref in obj["copies"])
        return frozenset(used)

    async def drop(self, namespace: str, copy: Ref) -> None:
        """Delete a snapshot."""
        self._check(copy)
        held = self._held(namespace, copy)
        if held is None:
            return
        kind = KINDS[copy.kind]
        try:
            await self._client.delete(kind, copy.name, namespace, uid=held["metadata"]["uid"])
        except errors.NotFound:
            log.debug("already_deleted", kind=copy.kind, name=copy.name)
        self._store.table(kind, namespace).forget(held)

    def _check(self, what: object) -> None:
        if not self._leads.leading:
            raise LeadershipLost(type(what).__name__)

    def _held(self, namespace: str, ref: Ref) -> Object | None:
        return self._store.table(KINDS[ref.kind], namespace).get(namespace, ref.name)

    async def _make(self, deployment: Object, source: Ref, digest: str) -> None:
        namespace, kind = deployment["metadata"]["namespace"], KINDS[source.kind]
        original = await self._client.get(kind, source.name, namespace)
        if live_digest(original) != digest:
            raise ContentsMoved(f"{source} in {namespace} is not what it was: {digest}")
        body = copy_of(original, name_of(source.name, digest), deployment)
        try:
            made = await self._client.create(kind, body, namespace)
        except errors.AlreadyExists:
            made = await self._client.get(kind, body["metadata"]["name"], namespace)
            if digest_of(made) != digest or names.SNAPSHOT_OF not in labels(made):
                raise
        self._store.table(kind, namespace).upsert(made)

    async def _own(self, deployment: Object, copy: Ref) -> None:
        namespace, kind = deployment["metadata"]["namespace"], KINDS[copy.kind]
        held = self._held(namespace, copy)
        if held is None:
            call = errors.Call("get", copy.kind, copy.name, namespace)
            raise errors.NotFound(call, "it went away between decision and write")
        meta = held["metadata"]
        owners = [*(meta.get("ownerReferences") or ()), owner_of(deployment)]
        patch = {
            "metadata": {"resourceVersion": meta["resourceVersion"], "ownerReferences": owners}
        }
        made = await self._client.patch(kind, copy.name, patch, namespace)
        self._store.table(kind, namespace).upsert(made)

    async def _show(self, deployment: Object, decided: Snapshots) -> None:
        """Write the intent, and see to it that the template shows it, held if it has to be."""
        await self._confirm(deployment, decided)
        meta = deployment["metadata"]
        version, note = meta["resourceVersion"], {names.CONFIG: decided.text()}
        patch = {"metadata": {"resourceVersion": version, "annotations": note}}
        made = await self._client.patch(DEPLOYMENTS, meta["name"], patch, meta["namespace"])
        template = users_deployment(made)["spec"]["template"]
        if digests_in(template) != decided.shown:
            made = await self._repair(deployment, made)
        self._store.table(DEPLOYMENTS).upsert(made)

    async def _confirm(self, deployment: Object, decided: Snapshots) -> None:
        """A watch may be late: what is news to it may be what was there before."""
        namespace = deployment["metadata"]["namespace"]
        before = (snapshots_of(deployment) or Snapshots()).shown
        for key, digest in decided.shown.items():
            if before.get(key) in (None, digest):
                continue
            kind, _, name = key.partition("/")
            original = await self._client.get(KINDS[kind], name, namespace)
            if live_digest(original) != digest:
                raise ContentsMoved(f"{key} in {namespace} is not what it was: {digest}")

    async def _repair(self, before: Object, made: Object) -> Object:
        """The webhook was not there: write what it should have, in one write."""
        meta = made["metadata"]
        request = Request(
            uid="", operation="UPDATE", kind="Deployment", group="apps",
            namespace=meta["namespace"], name=meta["name"], object=made,
            old=annotate(made, {names.CONFIG: _note(before)}),
            username=self._world.identity, field_manager=names.FIELD_MANAGER,
        )  # fmt: skip
        outcome = mutate(request, self._world, datetime.now(UTC))
        if outcome.denied:
            raise errors.Forbidden(
                errors.Call("patch", "Deployment", meta["name"], meta["namespace"]), outcome.denied
            )
        log.warning("contents_repaired", namespace=meta["namespace"], name=meta["name"])
        changes = diff(made, outcome.object)
        return await patch_unless_changed(self._client, DEPLOYMENTS, made, changes)


def copy_of(original: Object, name: str, deployment: Object) -> Object:
    """The snapshot to create: the same contents, immutable, owned by the Deployment."""
    meta = original["metadata"]
    return {
        "apiVersion": original["apiVersion"],
        "kind": original["kind"],
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {names.SNAPSHOT_OF: label_value(source_of(name)[0])},
            "ownerReferences": [owner_of(deployment)],
        },
        "immutable": True,
        **{key: original[key] for key in _COPIED if key in original},
    }


def _note(obj: Object) -> str | None:
    annotations: Mapping[str, str] = obj["metadata"].get("annotations") or {}
    return annotations.get(names.CONFIG)


def _only_copies(obj: Object) -> Object:
    """Of a Deployment, ReplicaSet or pod: the snapshots that it names."""
    template = obj if obj["kind"] == "Pod" else obj["spec"]["template"]
    copies = [*copies_in(template)]
    if obj["kind"] == "Deployment":
        copies += copies_in(users_deployment(obj)["spec"]["template"])
    return {"metadata": {"name": obj["metadata"]["name"]}, "copies": copies}
