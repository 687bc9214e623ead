"""The native controllers, as far as a hold depends on them.

The rules are those of the Deployment controller's rolling update: scale up the new
ReplicaSet within the surge, clean up old pods that are not available, then scale down old
ReplicaSets within what may be unavailable, the oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster_model import Cluster

GRACE = timedelta(seconds=1)


@dataclass
class Pod:
    """One pod."""

    name: str
    hash: str
    ready_at: datetime | None
    """None: never again."""
    gone_at: datetime | None = None
    """Set while it is terminating."""
    lost: bool = False
    track: str | None = None
    serves: bool = False
    first_to_go: bool = False
    served_at: datetime | None = None
    """When traffic may last have reached it."""

    def ready(self, now: datetime) -> bool:
        return self.gone_at is None and self.ready_at is not None and now >= self.ready_at


@dataclass
class ReplicaSet:
    """One version's ReplicaSet."""

    version: str
    wanted: int = 0
    never_available: bool = False
    pods: list[Pod] = field(default_factory=list)
    made: int = 0

    @property
    def hash(self) -> str:
        return f"h-{self.version}"

    def available(self, now: datetime) -> int:
        return 0 if self.never_available else sum(pod.ready(now) for pod in self.pods)

    def reconcile(self, cluster: Cluster) -> None:
        """Start and end pods until there are as many as wanted."""
        now = cluster.now
        self.pods = [p for p in self.pods if p.gone_at is None or now < p.gone_at]
        live = [pod for pod in self.pods if pod.gone_at is None]
        for pod in sorted(live, key=lambda p: (p.ready(now), not p.first_to_go))[
            : max(0, len(live) - self.wanted)
        ]:
            pod.gone_at = now + GRACE
        for _ in range(self.wanted - len(live)):
            self.made += 1
            ready_at = None if self.version in cluster.broken else now + cluster.start
            self.pods.append(Pod(f"web-{self.hash}-{self.made}", self.hash, ready_at))


def roll(cluster: Cluster) -> None:
    """One pass of the Deployment controller."""
    hold = cluster.hold
    paused = cluster.paused_by_user or (hold is not None and hold.mode != "Step")
    current = cluster.replicasets.get(f"h-{cluster.shown}")
    if current is None and not paused:
        current = ReplicaSet(cluster.shown)
        cluster.replicasets[current.hash] = current
    saturated = current is not None and current.available(cluster.now) == cluster.replicas
    if current is not None:
        current.never_available = hold is not None and hold.mode != "Gate"
    active = [rs for rs in cluster.replicasets.values() if rs.wanted]
    if len(active) == 1 and (paused or active == [current]):
        active[0].wanted = cluster.replicas
    elif current and saturated and current.wanted == cluster.replicas:
        for rs in active:  # it is saturated: also while paused, the others go
            rs.wanted = rs.wanted if rs is current else 0
    if paused or current is None:
        return
    cluster.marked_failed = False
    surge, unavailable = ceil(cluster.replicas / 4), cluster.replicas // 4
    if hold is not None:
        surge, unavailable = hold.surge, hold.unavailable
    total = sum(rs.wanted for rs in cluster.replicasets.values())
    room = min(cluster.replicas + surge - total, cluster.replicas - current.wanted)
    if room > 0:
        current.wanted += room
        return
    _scale_down_old(cluster, current, cluster.replicas - unavailable)


def _scale_down_old(cluster: Cluster, current: ReplicaSet, least: int) -> None:
    now = cluster.now
    everyone = list(cluster.replicasets.values())
    old = [rs for rs in everyone if rs is not current and rs.wanted]
    unavailable = current.wanted - current.available(now)
    budget = sum(rs.wanted for rs in everyone) - least - unavailable
    for rs in old:
        step = max(0, min(budget, rs.wanted - rs.available(now)))
        rs.wanted -= step
        budget -= step
    spare = sum(rs.available(now) for rs in everyone) - least
    for rs in old:
        step = max(0, min(spare, budget, rs.wanted))
        rs.wanted -= step
        spare, budget = spare - step, budget - step
