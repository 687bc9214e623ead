"""The stages of each phase: what each grants, what must be seen, and how long it must stand.

A stage changes one thing only, so that each change of traffic is verified before the next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final, TypeAlias

from msgspec.structs import replace

from webhook.objects.duration import parse_duration
from webhook.objects.policy import Step
from webhook.objects.release import Phase, Release, ReleaseStatus, SharedOut, Weight
from webhook.release import checks
from webhook.release.observed import Observed

Status: TypeAlias = ReleaseStatus


@dataclass(frozen=True, slots=True)
class At:
    """What a stage may look at."""

    seen: Observed
    release: Release
    now: datetime

    @property
    def steps(self) -> tuple[Step, ...]:
        """The canary steps of the release's snapshot."""
        canary = self.release.spec.strategy.canary
        return canary.steps if canary else ()

    @property
    def replicas(self) -> int:
        """Pods that the user wants, at least one."""
        return max(1, self.seen.deployment.replicas)

    @property
    def routed(self) -> bool:
        """Whether any Service of the Deployment has a route that can be split."""
        return any(root.routed for root in self.seen.roots)


def _unchanged(_at: At, status: Status) -> Status:
    return status


def _nothing(_at: At, _status: Status) -> str | None:
    return None


def _always(_at: At, _status: Status) -> bool:
    return True


def _at_once(_at: At, _status: Status, since: datetime) -> datetime:
    return since


@dataclass(frozen=True, slots=True)
class Stage:
    """One change, and what must be true before the next one."""

    name: str
    enter: Callable[[At, Status], Status] = _unchanged
    """What is granted from here on."""
    lacks: Callable[[At, Status], str | None] = _nothing
    """Why the change is not in effect yet."""
    until: Callable[[At, Status, datetime], datetime] = _at_once
    """Until when it must have been in effect, given since when it is."""
    leave: Callable[[At, Status], Status] = _unchanged
    applies: Callable[[At, Status], bool] = _always


def step_weight(at: At, status: Status) -> int:
    """The weight that the present step asks for, in percent."""
    step = at.steps[status.step] if status.step < len(at.steps) else None
    return step.set_weight if step and step.set_weight is not None else status.weight.asked


def pods_for(weight: int, replicas: int, *, routed: bool) -> int:
    """How many new pods a weight needs beside the whole stable side.

    With routes, the share of ``replicas`` that the weight is. By pod count, so many that their
    share of all pods is nearest: n / (replicas + n); half of the traffic is the most.
    """
    if routed:
        return max(1, ceil(replicas * weight / 100))
    if weight >= 50:
        return replicas
    return min(replicas, max(1, round(replicas * weight / (100 - weight))))


def _settled(at: At, _status: Status, since: datetime) -> datetime:
    return since + parse_duration(at.release.spec.traffic.settle)


def _drained(at: At, status: Status, since: datetime) -> datetime:
    return (status.traffic_left_at or since) + parse_duration(at.release.spec.traffic.drain)


def _traffic_left(at: At, status: Status) -> Status:
    return replace(status, traffic_left_at=at.now)


# Pending


def _protect(at: At, status: Status) -> Status:
    """Stable pods only. A release that was lost in its middle is found again, at weight 0."""
    found = tuple(SharedOut(c.root, c.name) for c in at.seen.canaries)
    split = 0 if any(route.shares for route in at.seen.routes) else None
    held = at.seen.deployment.hold
    return replace(
        status,
        hold="Halt" if held and held.new_pods else "Gate",
        root_hash=at.release.spec.stable.hash,
        exposed=found,
        split=split,
        steps=len(at.steps),
        started_at=status.started_at or at.now,
    )


def _found_settled(at: At, status: Status, since: datetime) -> datetime:
    return since if status.split is None else _drained(at, status, _settled(at, status, since))


# Scaling


def _step_scale(at: At, status: Status) -> Status:
    wanted = pods_for(step_weight(at, status), at.replicas, routed=at.routed)
    return _scale(at, status, max(wanted, status.canary_replicas))


def _full_scale(at: At, status: Status) -> Status:
    return _scale(at, status, at.replicas)


def _scale(at: At, status: Status, pods: int) -> Status:
    return replace(status, hold="Step", canary_replicas=pods, scaling_since=at.now)


def _expose(at: At, status: Status) -> Status:
    """A canary Service beside each routed Service, once its pods are known."""
    known = {pair.root for pair in status.exposed}
    new = tuple(
        SharedOut(root.name, canary_name(root.name, at.seen.taken))
        for root in at.seen.roots
        if root.routed and not root.shared and root.name not in known
    )
    canary = at.seen.canary
    return replace(
        status,
        exposed=status.exposed + new,
        canary_hash=canary.hash if canary else status.canary_hash,
    )


def canary_name(root: str, taken: frozenset[str]) -> str:
    """A name for the canary Service that no Service of the user has; at most 63 characters."""
    plain = f"{root[:56]}-canary"
    return plain if plain not in taken else f"{root[:48]}-slipway-canary"


def _name(_at: At, status: Status) -> Status:
    """A backend that a proxy does not know yet is named before it gets weight."""
    return replace(status, split=0)


# Shifting and promoting


def _shift(at: At, status: Status) -> Status:
    weight = step_weight(at, status)
    return _carry(at, status, weight)


def _carry(at: At, status: Status, weight: int) -> Status:
    granted = replace(status, weight=Weight(asked=weight), granted=status.granted or weight > 0)
    if status.exposed:
        return replace(granted, split=weight)
    return replace(granted, root_hash="" if weight else at.release.spec.stable.hash)


def _carry_all(at: At, status: Status) -> Status:
    if status.exposed:
        return _carry(at, status, 100)
    return replace(_repin(at, status), weight=Weight(asked=100), granted=True)


def _shifted(at: At, status: Status) -> str | None:
    if status.exposed:
        return checks.routes_programmed(at.seen, status)
    if status.root_hash:
        return checks.roots_reach(at.seen, status.root_hash)
    return checks.roots_offer_both(at.seen)


def _repin(at: At, status: Status) -> Status:
    canary = at.seen.canary
    return replace(status, root_hash=canary.hash if canary else status.root_hash)


def _pinned(at: At, status: Status) -> str | None:
    return checks.roots_reach(at.seen, status.root_hash) if status.root_hash else None


def _return_routes(_at: At, status: Status) -> Status:
    return replace(status, split=0)


def _unname(_at: At, status: Status) -> Status:
    return replace(status, split=None)


def _lift(_at: At, status: Status) -> Status:
    return replace(status, hold="")


# Waiting


def _paused(at: At, status: Status) -> str | None:
    step = at.steps[status.step] if status.step < len(at.steps) else None
    endless = step is not None and step.pause is not None and step.pause.duration is None
    if endless and at.release.spec.approve <= status.step:
        return f"step {status.step + 1} waits for approval: set spec.approve to {status.step + 1}"
    return None


def _pause_over(at: At, status: Status, since: datetime) -> datetime:
    step = at.steps[status.step] if status.step < len(at.steps) else None
    if step is None or step.pause is None or step.pause.duration is None:
        return since
    if at.release.spec.approve > status.step:
        return since
    return since + parse_duration(step.pause.duration)


# Cleaning and rolling back


def _unexpose(_at: At, status: Status) -> Status:
    return replace(status, exposed=())


def _clean(at: At, status: Status) -> Status:
    """Everything of ours goes; pins stay if the next release has begun to need them."""
    kept = status.root_hash if at.seen.deployment.hold else ""
    return replace(status, exposed=(), root_hash=kept)


def _retreat_roots(at: At, status: Status) -> Status:
    return replace(status, root_hash=at.release.spec.stable.hash)


def _retreat(at: At, status: Status) -> Status:
    """Weight 0, whatever else; then nothing new starts."""
    return replace(
        status,
        weight=Weight(asked=0),
        split=None if status.split is None else 0,
        root_hash=at.release.spec.stable.hash,
        hold="Halt" if status.hold == "Step" else status.hold,
    )


def _retreated(at: At, status: Status) -> str | None:
    return checks.routes_programmed(at.seen, status) or _pinned(at, status)


def _was_granted(_at: At, status: Status) -> bool:
    return status.granted


def _left_settled(at: At, status: Status, since: datetime) -> datetime:
    return _settled(at, status, since) if status.granted else since


def _withdraw(_at: At, status: Status) -> Status:
    return replace(status, canary_replicas=0, hold="Halt")


def _settle_up(_at: At, status: Status) -> Status:
    """The state to end in: held and reported, handed on, or given back."""
    match status.outcome:
        case Phase.SUPERSEDED:
            return replace(status, hold="Gate")
        case Phase.ROLLED_BACK:
            return replace(status, hold="")
        case _:
            return replace(status, hold="Aborted", root_hash="")


def _settled_up(at: At, status: Status) -> str | None:
    if status.outcome is Phase.ROLLED_BACK:
        return checks.rolled_out(at.seen, status)
    return None


def _unpin(_at: At, status: Status) -> Status:
    return replace(status, root_hash="")


_SCALE: Final = Stage(
    "scale", enter=_step_scale, lacks=lambda at, s: checks.canary_ready(at.seen, s)
)
_EXPOSE: Final = Stage(
    "expose",
    enter=_expose,
    lacks=lambda at, s: checks.canary_reachable(at.seen, s),
    applies=lambda at, _s: at.routed,
)
_NAME: Final = Stage(
    "name",
    enter=_name,
    lacks=lambda at, s: checks.routes_programmed(at.seen, s),
    until=_settled,
    applies=lambda _at, s: bool(s.exposed) and s.split is None,
)
_UNEXPOSE: Final = Stage(
    "unexpose",
    enter=_unexpose,
    lacks=lambda at, s: checks.canaries_gone(at.seen, s),
    applies=lambda at, s: bool(s.exposed or at.seen.canaries),
)
_ROUTED: Final = {"applies": lambda _at, s: bool(s.exposed)}

STAGES: Final[Mapping[Phase, tuple[Stage, ...]]] = {
    Phase.PENDING: (Stage("protect", enter=_protect, lacks=_pinned, until=_found_settled),),
    Phase.SCALING: (_SCALE, _EXPOSE, _NAME),
    Phase.SHIFTING: (Stage("shift", enter=_shift, lacks=_shifted, until=_settled),),
    Phase.WAITING: (Stage("pause", lacks=_paused, until=_pause_over),),
    Phase.PROMOTING: (
        Stage("scale", enter=_full_scale, lacks=_SCALE.lacks),
        _EXPOSE,
        _NAME,
        Stage("shift", enter=_carry_all, lacks=_shifted, until=_settled, leave=_traffic_left),
        Stage("repin", enter=_repin, lacks=_pinned, until=_settled, applies=_ROUTED["applies"]),
        Stage(
            "return",
            enter=_return_routes,
            lacks=lambda at, s: checks.routes_programmed(at.seen, s),
            until=_settled,
            applies=_ROUTED["applies"],
        ),
        Stage("drain", until=_drained),
        Stage(
            "unname",
            enter=_unname,
            lacks=lambda at, s: checks.routes_programmed(at.seen, s),
            until=_settled,
            applies=_ROUTED["applies"],
        ),
        Stage("lift", enter=_lift, lacks=lambda at, s: checks.rolled_out(at.seen, s)),
    ),
    Phase.CLEANING: (
        Stage("clean", enter=_clean, lacks=lambda at, s: checks.canaries_gone(at.seen, s)),
    ),
    Phase.ROLLING_BACK: (
        Stage(
            "repin",
            enter=_retreat_roots,
            lacks=_pinned,
            until=_settled,
            applies=lambda at, s: (
                bool(s.exposed) and s.root_hash not in ("", at.release.spec.stable.hash)
            ),
        ),
        Stage(
            "retreat", enter=_retreat, lacks=_retreated, until=_left_settled, leave=_traffic_left
        ),
        Stage("drain", until=_drained, applies=_was_granted),
        Stage(
            "unname",
            enter=_unname,
            lacks=lambda at, s: checks.routes_programmed(at.seen, s),
            until=_settled,
            applies=lambda _at, s: s.split is not None,
        ),
        _UNEXPOSE,
        Stage(
            "withdraw",
            enter=_withdraw,
            lacks=lambda at, s: checks.withdrawn(at.seen, s),
            applies=lambda _at, s: s.outcome is not Phase.ROLLED_BACK,
        ),
        Stage("settle-up", enter=_settle_up, lacks=_settled_up),
        Stage("unpin", enter=_unpin, applies=lambda _at, s: s.outcome is Phase.ROLLED_BACK),
    ),
}
"""Every phase that does something, with its stages in order."""
