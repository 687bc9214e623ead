"""A release's status in words and conditions: what `kubectl get releases` and `wait` show."""

from datetime import datetime

from msgspec.structs import replace

from webhook.objects.release import Condition, Phase, ReleaseStatus
from webhook.release import checks, program
from webhook.release.at import At

_REASONS = {
    Phase.PENDING: "Protecting",
    Phase.SCALING: "WaitingForPods",
    Phase.SHIFTING: "ShiftingTraffic",
    Phase.WAITING: "Paused",
    Phase.PROMOTING: "Promoting",
    Phase.CLEANING: "Cleaning",
    Phase.SUCCEEDED: "Released",
}


def described(at: At, status: ReleaseStatus, why: str) -> ReleaseStatus:
    """The status with reason, message, pod count and conditions for people."""
    ready = len(at.seen.canary.ready) if at.seen.canary else 0
    if ready > status.ready_canary and status.stage == "scale":
        status = replace(status, scaling_since=at.now)
    if status.phase is Phase.ABORTED and not at.release.status.phase.finished:
        status = replace(status, message=status.message + _what_now(at))
    if status.outcome is None:
        reason, message = _REASONS[status.phase], _sentence(at, status, why)
        status = replace(status, reason=reason, message=message)
    status = replace(
        status,
        ready_canary=ready,
        notes=_notes(at, status, why),
        decisions=at.release.decisions,
        observed_generation=at.release.generation,
    )
    conditions = (
        _condition(status, "Released", _released(status), at.now),
        _condition(status, "Progressing", _progressing(status), at.now),
    )
    return replace(status, conditions=conditions)


def _what_now(at: At) -> str:
    """The question at 3 a.m."""
    spec = at.release.spec
    return (
        f"; {spec.stable.version} serves. kubectl rollout resume tries {spec.version} again, "
        f"applying {spec.stable.version} again ends it"
    )


def _notes(at: At, status: ReleaseStatus, why: str) -> tuple[str, ...]:
    shared = tuple(
        f"Service {root.name} also serves pods of other workloads, so it is not pinned: new pods "
        "get its requests as soon as they are ready"
        for root in at.seen.roots
        if root.shared
    ) + tuple(
        f"Service {root.name} does not select the pods of {at.release.spec.stable.version} any "
        "more, so it is not pinned: new pods get its requests as soon as they are ready"
        for root in at.seen.roots
        if root.foreign
    )
    return (
        *_at_once(at, status),
        *shared,
        *_measured_otherwise(status),
        *((why,) if status.stage == "recover" else ()),
        *(_nowhere(at) if at.seen.roots and not at.routed else ()),
        *(
            f"left out, as the policy allows: {why}"
            for route in at.seen.routes
            for feature, why in route.lacking
            if feature in status.skipped
        ),
        *(
            f"{ref} is left out by the policy: its requests stay with "
            f"{at.release.spec.stable.version} until the promotion"
            for ref in at.seen.left_out
        ),
        *(note for route in at.seen.routes for note in route.notes),
    )


def _measured_otherwise(status: ReleaseStatus) -> tuple[str, ...]:
    weight = status.weight
    if weight.proof != "Unproved" or not weight.requests:
        return ()
    return (f"the weight of {weight.asked} % is unproved: {weight.message}",)


def _at_once(at: At, status: ReleaseStatus) -> tuple[str, ...]:
    going = status.phase in (Phase.PROMOTING, Phase.CLEANING, Phase.SUCCEEDED)
    if not going or status.step >= len(at.steps):
        return ()
    spec = at.release.spec
    return (f"no pod of {spec.stable.version} was ready: {spec.version} goes out without steps",)


def _nowhere(at: At) -> tuple[str, ...]:
    routing = program.routing_needed(at.release.spec)
    beside = any((routing.headers, routing.mirrors, routing.preview))
    nowhere = "there is no route that could carry the header, mirror or preview routes"
    return (nowhere,) if beside else ()


def reported(status: ReleaseStatus) -> str:
    """The reason of an Event: CamelCase."""
    return f"Release{status.phase}"


def _sentence(at: At, status: ReleaseStatus, why: str) -> str:
    spec = at.release.spec
    if status.phase is Phase.SUCCEEDED:
        return f"{spec.version} serves all traffic"
    paused = at.seen.deployment.paused_by_user and "paused by its user" not in why
    note = " (the Deployment is paused by its user)" if paused else ""
    pods = ""
    if status.phase in (Phase.SHIFTING, Phase.WAITING):
        lacking = checks.canary_ready(at.seen, status)
        pods = f"; {lacking}" if lacking else ""
    return f"{spec.version} has {status.weight.asked} % of the traffic; {why}{note}{pods}"


def _released(status: ReleaseStatus) -> str:
    if status.phase is Phase.SUCCEEDED:
        return "True"
    return "False" if status.phase.finished else "Unknown"


def _progressing(status: ReleaseStatus) -> str:
    return "False" if status.phase.finished else "True"


def _condition(status: ReleaseStatus, kind: str, value: str, now: datetime) -> Condition:
    """A condition keeps its transition time as long as its status stays."""
    before = next((c for c in status.conditions if c.type == kind), None)
    since = before.last_transition_time if before and before.status == value else now
    return Condition(
        type=kind,
        status=value,
        reason=status.reason,
        message=status.message,
        last_transition_time=since,
    )
