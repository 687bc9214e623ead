"""Performs plans: every action that the engine knows becomes one write, or none.

Each write of intent or status carries a precondition; its answer goes into the tables at once, so
that the next decision sees it. Where the webhook did not project our intent (it was down), the
same pure functions are applied here to the object that the API server returned.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, assert_never

import structlog
from msgspec.structs import replace

from webhook import names
from webhook.cluster import errors
from webhook.cluster.client import Client, PatchType
from webhook.cluster.events import event_object, failed_condition
from webhook.cluster.kinds import (
    DEPLOYMENTS,
    EVENTS,
    PODS,
    RELEASES,
    REPLICASETS,
    ROUTES,
    SERVICES,
    Kind,
    Object,
)
from webhook.cluster.preconditions import patch_unless_changed
from webhook.cluster.releases import release_object, status_patch
from webhook.cluster.snapshot import routing
from webhook.cluster.store import Store
from webhook.objects.intent import Hold, Pin, Split
from webhook.projection.deployment import (
    hold_of,
    projected_deployment,
    with_users_pause,
    without_policys_pause,
)
from webhook.projection.diff import diff
from webhook.projection.fields import annotations, labels
from webhook.projection.service import projected_service
from webhook.projection.template import Stable
from webhook.release.actions import (
    Action,
    Announce,
    CreateRelease,
    DeleteCanary,
    DeleteRelease,
    DeleteReplicaSet,
    ExposeCanary,
    LabelPod,
    LiftHold,
    MarkFailed,
    Protect,
    Record,
    RemoveStray,
    ScaleReplicaSet,
    SetHold,
    SetPin,
    SetSplit,
    TakeUp,
)
from webhook.traffic.canary_service import canary_service
from webhook.traffic.contract import Annotate, Delete, Put, Target, Write
from webhook.traffic.routers import ROUTERS
from webhook.traffic.splits import split_of

log = structlog.get_logger(__name__)

_CHEAPEST = "-2147483648"
"""The least deletion cost there is (int32)."""

_PROJECTIONS: dict[Kind, Callable[[Object], Object]] = {
    DEPLOYMENTS: projected_deployment,
    SERVICES: projected_service,
    **{ROUTES[router.kind]: router.projected for router in ROUTERS.values()},
}


class Leads(Protocol):
    """Knows whether this process is still the leader."""

    @property
    def leading(self) -> bool:
        """Whether the Lease is held at this moment."""
        ...


class LeadershipLost(Exception):
    """The Lease ran out before a write; a new leader decides anew, so it is not made."""


class Actuator:
    """Writes for one leader's term. All methods raise ``errors.ApiError``."""

    def __init__(
        self, client: Client, store: Store, *, term: int, instance: str, leads: Leads
    ) -> None:
        self._client = client
        self._leads = leads
        self._store = store
        self._term = term
        self._instance = instance

    async def perform(  # noqa: C901, PLR0912 one row an action, and mypy proves none is missing
        self, deployment: Object, roots: frozenset[str], action: Action
    ) -> None:
        """Make one action true; ``roots`` are the Deployment's Services that may be split."""
        if not self._leads.leading:
            raise LeadershipLost(type(action).__name__)
        namespace = deployment["metadata"]["namespace"]
        match action:
            case CreateRelease():
                await self._create_release(deployment, action)
            case Record():
                await self._record(namespace, action)
            case DeleteRelease(release=name):
                await self._delete(RELEASES, self._store.table(RELEASES).get(namespace, name))
            case SetHold():
                hold = Hold(
                    mode=action.mode,
                    surge=action.surge,
                    unavailable=action.unavailable,
                    of=deployment["spec"].get("replicas", 1) if action.unavailable else 0,
                    aborted=action.aborted,
                    term=self._term,
                )
                await self._annotate(DEPLOYMENTS, deployment, {names.HOLD: hold.text()})
            case TakeUp(stable=stable):
                await self._annotate(DEPLOYMENTS, deployment, self._taken_up(deployment, stable))
            case Protect(stable=stable):
                await self._annotate(DEPLOYMENTS, deployment, {names.STABLE: stable.text()})
            case LiftHold():
                lifted = {names.HOLD: None, names.STABLE: None}
                await self._annotate(DEPLOYMENTS, deployment, lifted)
            case SetPin(service=name, hash=hash_, fenced=fenced):
                wanted = Pin(hash=hash_ or "", fenced=fenced, term=self._term)
                pin = wanted.text() if hash_ or fenced else None
                await self._annotate(
                    SERVICES, self._held(SERVICES, namespace, name), {names.PIN: pin}
                )
            case ExposeCanary():
                await self._expose(deployment, action)
            case DeleteCanary(service=name):
                await self._delete(SERVICES, self._table(SERVICES, namespace).get(namespace, name))
            case SetSplit():
                await self._split(deployment, roots, action)
            case RemoveStray(route=ref):
                kind = ROUTES[ref.kind]
                await self._delete(kind, self._store.table(kind).get(ref.namespace, ref.name))
            case ScaleReplicaSet(name=name, replicas=replicas):
                await self._scale(namespace, name, replicas)
            case DeleteReplicaSet(name=name):
                table = self._table(REPLICASETS, namespace)
                await self._delete(REPLICASETS, table.get(namespace, name))
            case LabelPod():
                await self._label(namespace, action)
            case MarkFailed(message=message):
                await self._mark_failed(deployment, message)
            case Announce():
                await self._announce(deployment, action)
            case _:
                assert_never(action)

    async def release_service(self, service: Object) -> None:
        """Unpin a Service that belongs to no Deployment any more."""
        await self._annotate(SERVICES, service, {names.PIN: None})

    async def release_route(self, kind: Kind, route: Object, left: Split | None) -> None:
        """Leave in a route only the shares that a Deployment is behind."""
        split = replace(left, term=self._term).text() if left else None
        await self._annotate(kind, route, {names.SPLIT: split})

    async def leave_paused(self, deployment: Object) -> None:
        """End an aborted Deployment's hold; it stays paused, as if its user had done it.

        In two writes: what is lifted gives back what is stored, also where the API server asks
        the webhook twice about one write.
        """
        if not self._leads.leading:
            raise LeadershipLost("leave_paused")
        await self._annotate(
            DEPLOYMENTS, deployment, {names.ORIGINAL: with_users_pause(deployment)}
        )
        meta = deployment["metadata"]
        paused = self._held(DEPLOYMENTS, meta["namespace"], meta["name"])
        lifted = dict.fromkeys((names.HOLD, names.STABLE, names.HELD_BY))
        await self._annotate(DEPLOYMENTS, paused, lifted)

    def _taken_up(self, deployment: Object, stable: Stable | None) -> dict[str, str | None]:
        """The hold, and that the pause which is there already is not the user's."""
        held = hold_of(deployment)
        hold = replace(held or Hold(mode="Gate"), term=self._term)
        hold = replace(hold, mode="Halt") if hold.new_pods else hold
        known = {names.STABLE: stable.text()} if stable else {}
        return {
            names.HOLD: hold.text(),
            names.ORIGINAL: without_policys_pause(deployment, hold),
            names.HELD_BY: None,
            **known,
        }

    async def _create_release(self, deployment: Object, action: CreateRelease) -> None:
        namespace = deployment["metadata"]["namespace"]
        body = release_object(namespace, action.name, action.spec, owner_of(deployment))
        try:
            made = await self._client.create(RELEASES, body, namespace)
        except errors.AlreadyExists:
            made = await self._client.get(RELEASES, action.name, namespace)
        self._store.table(RELEASES).upsert(made)

    async def _record(self, namespace: str, action: Record) -> None:
        stored = self._held(RELEASES, namespace, action.release)
        patch = {
            "metadata": {"resourceVersion": stored["metadata"]["resourceVersion"]},
            "status": status_patch(action.status, stored.get("status") or {}),
        }
        made = await self._client.patch(
            RELEASES, action.release, patch, namespace, subresource="status"
        )
        self._store.table(RELEASES).upsert(made)

    async def _annotate(
        self, kind: Kind, before: Object, changes: Mapping[str, str | None]
    ) -> None:
        """Write intent, and see to it that it was projected."""
        meta = before["metadata"]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "annotations": changes}}
        made = await self._client.patch(kind, meta["name"], patch, meta.get("namespace"))
        right = _PROJECTIONS[kind](made)
        if right != made:
            made = await self._repair(kind, made, right)
        self._table(kind, meta["namespace"]).upsert(made)

    async def _repair(self, kind: Kind, made: Object, right: Object) -> Object:
        """The webhook was not there, or wrong: write what it should have."""
        meta = made["metadata"]
        changes = diff(made, right)
        log.warning(
            "projection_repaired",
            kind=kind.kind,
            namespace=meta["namespace"],
            name=meta["name"],
            paths=[change["path"] for change in changes],
        )
        return await patch_unless_changed(self._client, kind, made, changes)

    async def _expose(self, deployment: Object, action: ExposeCanary) -> None:
        namespace = deployment["metadata"]["namespace"]
        root = self._held(SERVICES, namespace, action.root)
        wanted = canary_service(root, action.canary, action.hash, owner_of(deployment), self._term)
        await self._put(SERVICES, wanted)

    async def _split(self, deployment: Object, roots: frozenset[str], action: SetSplit) -> None:
        router = ROUTERS[action.route.kind]
        kind = ROUTES[action.route.kind]
        route = self._held(kind, action.route.namespace, action.route.name)
        target = Target(
            owner=owner_of(deployment),
            namespace=deployment["metadata"]["namespace"],
            services=roots,
            term=self._term,
        )
        for wanted in router.writes(routing(self._store), route, action.shares, target):
            await self._write(wanted)

    async def _write(self, write: Write) -> None:
        kind = ROUTES[write.kind]
        match write:
            case Annotate(object=obj, annotations=changes):
                await self._annotate(kind, obj, changes)
            case Put(object=obj):
                await self._put(kind, obj)
            case Delete(object=obj):
                await self._delete(kind, obj)
            case _:
                assert_never(write)

    async def _put(self, kind: Kind, wanted: Object) -> None:
        """Create an object of ours, or make it so; a stranger's of that name is not touched."""
        meta = wanted["metadata"]
        namespace = meta["namespace"]
        held = self._table(kind, namespace).get(namespace, meta["name"])
        if held is None:
            made = await self._client.create(kind, wanted, namespace)
        elif names.CANARY_OF not in labels(held):
            call = errors.Call("patch", kind.kind, meta["name"], namespace)
            raise errors.AlreadyExists(call, "an object that is not Slipway's has this name")
        else:
            patch = {
                "metadata": {
                    "resourceVersion": held["metadata"]["resourceVersion"],
                    "annotations": {**_left_over(held, meta["annotations"]), **meta["annotations"]},
                },
                "spec": wanted["spec"],
            }
            made = await self._client.patch(kind, meta["name"], patch, namespace)
        self._table(kind, namespace).upsert(made)

    async def _delete(self, kind: Kind, obj: Object | None) -> None:
        if obj is None:
            return
        meta = obj["metadata"]
        if _term_of(obj) > self._term:  # a delete says nothing that a webhook could refuse
            raise LeadershipLost(f"{kind.kind} {meta['name']} is a newer leader's")
        try:
            await self._client.delete(
                kind, meta["name"], meta.get("namespace"), uid=meta.get("uid")
            )
        except errors.NotFound:
            log.debug("already_deleted", kind=kind.kind, name=meta["name"])
        self._table(kind, meta["namespace"]).forget(obj)

    async def _scale(self, namespace: str, name: str, replicas: int) -> None:
        held = self._held(REPLICASETS, namespace, name)
        patch = {
            "metadata": {
                "resourceVersion": held["metadata"]["resourceVersion"],
                # Where it says another number, the native controller sees a change of replicas
                # for ever, and never rolls out again.
                "annotations": {names.DESIRED_REPLICAS: str(replicas)} if replicas else {},
            },
            "spec": {"replicas": replicas},
        }
        made = await self._client.patch(REPLICASETS, name, patch, namespace)
        self._table(REPLICASETS, namespace).upsert(made)

    async def _label(self, namespace: str, action: LabelPod) -> None:
        serves = "true" if action.serves else None
        ours = {names.TRACK: action.track, names.SERVES: serves}
        meta: Object = {"labels": {**dict(action.extra), **ours}}
        if action.first_to_go is not None:
            cost = _CHEAPEST if action.first_to_go else None
            meta["annotations"] = {names.DELETION_COST: cost}
        try:
            made = await self._client.patch(PODS, action.pod, {"metadata": meta}, namespace)
        except errors.NotFound:
            return  # it ended meanwhile; its successor is labelled when it is seen
        self._table(PODS, namespace).upsert(made)

    async def _mark_failed(self, deployment: Object, message: str) -> None:
        meta = deployment["metadata"]
        made = await self._client.patch(
            DEPLOYMENTS,
            meta["name"],
            {"status": {"conditions": [failed_condition(message)]}},
            meta["namespace"],
            subresource="status",
            content=PatchType.STRATEGIC,
        )
        self._store.table(DEPLOYMENTS).upsert(made)

    async def _announce(self, deployment: Object, action: Announce) -> None:
        """News are for people: one that can't be told stops no release."""
        body = event_object(deployment, action, self._instance)
        try:
            await self._client.create(EVENTS, body, deployment["metadata"]["namespace"])
        except errors.ApiError as error:
            log.warning("event_lost", reason=action.reason, error=str(error))

    def _table(self, kind: Kind, namespace: str) -> Any:
        from_cluster = kind in (DEPLOYMENTS, RELEASES, *ROUTES.values())
        return self._store.table(kind, None if from_cluster else namespace)

    def _held(self, kind: Kind, namespace: str, name: str) -> Object:
        found: Object | None = self._table(kind, namespace).get(namespace, name)
        if found is None:
            call = errors.Call("get", kind.kind, name, namespace)
            raise errors.NotFound(call, "it went away between decision and write")
        return found


def _term_of(obj: Object) -> int:
    """The term of the leader who wrote an object of ours last; 0 where it does not say."""
    notes = annotations(obj)
    split = split_of(obj)
    term = str(notes.get(names.TERM, ""))
    return max(split.term if split else 0, int(term) if term.isdigit() else 0)


def _left_over(held: Object, wanted: Mapping[str, str]) -> dict[str, None]:
    """Annotations of an object of ours that are to go; other tools' own stay."""
    domains = {key.partition("/")[0] for key in wanted}
    return {
        key: None
        for key in annotations(held)
        if key not in wanted and key.partition("/")[0] in domains
    }


def owner_of(deployment: Object) -> Object:
    """The Deployment as an ``ownerReferences`` entry: what is ours goes with it."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
        "uid": deployment["metadata"]["uid"],
        "blockOwnerDeletion": False,
        "controller": False,
    }
