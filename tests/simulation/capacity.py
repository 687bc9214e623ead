"""Rule 3 for whole sides: who still has traffic keeps the pods for it, and budgets are kept."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from tests.simulation import rollout
from tests.simulation.api_server import ApiServer, owners
from tests.simulation.deployments import HASH
from tests.simulation.excuses import Excuses
from tests.simulation.patches import Object
from tests.simulation.reading import hold_text, running_release, status_of
from webhook.cluster.kinds import RELEASES, REPLICASETS, Kind


class Capacity:
    """Looks at the sizes of ReplicaSets while a Deployment is held."""

    def __init__(self, api: ApiServer, excuses: Excuses, fail: Callable[[str, str], None]) -> None:
        self._api, self._excuses, self._fail = api, excuses, fail
        self._most: dict[str, int] = {}
        """By Release: the most percent that it ever asked for."""
        api.subscribe(self._changed)

    def _changed(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        if kind is RELEASES and type_ != "DELETED":
            uid = obj["metadata"]["uid"]
            asked = (status_of(obj).get("weight") or {}).get("asked", 0)
            self._most[uid] = max(asked, self._most.get(uid, 0))
        elif kind is REPLICASETS and type_ == "MODIFIED" and old is not None:
            self._resized(obj, old)

    def _resized(self, obj: Object, old: Object) -> None:
        found = self._api.by_uid(owners(obj)[0])
        if found is None or not hold_text(found) or self._excused():
            return
        release = running_release(self._api, found)
        if release is None or status_of(release).get("hold") not in ("Step", "Halt"):
            return
        if obj["metadata"]["labels"][HASH] == release["spec"]["stable"]["hash"]:
            if rollout.size(obj) < rollout.size(old):
                self._keeps_enough(found, obj, release)
        elif rollout.size(obj) > rollout.size(old):
            self._keeps_budget(found, release)

    def _excused(self) -> bool:
        return self._excuses.resized or self._excuses.all_gone

    def _keeps_enough(self, deployment: Object, rs: Object, release: Object) -> None:
        replicas = deployment["spec"]["replicas"]
        gone = 0
        if _budget(release, replicas) is not None:
            gone = ceil(replicas * self._most.get(release["metadata"]["uid"], 0) / 100)
        if rollout.size(rs) < replicas - gone:
            name, left = rs["metadata"]["name"], rollout.size(rs)
            self._fail("rule 3", f"{name} has {left} pods left of {replicas}, {gone} could go")

    def _keeps_budget(self, deployment: Object, release: Object) -> None:
        replicas = deployment["spec"]["replicas"]
        budget = _budget(release, replicas)
        most = replicas + (replicas if budget is None else budget)
        uid = deployment["metadata"]["uid"]
        total = sum(rollout.size(rs) for rs in self._api.all(REPLICASETS) if uid in owners(rs))
        if total > most:
            self._fail("budget", f"{total} pods are wanted, where {most} are the most")


def _budget(release: Object, replicas: int) -> int | None:
    canary = release["spec"]["strategy"].get("canary") or {}
    asked = canary.get("maxExtraPods")
    if asked is None:
        return None
    pods = ceil(replicas * int(asked[:-1]) / 100) if isinstance(asked, str) else int(asked)
    return max(1, pods)
