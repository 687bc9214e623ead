"""The Deployment controller on raw objects: ReplicaSets, their sizes, and the status."""

from __future__ import annotations

import random

import orjson

from tests.simulation import rollout
from tests.simulation.api_server import KUBE, ApiServer, Key
from tests.simulation.clock import Clock
from tests.simulation.patches import Object, with_meta, with_spec, with_status
from webhook import names
from webhook.cluster.kinds import DEPLOYMENTS, PODS, REPLICASETS, Kind

HASH = names.POD_TEMPLATE_HASH


class DeploymentController:
    """Looks at a Deployment a moment after something around it changed."""

    def __init__(self, clock: Clock, api: ApiServer, dice: random.Random) -> None:
        self._clock, self._api, self._dice = clock, api, dice
        self._booked: set[Key] = set()
        self.scaled_by_user: set[str] = set()
        """Uids of ReplicaSets whose size was last changed since the user's replicas did."""
        self._hashes: dict[bytes, str] = {}
        api.subscribe(self._changed)

    def _changed(self, kind: Kind, type_: str, obj: Object, _old: Object | None) -> None:
        if kind is DEPLOYMENTS:
            self._book((obj["metadata"]["namespace"], obj["metadata"]["name"]))
        elif kind is REPLICASETS:
            for owner in obj["metadata"].get("ownerReferences") or ():
                self._book((obj["metadata"]["namespace"], owner["name"]))
        elif kind is PODS and type_ == "DELETED":  # a Recreate may have waited for it
            for key in [_key(d) for d in self._api.all(DEPLOYMENTS) if _is_recreate(d)]:
                self._book(key)

    def _book(self, key: Key) -> None:
        if key not in self._booked:
            self._booked.add(key)
            self._clock.after(self._dice.randrange(5, 60), self._sync, key)

    def _sync(self, key: Key) -> None:
        self._booked.discard(key)
        deployment = self._api.find(DEPLOYMENTS, *key)
        if deployment is None or self._api.terminating:
            return
        mine = self._api.owned(REPLICASETS, deployment["metadata"]["uid"])
        new = next((rs for rs in mine if self._is_new(rs, deployment)), None)
        old = [rs for rs in mine if rs is not new]
        if new is None and self._name_taken(deployment):  # its Deployment was just deleted
            self._book(key)
            return
        paused = deployment["spec"].get("paused") is True
        if new is not None:
            new = self._kept_up(deployment, new, old)
        if paused or rollout.scaling(deployment, mine):
            sizes, by_user = rollout.scaled(deployment, new, old), True
        elif _is_recreate(deployment):
            sizes, by_user = {rs["metadata"]["name"]: 0 for rs in old if rollout.size(rs)}, False
            if not sizes and not any(pods_of(self._api, rs) for rs in old):
                new = new or self._made(deployment, old)
                sizes = {new["metadata"]["name"]: deployment["spec"]["replicas"]}
        else:
            if new is None:
                new = self._made(deployment, old)
                sizes = {}
            else:
                sizes = rollout.rolled(deployment, new, old)
            by_user = new is not None and rollout.size(new) > deployment["spec"]["replicas"]
        for rs in [new, *old] if new else old:
            self._resize(deployment, rs, sizes, by_user=by_user)
        self._report(key)
        if paused or _complete(self._api.get(DEPLOYMENTS, *key)):
            self._forget(deployment, old)

    # ReplicaSets

    def _forget(self, deployment: Object, old: list[Object]) -> None:
        """Empty ReplicaSets above the history limit go, the oldest first."""
        over = len(old) - deployment["spec"]["revisionHistoryLimit"]
        by_age = sorted(old, key=lambda rs: int(rollout.note(rs, rollout.REVISION) or 0))
        for each in by_age[: max(0, over)]:
            rs = self._api.by_uid(each["metadata"]["uid"])
            if rs and not rollout.size(rs) and not (rs.get("status") or {}).get("replicas"):
                self._api.remove(REPLICASETS, (rs["metadata"]["namespace"], rs["metadata"]["name"]))

    def hash_of(self, template: Object) -> str:
        """The pod-template-hash: read off by Slipway, never computed by it."""
        text = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
        return self._hashes.setdefault(text, f"h{len(self._hashes) + 1}")

    def _is_new(self, rs: Object, deployment: Object) -> bool:
        wanted = self.hash_of(deployment["spec"]["template"])
        return bool(rs["metadata"]["labels"][HASH] == wanted)

    def _name_taken(self, deployment: Object) -> bool:
        meta = deployment["metadata"]
        name = f"{meta['name']}-{self.hash_of(deployment['spec']['template'])}"
        return self._api.find(REPLICASETS, meta["namespace"], name) is not None

    def _made(self, deployment: Object, old: list[Object]) -> Object:
        template = deployment["spec"]["template"]
        hash_ = self.hash_of(template)
        labels = {**template["metadata"]["labels"], HASH: hash_}
        meta = deployment["metadata"]
        total = sum(map(rollout.size, old))
        spec = {
            "replicas": rollout.new_size(deployment, 0, total),
            "selector": {
                "matchLabels": {**deployment["spec"]["selector"]["matchLabels"], HASH: hash_}
            },
            "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
        }
        if deployment["spec"].get("minReadySeconds"):
            spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
        return self._api.create(
            REPLICASETS,
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{meta['name']}-{hash_}",
                    "namespace": meta["namespace"],
                    "labels": labels,
                    "annotations": _notes(deployment, _next_revision(old)),
                    "ownerReferences": [_owner(deployment, DEPLOYMENTS)],
                },
                "spec": spec,
            },
            KUBE,
        )

    def _kept_up(self, deployment: Object, new: Object, old: list[Object]) -> Object:
        """The new ReplicaSet has the highest revision, and the Deployment's minReadySeconds."""
        highest = _next_revision(old)
        revision = max(highest, int(rollout.note(new, rollout.REVISION) or 0))
        kept = {**(new["metadata"].get("annotations") or {}), rollout.REVISION: str(revision)}
        after = with_meta(new, annotations=kept)
        after = with_spec(after, minReadySeconds=deployment["spec"].get("minReadySeconds") or None)
        return self._api.write(REPLICASETS, after)

    def _resize(
        self, deployment: Object, rs: Object, sizes: rollout.Sizes, *, by_user: bool
    ) -> None:
        wanted = sizes.get(rs["metadata"]["name"])
        if wanted is None:
            return
        kept = rs["metadata"].get("annotations") or {}
        revision = int(kept.get(rollout.REVISION) or 1)
        after = with_meta(rs, annotations={**kept, **_notes(deployment, revision)})
        uid = rs["metadata"]["uid"]
        if wanted != rollout.size(rs):
            (self.scaled_by_user.add if by_user else self.scaled_by_user.discard)(uid)
        self._api.write(REPLICASETS, with_spec(after, replicas=wanted))

    # Status

    def _report(self, key: Key) -> None:
        deployment = self._api.get(DEPLOYMENTS, *key)
        mine = self._api.owned(REPLICASETS, deployment["metadata"]["uid"])
        new = next((rs for rs in mine if self._is_new(rs, deployment)), None)
        status: Object = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": _total(mine, "replicas"),
            "updatedReplicas": _total([new] if new else [], "replicas"),
            "readyReplicas": _total(mine, "readyReplicas"),
            "availableReplicas": _total(mine, "availableReplicas"),
        }
        before = deployment.get("status") or {}
        conditions = before.get("conditions") or []
        moved = any(before.get(k) != status[k] for k in ("replicas", "updatedReplicas"))
        if deployment["spec"].get("paused") is not True and moved:
            conditions = [c for c in conditions if c.get("reason") != "ProgressDeadlineExceeded"]
        status["conditions"] = conditions
        notes = deployment["metadata"].get("annotations") or {}
        after = with_status(deployment, **status)
        if new is not None:
            revision = rollout.note(new, rollout.REVISION)
            after = with_meta(after, annotations={**notes, rollout.REVISION: revision})
        if after != deployment:
            generation = deployment["metadata"]["generation"]
            made = self._api.write(DEPLOYMENTS, after)
            if made["metadata"]["generation"] != generation:
                self._book(key)


class ReplicaSetController:
    """Makes and ends pods, and counts them."""

    def __init__(
        self,
        clock: Clock,
        api: ApiServer,
        dice: random.Random,
        nodes: Nodes,
        native: DeploymentController,
    ) -> None:
        self._clock, self._api, self._dice = clock, api, dice
        self._nodes, self._native = nodes, native
        self._booked: set[Key] = set()
        self._made = 0
        self.quota = False
        """The quota is used up: no pod can be made."""
        api.subscribe(self._changed)

    def _changed(self, kind: Kind, type_: str, obj: Object, _old: Object | None) -> None:
        if kind is REPLICASETS and type_ != "DELETED":
            self.book((obj["metadata"]["namespace"], obj["metadata"]["name"]))
        elif kind is PODS:
            for owner in obj["metadata"].get("ownerReferences") or ():
                self.book((obj["metadata"]["namespace"], owner["name"]))

    def book(self, key: Key) -> None:
        if key not in self._booked:
            self._booked.add(key)
            self._clock.after(self._dice.randrange(5, 40), self._sync, key)

    def _sync(self, key: Key) -> None:
        self._booked.discard(key)
        rs = self._api.find(REPLICASETS, *key)
        if rs is None:
            return
        pods = [p for p in pods_of(self._api, rs) if "deletionTimestamp" not in p["metadata"]]
        surplus = len(pods) - rollout.size(rs)
        if surplus > 0:
            order = sorted(pods, key=lambda p: (is_ready(p), _cost(p), -_number(p)))
            by_user = rs["metadata"]["uid"] in self._native.scaled_by_user
            for pod in order[:surplus]:
                self._nodes.ending(pod, by_user=by_user)
                self._api.end_pod((key[0], pod["metadata"]["name"]))
        elif surplus < 0 and not self.quota and not self._api.terminating:
            for _ in range(-surplus):
                self._make(rs)
        self._count(key)

    def _make(self, rs: Object) -> None:
        self._made += 1
        template, meta = rs["spec"]["template"], rs["metadata"]
        pod = self._api.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    **template["metadata"],
                    "name": f"{meta['name']}-{self._made}",
                    "namespace": meta["namespace"],
                    "ownerReferences": [_owner(rs, REPLICASETS)],
                },
                "spec": template["spec"],
                "status": {"phase": "Pending"},
            },
            KUBE,
        )
        self._nodes.started(pod)

    def _count(self, key: Key) -> None:
        rs = self._api.get(REPLICASETS, *key)
        pods = [p for p in pods_of(self._api, rs) if "deletionTimestamp" not in p["metadata"]]
        ready = [pod for pod in pods if is_ready(pod)]
        least = rs["spec"].get("minReadySeconds", 0) * 1000
        now = self._clock.now
        since = [self._nodes.ready_since(pod) for pod in ready]
        there = sum(now - each >= least for each in since)
        if there < len(ready) and least < 10**8:
            soonest = min(each + least for each in since if now - each < least)
            self._clock.after(soonest - now + 1, self.book, key)
        counts = {"replicas": len(pods), "readyReplicas": len(ready), "availableReplicas": there}
        self._api.write(REPLICASETS, with_status(rs, **counts))


class Nodes:
    """What pods do once they are there: `pods.py` has it; this is what controllers tell it."""

    def started(self, pod: Object) -> None:
        raise NotImplementedError

    def ending(self, pod: Object, *, by_user: bool) -> None:
        raise NotImplementedError

    def ready_since(self, pod: Object) -> int:
        raise NotImplementedError


def pods_of(api: ApiServer, rs: Object) -> list[Object]:
    return api.owned(PODS, rs["metadata"]["uid"])


def is_ready(pod: Object) -> bool:
    """Ready, and not being deleted."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _is_recreate(deployment: Object) -> bool:
    return bool(deployment["spec"]["strategy"]["type"] == "Recreate")


def _key(obj: Object) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _cost(pod: Object) -> int:
    notes = pod["metadata"].get("annotations") or {}
    return int(notes.get(names.DELETION_COST, "0"))


def _number(pod: Object) -> int:
    return int(pod["metadata"]["uid"].rpartition("-")[2])


def _owner(obj: Object, kind: Kind) -> Object:
    meta = obj["metadata"]
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _notes(deployment: Object, revision: int) -> dict[str, str]:
    wanted = deployment["spec"]["replicas"]
    most = wanted + rollout.fenceposts(deployment)[0]
    return {
        rollout.REVISION: str(revision),
        rollout.DESIRED: str(wanted),
        rollout.MAX: str(most),
    }


def _complete(deployment: Object) -> bool:
    status, wanted = deployment["status"], deployment["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    return all(status.get(count) == wanted for count in counts)


def _next_revision(old: list[Object]) -> int:
    return max((int(rollout.note(rs, rollout.REVISION) or 0) for rs in old), default=0) + 1


def _total(replicasets: list[Object], field: str) -> int:
    return sum((rs.get("status") or {}).get(field, 0) for rs in replicasets)
