"""What a stage may look at, and what the present step comes to there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from webhook.objects.release import Feature, Phase, Release, ReleaseStatus, Routing
from webhook.objects.steps import Step
from webhook.release import program
from webhook.release.observed import Observed

Status: TypeAlias = ReleaseStatus

_NOTHING: Final[dict[Feature, Any]] = {"headers": (), "mirrors": (), "preview": ""}


@dataclass(frozen=True)
class At:
    """One release at one moment."""

    seen: Observed
    release: Release
    now: datetime

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the release's snapshot."""
        return program.steps_of(self.release.spec)

    def step(self, status: Status) -> Step | None:
        """The present step; None after the last one."""
        return self.steps[status.step] if status.step < len(self.steps) else None

    @property
    def replicas(self) -> int:
        """Pods that the user wants."""
        return self.seen.deployment.replicas

    @property
    def routed(self) -> bool:
        """Whether any Service of the Deployment has a route that can be split."""
        return any(root.routed and not root.free for root in self.seen.roots)

    @property
    def previews(self) -> bool:
        """Whether every Service gets one beside it for the new pods, with a route or without."""
        return self.release.spec.strategy.blue_green is not None

    @property
    def suffix(self) -> str:
        """How the names of the Services for the new pods end."""
        return "preview" if self.previews else "canary"

    def passed(self, step: int) -> bool:
        """Whether a person wants a step, by its index from 0, not to be waited for."""
        spec = self.release.spec
        return spec.promote or spec.skip > step

    def deadline(self, status: Status) -> datetime | None:
        """When pods that were asked for are late; None where none were."""
        limit = timedelta(seconds=self.release.spec.progress_deadline_seconds)
        return status.scaling_since + limit if status.scaling_since else None

    # What the present step asks for

    def weight(self, status: Status) -> int:
        """The weight of the present step, in percent."""
        return program.weight_at(self.steps, status.step)

    def routing(self, status: Status) -> Routing:
        """The header, cookie and mirror routes of the present step."""
        asked = program.routing_at(self.release.spec, self.steps, status.step)
        return replace(asked, **{feature: _NOTHING[feature] for feature in status.skipped})

    def in_effect(self, status: Status) -> bool:
        """Whether the new version has what the present step grants it."""
        routing = self.routing(status) if status.split is not None else status.routing
        return (status.weight.asked, status.routing) == (self.weight(status), routing)

    # Pods

    def wanted_pods(self, status: Status) -> int:
        """How many new pods the present step needs, whatever the budget."""
        if status.phase is Phase.PROMOTING:
            return self.replicas
        weight = self.weight(status)
        scale = program.scale_at(self.steps, status.step)
        if scale is not None:
            routing = self.routing(status)
            used = weight or routing.headers or routing.mirrors or status.weight.asked
            return max(1 if used else 0, program.scaled(scale, self.replicas))
        if self.budget is not None:
            return program.pods_within(weight, self.replicas)
        return program.pods_for(weight, self.replicas, routed=self.routed)

    @property
    def budget(self) -> int | None:
        """How many pods there may be beside the replicas; None: a whole second side."""
        return program.extra_pods(self.release.spec.strategy, self.replicas)

    def room(self, status: Status) -> tuple[int, int]:
        """How many new pods there may be now, and how many stable ones make room for them.

        Stable pods go only as far as the traffic that they had is gone.
        """
        goal, budget = min(self.wanted_pods(status), self.replicas), self.budget
        if budget is None:
            return min(self.replicas, max(goal, status.canary_replicas)), 0
        carried = ceil(self.replicas * status.weight.asked / 100)
        most = budget + max(carried, status.retired)
        pods = min(self.replicas, max(status.canary_replicas, min(goal, most)))
        return pods, max(status.retired, pods - budget)

    def making_room(self, status: Status) -> bool:
        """Whether stable pods are leaving their Services, and may still have requests."""
        return status.retired > status.unavailable

    def affordable(self, status: Status) -> int:
        """The present step's weight, or as much of it as there are new pods for."""
        goal, pods = self.weight(status), status.canary_replicas
        if self.budget is None or pods >= min(self.wanted_pods(status), self.replicas):
            return goal
        return min(goal, max(status.weight.asked, 100 * pods // max(1, self.replicas)))

    def resized(self, status: Status) -> Status:
        """The status for the replicas that the Deployment has now, if they changed in a hold.

        The native controller scales both sides in proportion; the hold has to say the same.
        """
        before, after = status.replicas, self.replicas
        if after in (before, 0) or status.hold != "Step" or not status.canary_replicas:
            return status
        if self.making_room(status):
            return status
        if self.budget is None:
            pods = min(after, max(1, self.wanted_pods(status)))
            return replace(status, canary_replicas=pods, replicas=after)
        spared = self._spared(status)
        if spared is None:
            return status  # how its controller shares out the new number is not seen yet
        pods = min(after, max(1, ceil(status.canary_replicas * after / max(1, before))))
        gone = min(max(0, pods - self.budget), spared)
        pods = min(pods, gone + self.budget)
        return replace(status, canary_replicas=pods, unavailable=gone, retired=gone, replicas=after)

    def _spared(self, status: Status) -> int | None:
        """How many released pods there need not be: those that are missing, or left their Services.

        Any other would have to drain first.
        """
        stable, held = self.seen.stable, self.seen.deployment.hold
        if stable is None:
            return self.replicas
        if held and held.share is not None and not self.seen.deployment.paused_by_user:
            return held.unavailable_of(self.replicas)
        if stable.sized_for not in (None, self.replicas):
            return None
        return max(status.retired, self.replicas - stable.wanted)
