"""What each stage grants, what it waits for, and how long: from a status to the next one.

All functions take what is seen (`At`) and the status; none of them writes anything.
"""

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TypeAlias

from msgspec.structs import replace

from webhook.objects.duration import parse_duration
from webhook.objects.release import Phase, Release, ReleaseStatus, SharedOut, Weight
from webhook.objects.steps import Step
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

    def step(self, status: Status) -> Step | None:
        """The present step; None after the last one."""
        return self.steps[status.step] if status.step < len(self.steps) else None

    @property
    def replicas(self) -> int:
        """Pods that the user wants, at least one."""
        return max(1, self.seen.deployment.replicas)

    @property
    def routed(self) -> bool:
        """Whether any Service of the Deployment has a route that can be split."""
        return any(root.routed for root in self.seen.roots)


def step_weight(at: At, status: Status) -> int:
    """The weight that the present step asks for, in percent."""
    step = at.step(status)
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


def settled(at: At, _status: Status, since: datetime) -> datetime:
    """The end of the settle time: how long a data plane may take after it reports a change."""
    return since + parse_duration(at.release.spec.traffic.settle)


def drained(at: At, status: Status, since: datetime) -> datetime:
    """The end of the drain, which counts from the proof that traffic left."""
    return (status.traffic_left_at or since) + parse_duration(at.release.spec.traffic.drain)


def traffic_left(at: At, status: Status) -> Status:
    """Note that the pods that will go have no traffic from here on."""
    return replace(status, traffic_left_at=at.now)


# Pending


def protect(at: At, status: Status) -> Status:
    """Stable pods only. A release that was lost in its middle is found again, at weight 0."""
    routed = {root.name for root in at.seen.roots if root.routed}
    found = tuple(SharedOut(c.root, c.name) for c in at.seen.canaries if c.root in routed)
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
        granted=status.granted or split is not None or bool(held and held.new_pods),
    )


def found_settled(at: At, status: Status, since: datetime) -> datetime:
    """What was found of a lost release has settled and drained at weight 0 before pods go."""
    return since if not status.granted else drained(at, status, settled(at, status, since))


# Scaling


def step_scale(at: At, status: Status) -> Status:
    """Pods for this step's weight; never fewer than there were."""
    wanted = pods_for(step_weight(at, status), at.replicas, routed=at.routed)
    return scale(at, status, max(wanted, status.canary_replicas))


def full_scale(at: At, status: Status) -> Status:
    """A whole new side beside the whole old one."""
    return scale(at, status, at.replicas)


def scale(at: At, status: Status, pods: int) -> Status:
    """Ask for so many new pods; the progress deadline begins."""
    return replace(status, hold="Step", canary_replicas=pods, scaling_since=at.now)


def expose(at: At, status: Status) -> Status:
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


def name(_at: At, status: Status) -> Status:
    """A backend that a proxy does not know yet is named before it gets weight."""
    return replace(status, split=0)


# Shifting and promoting


def shift(at: At, status: Status) -> Status:
    """The weight of this step."""
    weight = step_weight(at, status)
    return carry(at, status, weight)


def carry(at: At, status: Status, weight: int) -> Status:
    """Routes carry the weight; without routes, Services let both versions in."""
    granted = replace(status, weight=Weight(asked=weight), granted=status.granted or weight > 0)
    if status.exposed:
        return replace(granted, split=weight)
    return replace(granted, root_hash="" if weight else at.release.spec.stable.hash)


def carry_all(at: At, status: Status) -> Status:
    """All traffic to the new version, by routes that still name both."""
    if status.exposed:
        return carry(at, status, 100)
    return replace(repin(at, status), weight=Weight(asked=100), granted=True)


def shifted(at: At, status: Status) -> str | None:
    """Why the weight is not in effect: routes first, Services where there are none."""
    if status.exposed:
        return checks.routes_programmed(at.seen, status)
    if status.root_hash:
        return checks.roots_reach(at.seen, status.root_hash)
    return checks.roots_offer_both(at.seen)


def repin(at: At, status: Status) -> Status:
    """The user's Services select the new pods; routes carry nothing to them at that moment."""
    canary = at.seen.canary
    return replace(status, root_hash=canary.hash if canary else status.root_hash)


def pinned(at: At, status: Status) -> str | None:
    """Why the Services do not offer just the pods that they are pinned to."""
    return checks.roots_reach(at.seen, status.root_hash) if status.root_hash else None


def return_routes(_at: At, status: Status) -> Status:
    """All traffic through the user's own Services again."""
    return replace(status, split=0)


def unname(_at: At, status: Status) -> Status:
    """Routes become the user's own."""
    return replace(status, split=None)


def lift(_at: At, status: Status) -> Status:
    """The Deployment becomes the user's own, and the native controller ends the rollout."""
    return replace(status, hold="")


# Waiting


def paused(at: At, status: Status) -> str | None:
    """Why a pause without duration does not end: nobody has approved."""
    step = at.step(status)
    endless = step is not None and step.pause is not None and step.pause.duration is None
    if endless and at.release.spec.approve <= status.step:
        return f"step {status.step + 1} waits for approval: set spec.approve to {status.step + 1}"
    return None


def pause_over(at: At, status: Status, since: datetime) -> datetime:
    """The end of a pause with a duration; an approval ends it at once."""
    step = at.step(status)
    if step is None or step.pause is None or step.pause.duration is None:
        return since
    if at.release.spec.approve > status.step:
        return since
    return since + parse_duration(step.pause.duration)


# Cleaning and rolling back


def unexpose(_at: At, status: Status) -> Status:
    """No canary Service is wanted any more."""
    return replace(status, exposed=())


def clean(at: At, status: Status) -> Status:
    """Everything of ours goes; pins stay if the next release has begun to need them."""
    kept = status.root_hash if at.seen.deployment.hold else ""
    return replace(status, exposed=(), root_hash=kept)


def retreat_roots(at: At, status: Status) -> Status:
    """The user's Services select the released pods again, while routes pass them by.

    No pod may change meanwhile: a newer template must not replace those that have the traffic.
    """
    halted = "Halt" if status.hold == "Step" else status.hold
    return replace(status, root_hash=at.release.spec.stable.hash, hold=halted)


def retreat(at: At, status: Status) -> Status:
    """Weight 0, whatever else; then nothing new starts."""
    return replace(
        status,
        weight=Weight(asked=0),
        split=None if status.split is None else 0,
        root_hash=at.release.spec.stable.hash,
        hold="Halt" if status.hold == "Step" else status.hold,
    )


def retreated(at: At, status: Status) -> str | None:
    """Why the traffic is not known to be back."""
    return checks.routes_programmed(at.seen, status) or pinned(at, status)


def was_granted(_at: At, status: Status) -> bool:
    """Whether there is any traffic to drain."""
    return status.granted


def left_settled(at: At, status: Status, since: datetime) -> datetime:
    """Settled, or at once where the version never had traffic."""
    return settled(at, status, since) if status.granted else since


def withdraw(_at: At, status: Status) -> Status:
    """No pod of the version is wanted any more."""
    return replace(status, canary_replicas=0, hold="Halt")


def settle_up(_at: At, status: Status) -> Status:
    """The state to end in: held and reported, handed on, or given back."""
    match status.outcome:
        case Phase.SUPERSEDED:
            return replace(status, hold="Gate")
        case Phase.ROLLED_BACK:
            return replace(status, hold="")
        case _:
            return replace(status, hold="Aborted", root_hash="")


def settled_up(at: At, status: Status) -> str | None:
    """Why a return to the released version is not complete."""
    if status.outcome is Phase.ROLLED_BACK:
        return checks.rolled_out(at.seen, status)
    return None


def unpin(at: At, status: Status) -> Status:
    """The user's Services are their own again, unless the next release has begun to need them."""
    return replace(status, root_hash=status.root_hash if at.seen.deployment.hold else "")
