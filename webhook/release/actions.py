"""What a plan can ask for: every write that Slipway makes, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from webhook.objects.intent import Share
from webhook.objects.release import ReleaseSpec, ReleaseStatus
from webhook.projection.template import Stable
from webhook.release.observed import RouteRef


@dataclass(frozen=True, slots=True)
class CreateRelease:
    """Begin a release; an existing one of that name is left alone."""

    name: str
    spec: ReleaseSpec


@dataclass(frozen=True, slots=True)
class Record:
    """Write a release's status: what is granted from now on is known before it is done."""

    release: str
    status: ReleaseStatus


@dataclass(frozen=True, slots=True)
class DeleteRelease:
    """Forget a finished release that is over the policy's history limit."""

    release: str


@dataclass(frozen=True, slots=True)
class SetHold:
    """Hold the Deployment at ``surge + unavailable`` new pods (none for ``Gate``)."""

    mode: Literal["Gate", "Step", "Halt"]
    surge: int = 0
    unavailable: int = 0
    """So many of the stable pods go."""
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class TakeUp:
    """Make the pause that the MutatingAdmissionPolicy set into a hold, with what was released.

    Where pods are held already, no further one comes or goes until the release has seen to it.
    """

    stable: Stable | None


@dataclass(frozen=True, slots=True)
class Protect:
    """Remember another version than the one before as released: it is what serves."""

    stable: Stable


@dataclass(frozen=True, slots=True)
class LiftHold:
    """Give the Deployment back to its user, and the rollout to the native controller."""


@dataclass(frozen=True, slots=True)
class SetPin:
    """Pin a Service to one ReplicaSet's pods, or, with None, to those of all."""

    service: str
    hash: str | None
    fenced: bool = False
    """Of these pods only those that are labelled as serving."""


@dataclass(frozen=True, slots=True)
class ExposeCanary:
    """Make, or repoint, the canary Service beside a root Service."""

    root: str
    canary: str
    hash: str


@dataclass(frozen=True, slots=True)
class DeleteCanary:
    """Delete a canary Service."""

    service: str


@dataclass(frozen=True, slots=True)
class SetSplit:
    """Divide a route's traffic; with no shares the route is the user's own again."""

    route: RouteRef
    shares: Mapping[str, Share]


@dataclass(frozen=True, slots=True)
class RemoveStray:
    """Delete an object that was made for a route which is gone or sends elsewhere now."""

    route: RouteRef


@dataclass(frozen=True, slots=True)
class ScaleReplicaSet:
    """Set a ReplicaSet's replicas; only ever to take a version back."""

    name: str
    replicas: int


@dataclass(frozen=True, slots=True)
class DeleteReplicaSet:
    """Delete the empty ReplicaSet of an aborted version.

    The native controller, told to scale a paused Deployment up from 0, takes the newest one.
    """

    name: str


@dataclass(frozen=True, slots=True)
class LabelPod:
    """Say in place which side a live pod is on, or, with None, take the label away."""

    pod: str
    track: str | None
    serves: bool = False
    """Whether a fenced Service takes it."""
    extra: tuple[tuple[str, str], ...] = ()
    """Labels that the user's Services ask for since the template has them, and it lacks."""
    first_to_go: bool | None = None
    """Mark it as the first that its ReplicaSet ends, or take the mark away; None: as it is."""


@dataclass(frozen=True, slots=True)
class MarkFailed:
    """Report the failed rollout where native tools look: the Progressing condition."""

    message: str


@dataclass(frozen=True, slots=True)
class Announce:
    """An Event on the Deployment."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Action: TypeAlias = (
    CreateRelease
    | Record
    | DeleteRelease
    | SetHold
    | TakeUp
    | Protect
    | LiftHold
    | SetPin
    | ExposeCanary
    | DeleteCanary
    | SetSplit
    | RemoveStray
    | ScaleReplicaSet
    | DeleteReplicaSet
    | LabelPod
    | MarkFailed
    | Announce
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The next writes, in order; each is made only after the one before it succeeded."""

    actions: tuple[Action, ...]
    reason: str
    """Why there is nothing more to do now, in words for a person."""
    wake_at: datetime | None = None
    """When to look again though nothing changed."""
    step: int | None = None
    """Index of the release's step; None where no release runs."""


def subject_of(action: Action) -> str:
    """Name of the object that is written; empty for the Deployment itself."""
    for field in ("route", "service", "canary", "release", "pod", "name"):
        if found := getattr(action, field, None):
            return str(found)
    return ""
