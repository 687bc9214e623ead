"""The API server: raw objects, versions, preconditions, defaults, admission and garbage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.simulation.addresses import Addresses, clash
from tests.simulation.clock import Clock
from tests.simulation.defaults import completed, fault_of
from tests.simulation.patches import (
    Object,
    TestFailed,
    json_patched,
    merged,
    strategic,
    with_meta,
)
from webhook.cluster.kinds import (
    CONFIGMAPS,
    DEPLOYMENTS,
    HTTPROUTES,
    INGRESSES,
    PODS,
    RELEASES,
    REPLICASETS,
    SECRETS,
    SERVICES,
    Kind,
)
from webhook.cluster.wire import PatchType

Key = tuple[str, str]
Admit = Callable[[Kind, str, Object, Object | None, "Who"], Object]
Listener = Callable[[Kind, str, Object, Object | None], None]

_WITH_STATUS = frozenset(
    {DEPLOYMENTS, REPLICASETS, PODS, HTTPROUTES, RELEASES, SERVICES, INGRESSES}
)
_OWNED = (REPLICASETS, SERVICES, INGRESSES, RELEASES, CONFIGMAPS, SECRETS)


class Who(NamedTuple):
    """Who writes."""

    user: str
    manager: str


KUBE = Who("system:kube-controller-manager", "kube-controller-manager")


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message


class ApiServer:
    """All objects of the cluster. What is in it is never changed in place, so it may be shared."""

    def __init__(self, clock: Clock, admit: Admit) -> None:
        self._clock, self._admit = clock, admit
        self._objects: dict[Kind, dict[Key, Object]] = defaultdict(dict)
        self._uids: dict[str, tuple[Kind, Key]] = {}
        self._owned: defaultdict[str, dict[tuple[Kind, Key], None]] = defaultdict(dict)
        self._listeners: list[Listener] = []
        self._addresses = Addresses()
        self.version = 1000
        self._made = 0
        self.terminating = False
        """The users' namespace is being deleted: nothing can be made in it."""

    # Reading

    def subscribe(self, listener: Listener) -> None:
        """Tell of every change: kind, ADDED / MODIFIED / DELETED, the object, the one before."""
        self._listeners.append(listener)

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self._objects[kind].get((namespace, name))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        found = self.find(kind, namespace, name)
        if found is None:
            raise Refused(404, "NotFound", f"{kind.plural} {name!r} not found")
        return found

    def all(self, kind: Kind) -> list[Object]:
        return list(self._objects[kind].values())

    def by_uid(self, uid: str) -> Object | None:
        where = self._uids.get(uid)
        return self._objects[where[0]].get(where[1]) if where else None

    def owned(self, kind: Kind, uid: str) -> list[Object]:
        """The objects of a kind that another one owns, the oldest first."""
        return [self._objects[k][key] for k, key in self._owned.get(uid, ()) if k is kind]

    # Writing, as clients do

    def create(self, kind: Kind, obj: Object, who: Who) -> Object:
        meta = obj["metadata"]
        key = (meta.get("namespace") or "", meta["name"])
        if self.terminating and key[0]:
            raise Refused(403, "Forbidden", f"namespace {key[0]} is being terminated")
        if key in self._objects[kind]:
            raise Refused(409, "AlreadyExists", f"{kind.plural} {key[1]!r} already exists")
        self._made += 1
        obj = with_meta(
            obj,
            uid=f"uid-{self._made}",
            creationTimestamp=self._clock.stamp(),
            generation=1,
            resourceVersion=None,
        )
        admitted = self._admit(kind, "CREATE", completed(kind, obj), None, who)
        made = self._checked(kind, self._addressed(kind, admitted, None))
        made = self._store(kind, key, made, None)
        self._collect_orphan(kind, made)
        return made

    def patch(  # the API has as many parameters
        self,
        kind: Kind,
        key: Key,
        patch: Any,
        who: Who,
        content: PatchType = PatchType.MERGE,
        subresource: str | None = None,
    ) -> Object:
        old = self.get(kind, *key)
        if content is PatchType.JSON:
            try:
                new = json_patched(old, patch)
            except TestFailed as error:
                raise Refused(422, "Invalid", str(error)) from error
        else:
            self._precondition(old, patch.get("metadata") or {})
            new = (strategic if content is PatchType.STRATEGIC else merged)(old, patch)
        return self._update(kind, key, new, old, who, subresource)

    def put(self, kind: Kind, obj: Object, who: Who) -> Object:
        """Replace the whole object; without a resourceVersion there is no precondition."""
        meta = obj["metadata"]
        key = (meta.get("namespace") or "", meta["name"])
        old = self.get(kind, *key)
        self._precondition(old, meta)
        kept = {k: old["metadata"][k] for k in ("uid", "creationTimestamp", "generation")}
        if "ownerReferences" in old["metadata"]:
            kept["ownerReferences"] = old["metadata"]["ownerReferences"]
        return self._update(kind, key, with_meta(obj, **kept), old, who, None)

    def delete(self, kind: Kind, key: Key, uid: str | None = None) -> None:
        old = self.get(kind, *key)
        if uid is not None and old["metadata"]["uid"] != uid:
            raise Refused(409, "Conflict", "the uid in the precondition is another one")
        self.remove(kind, key)

    # Writing, as controllers do: no admission, whole objects based on what is stored

    def write(self, kind: Kind, new: Object) -> Object:
        """Store a new state of an object that is there."""
        meta = new["metadata"]
        key = (meta.get("namespace") or "", meta["name"])
        old = self._objects[kind][key]
        if new == old:
            return old
        return self._store(kind, key, _counted(new, old, new.get("spec") != old.get("spec")), old)

    def remove(self, kind: Kind, key: Key) -> None:
        """Take an object out, and, after a while, what it owns."""
        old = self._objects[kind].pop(key)
        self._own(kind, key, None, old)
        self.version += 1
        self._uids.pop(old["metadata"]["uid"], None)
        last = with_meta(old, resourceVersion=str(self.version))
        self._tell(kind, "DELETED", last, old)
        if kind in (DEPLOYMENTS, REPLICASETS):
            self._clock.after(20, self._collect, old["metadata"]["uid"])

    # Inside

    def _update(
        self,
        kind: Kind,
        key: Key,
        new: Object,
        old: Object,
        who: Who,
        subresource: str | None,
    ) -> Object:
        if subresource == "status":
            new = {**old, "status": new.get("status") or {}}
        else:
            if kind in _WITH_STATUS:
                new = _with_status_of(new, old)
            new = with_meta(new, resourceVersion=old["metadata"]["resourceVersion"])
            if subresource != "scale":  # no rule of Slipway's webhook or policy is for it
                new = self._admit(kind, "UPDATE", completed(kind, new), old, who)
            new = self._checked(kind, self._addressed(kind, completed(kind, new), old))
            new = _counted(new, old, _asks_for_more(kind, new, old))
        return old if new == old else self._store(kind, key, new, old)

    def _store(self, kind: Kind, key: Key, new: Object, old: Object | None) -> Object:
        self.version += 1
        new = with_meta(new, resourceVersion=str(self.version))
        self._objects[kind][key] = new
        self._own(kind, key, new, old)
        self._uids[new["metadata"]["uid"]] = (kind, key)
        self._tell(kind, "ADDED" if old is None else "MODIFIED", new, old)
        return new

    def _own(self, kind: Kind, key: Key, new: Object | None, old: Object | None) -> None:
        now, before = (owners(obj) if obj else [] for obj in (new, old))
        if now == before:
            return
        for uid in before:
            self._owned[uid].pop((kind, key), None)
        for uid in now:
            self._owned[uid][kind, key] = None

    def _tell(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        for listener in self._listeners:
            listener(kind, type_, obj, old)

    def _precondition(self, old: Object, meta: Mapping[str, Any]) -> None:
        for field in ("resourceVersion", "uid"):
            if meta.get(field) is not None and meta[field] != old["metadata"][field]:
                raise Refused(409, "Conflict", f"the object has another {field}")

    def _checked(self, kind: Kind, obj: Object) -> Object:
        wrong = fault_of(kind, obj)
        if wrong:
            raise Refused(422, "Invalid", wrong)
        return obj

    def _addressed(self, kind: Kind, obj: Object, old: Object | None) -> Object:
        if kind is not SERVICES:
            return obj
        obj = self._addresses.given(obj, old)
        if wrong := clash(obj, old, self._objects[SERVICES].values()):
            raise Refused(422, "Invalid", wrong)
        return obj

    def _collect_orphan(self, kind: Kind, obj: Object) -> None:
        for uid in owners(obj):
            if uid not in self._uids:
                self._clock.after(20, self._collect, uid)

    def _collect(self, uid: str) -> None:
        """Delete what an owner that is gone has left, and no other has."""
        mine = [each for each in self._owned.pop(uid, ()) if not self._has_owner(each)]
        for kind in (*_OWNED, PODS):
            for key in [key for of, key in mine if of is kind]:
                if kind is not PODS:
                    self.remove(kind, key)
                elif "deletionTimestamp" not in self._objects[PODS][key]["metadata"]:
                    self.end_pod(key)

    def _has_owner(self, where: tuple[Kind, Key]) -> bool:
        return any(uid in self._uids for uid in owners(self._objects[where[0]][where[1]]))

    def end_pod(self, key: Key, grace: int = 100) -> None:
        """A pod terminates: it is marked, and gone after its grace period."""
        pod = self._objects[PODS][key]
        self.write(PODS, with_meta(pod, deletionTimestamp=self._clock.stamp()))
        self._clock.after(grace, self._pod_gone, key, pod["metadata"]["uid"])

    def _pod_gone(self, key: Key, uid: str) -> None:
        pod = self._objects[PODS].get(key)
        if pod is not None and pod["metadata"]["uid"] == uid:
            self.remove(PODS, key)


def owners(obj: Object) -> list[str]:
    """Uids of an object's owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]


def _with_status_of(new: Object, old: Object) -> Object:
    if "status" in old:
        return {**new, "status": old["status"]}
    return {k: v for k, v in new.items() if k != "status"} if "status" in new else new


def _asks_for_more(kind: Kind, new: Object, old: Object) -> bool:
    """Whether a client's write makes a new generation; of Deployments annotations do as well."""
    if new.get("spec") != old.get("spec"):
        return True
    notes = [obj["metadata"].get("annotations") for obj in (new, old)]
    return kind is DEPLOYMENTS and notes[0] != notes[1]


def _counted(new: Object, old: Object, more: bool) -> Object:
    generation = old["metadata"].get("generation", 1) + more
    if new["metadata"].get("generation") == generation:
        return new
    return with_meta(new, generation=generation)
