"""The arithmetic of the native rolling update, as in Kubernetes' Deployment controller.

ReplicaSets are raw objects. All functions return wanted sizes by name and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Any

from tests.simulation.patches import Object

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"

Sizes = dict[str, int]


def size(rs: Object) -> int:
    replicas: int = rs["spec"]["replicas"]
    return replicas


def available(rs: Object) -> int:
    count: int = (rs.get("status") or {}).get("availableReplicas", 0)
    return count


def note(rs: Object, key: str) -> str | None:
    value: str | None = (rs["metadata"].get("annotations") or {}).get(key)
    return value


def age(rs: Object) -> tuple[str, int]:
    """Sorts the oldest first."""
    return rs["metadata"]["creationTimestamp"], int(rs["metadata"]["uid"].rpartition("-")[2])


def fenceposts(deployment: Object) -> tuple[int, int]:
    """(surge, unavailable) as numbers."""
    spec = deployment["spec"]
    rolling = spec["strategy"].get("rollingUpdate")
    if rolling is None:
        return 0, spec["replicas"]
    surge = _amount(rolling["maxSurge"], spec["replicas"], up=True)
    unavailable = _amount(rolling["maxUnavailable"], spec["replicas"], up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _amount(value: Any, of: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    parts = int(str(value).rstrip("%")) * of
    return -(-parts // 100) if up else parts // 100


def saturated(deployment: Object, new: Object | None) -> bool:
    """All that is wanted is there in the new version."""
    wanted = deployment["spec"]["replicas"]
    return (
        new is not None
        and note(new, DESIRED) == str(wanted)
        and size(new) == wanted
        and available(new) == wanted
    )


def scaling(deployment: Object, everyone: Sequence[Object]) -> bool:
    """The user wants another number of pods than the ReplicaSets were sized for."""
    wanted = str(deployment["spec"]["replicas"])
    return any(size(rs) and note(rs, DESIRED) not in (None, wanted) for rs in everyone)


def scaled(deployment: Object, new: Object | None, old: Sequence[Object]) -> Sizes:
    """Sizes after a change of replicas, also while paused: in proportion."""
    wanted = deployment["spec"]["replicas"]
    everyone = [*([new] if new else []), *old]
    active = [rs for rs in everyone if size(rs)]
    if len(active) <= 1:
        latest = new or max(old, key=age, default=None)
        only = active[0] if active else latest
        return {only["metadata"]["name"]: wanted} if only and size(only) != wanted else {}
    if saturated(deployment, new):
        return {rs["metadata"]["name"]: 0 for rs in old if size(rs)}
    if deployment["spec"]["strategy"]["type"] != "RollingUpdate":
        return {}
    return _in_proportion(deployment, active)


def _in_proportion(deployment: Object, active: Sequence[Object]) -> Sizes:
    wanted = deployment["spec"]["replicas"]
    allowed = wanted + fenceposts(deployment)[0] if wanted else 0
    to_add = allowed - sum(map(size, active))
    order = sorted(active, key=lambda rs: (size(rs), age(rs)), reverse=True)
    if to_add < 0:
        order = sorted(active, key=lambda rs: (-size(rs), age(rs)))
    sizes: Sizes = {}
    added = 0
    for rs in order:
        part = 0
        if to_add and size(rs) and to_add != added:
            part, left = _fraction(deployment, rs, allowed), to_add - added
            part = min(part, left) if to_add > 0 else max(part, left)
        sizes[rs["metadata"]["name"]] = size(rs) + part
        added += part
    if to_add != added:
        first = order[0]["metadata"]["name"]
        sizes[first] = max(0, sizes[first] + to_add - added)
    return {rs["metadata"]["name"]: sizes[rs["metadata"]["name"]] for rs in order}


def _fraction(deployment: Object, rs: Object, allowed: int) -> int:
    if deployment["spec"]["replicas"] == 0:
        return -size(rs)
    shown = (deployment.get("status") or {}).get("replicas")
    before = int(note(rs, MAX) or 0) or shown or size(rs)
    return floor(size(rs) * allowed / before + 0.5) - size(rs)


def new_size(deployment: Object, new_replicas: int, total: int) -> int:
    """How large the new ReplicaSet may be now."""
    wanted = deployment["spec"]["replicas"]
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        return int(wanted)
    room = wanted + fenceposts(deployment)[0] - total
    if room <= 0:
        return new_replicas
    return int(new_replicas + min(room, wanted - new_replicas))


def rolled(deployment: Object, new: Object, old: Sequence[Object]) -> Sizes:
    """One pass of the rolling update: the new side up, or else the old sides down."""
    wanted = deployment["spec"]["replicas"]
    total = size(new) + sum(map(size, old))
    if size(new) > wanted:
        return {new["metadata"]["name"]: wanted}
    if size(new) < wanted:
        target = new_size(deployment, size(new), total)
        if target != size(new):
            return {new["metadata"]["name"]: target}
    return _old_down(deployment, new, sorted(old, key=age), total)


def _old_down(deployment: Object, new: Object, old: Sequence[Object], total: int) -> Sizes:
    if not sum(map(size, old)):
        return {}
    least = deployment["spec"]["replicas"] - fenceposts(deployment)[1]
    budget = total - least - (size(new) - available(new))
    if budget <= 0:
        return {}
    if any(size(rs) and available(rs) > size(rs) for rs in old):
        return {}  # the status is older than the size: the real one fails and tries again
    sizes = {rs["metadata"]["name"]: size(rs) for rs in old}
    for rs in old:  # those first that are not available
        step = max(0, min(budget, size(rs) - available(rs)))
        sizes[rs["metadata"]["name"]] -= step
        budget -= step
    spare = available(new) + sum(map(available, old)) - least
    for rs in old:
        name = rs["metadata"]["name"]
        step = max(0, min(spare, sizes[name]))
        sizes[name] -= step
        spare -= step
    return {rs["metadata"]["name"]: sizes[rs["metadata"]["name"]] for rs in old}
