"""The engine: one pure decision for one Deployment.

`plan` looks at a release's status and at the cluster. It first asks whether something has come
in between (`interruptions`), then moves through the stages as far as what is seen allows, and
returns the writes that make the cluster what the status then says (`converge`).
"""

from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from webhook.objects.release import Phase, ReleaseStatus
from webhook.release import grants, proofs
from webhook.release.actions import Action, Announce, Plan, Record, TakeUp
from webhook.release.at import At
from webhook.release.begin import begin
from webhook.release.converge import converge
from webhook.release.interruptions import GETTING_READY, Interruption, interruption, outcome_now
from webhook.release.observed import Observed
from webhook.release.phases import Turn, after
from webhook.release.report import described, reported
from webhook.release.stages import STAGES, Stage

_LONGEST = 64
"""More stages than any release passes in one decision: a bound, not a limit."""

_DONE = {
    Phase.PROMOTING: Turn.PROMOTED,
    Phase.CLEANING: Turn.CLEANED,
}
_OUTCOME = {
    Phase.ABORTED: Turn.ABORTED,
    Phase.SUPERSEDED: Turn.SUPERSEDED,
    Phase.ROLLED_BACK: Turn.RETURNED,
}
_TAKES_BACK = {
    Turn.ABORT: Phase.ABORTED,
    Turn.SUPERSEDE: Phase.SUPERSEDED,
    Turn.RETURN: Phase.ROLLED_BACK,
}


def plan(seen: Observed, now: datetime) -> Plan:
    """Decide the next writes for one Deployment; the same inputs give the same plan."""
    deployment = seen.deployment
    if deployment.held_by_policy and deployment.hold:
        return Plan((TakeUp(deployment.stable),), "a change in mid-release waits for Slipway")
    if seen.release is None:
        return begin(seen)
    at = At(seen=seen, release=seen.release, now=now)
    status = seen.release.status
    if not status.stage:
        status = _entered(at, status, Phase.PENDING)
    halted = interruption(at, status)
    if halted:
        status = _interrupted(at, status, halted)
    status = outcome_now(seen, seen.release, status)
    return _advance(at, at.resized(status))


def _advance(at: At, status: ReleaseStatus) -> Plan:
    """Pass every stage whose change is seen in effect; stop at the first that is not."""
    for _ in range(_LONGEST):
        if status.phase.finished:
            return _finish(at, status)
        if _passed_over(at, status):
            status = _leave(at, status)
            continue
        stage = _stage(status)
        writes = converge(at.seen, at.release, status)
        lacking = _waiting(at, status) or stage.lacks(at, status)
        if writes or lacking:
            why = lacking or stage.doing
            return _stay(at, replace(status, stage_since=None), writes, why)
        since = status.stage_since or at.now
        until = stage.until(at, status, since)
        if at.now < until:
            status = replace(status, stage_since=since)
            return _stay(at, status, (), f"{stage.doing}, until {until:%H:%M:%S}", until)
        verdict = stage.proof(at, status, since)
        if verdict.lacks and at.now < until + proofs.patience(at):
            status = replace(status, stage_since=since)
            return _stay(at, status, (), verdict.lacks, proofs.next_look(at, since))
        status = _next(at, stage.leave(at, replace(status, weight=verdict.weight)))
    raise RuntimeError(f"release {at.release.name} does not come to rest")


def _stay(
    at: At,
    status: ReleaseStatus,
    writes: tuple[Action, ...],
    why: str,
    wake_at: datetime | None = None,
) -> Plan:
    status = described(at, status, why)
    deadline = _deadline(at, status)
    wakes = [time for time in (wake_at, deadline) if time]
    return Plan(
        actions=(*_recorded(at, status), *writes, *_news(at, status)),
        reason=why,
        wake_at=min(wakes) if wakes else None,
        step=status.step,
    )


def _finish(at: At, status: ReleaseStatus) -> Plan:
    status = described(at, replace(status, finished_at=at.now), str(status.phase))
    actions = (*_recorded(at, status), *_news(at, status))
    return Plan(actions=actions, reason=status.message, step=status.step)


def _recorded(at: At, status: ReleaseStatus) -> tuple[Action, ...]:
    """The status comes first, so that what is granted is known before it is done."""
    return () if status == at.release.status else (Record(at.release.name, status),)


def _news(at: At, status: ReleaseStatus) -> tuple[Action, ...]:
    """What a person wants to hear of; it comes last, since it moves nothing."""
    before = at.release.status
    if (status.phase, status.step) == (before.phase, before.step):
        return ()
    kind: Literal["Normal", "Warning"] = "Warning" if status.outcome is Phase.ABORTED else "Normal"
    return (Announce(kind, reported(status), status.message),)


def _deadline(at: At, status: ReleaseStatus) -> datetime | None:
    late = at.deadline(status) if status.stage in (*GETTING_READY, "recover") else None
    return late if late and late > at.now else None


def _waiting(at: At, status: ReleaseStatus) -> str | None:
    """A person's brake: nothing goes forward, though everything granted is kept up."""
    forward = status.phase not in (Phase.ROLLING_BACK, Phase.CLEANING)
    if forward and at.release.spec.paused:
        return "the Release is paused; set spec.paused to false to go on"
    return None


def _stage(status: ReleaseStatus) -> Stage:
    for stage in STAGES[status.phase]:
        if stage.name == status.stage:
            return stage
    raise LookupError(f"phase {status.phase} has no stage {status.stage!r}")


def _next(at: At, status: ReleaseStatus) -> ReleaseStatus:
    """The next stage of this phase, or the phase that the table gives."""
    stages = STAGES[status.phase]
    here = next(i for i, stage in enumerate(stages) if stage.name == status.stage)
    return _first_applying(at, status, stages[here + 1 :]) or _leave(at, status)


def _leave(at: At, status: ReleaseStatus) -> ReleaseStatus:
    if status.phase in _DONE:
        return _entered(at, status, after(status.phase, _DONE[status.phase]))
    if status.phase is Phase.ROLLING_BACK:
        outcome = status.outcome or Phase.ABORTED
        return _entered(at, status, after(status.phase, _OUTCOME[outcome]))
    turn = _within_step(at, status)
    while turn is None:
        status = replace(status, step=min(status.step + 1, len(at.steps)))
        turn = _into_step(at, status)
    return _entered(at, status, after(status.phase, turn))


def _within_step(at: At, status: ReleaseStatus) -> Turn | None:
    """What is left to do for the present step; None once it is done."""
    if status.phase is Phase.PENDING:
        nothing_serves = at.seen.stable is None or not at.seen.stable.ready
        return Turn.PROMOTE if nothing_serves else _into_step(at, status)
    if status.phase is Phase.WAITING or at.passed(status.step):
        return None
    if not at.in_effect(status):
        return Turn.SCALED if status.phase is Phase.SCALING else Turn.MORE
    step = at.step(status)
    return Turn.WAIT if step and step.waits else None


def _into_step(at: At, status: ReleaseStatus) -> Turn | None:
    """How a step begins; None if a person passes it over."""
    step = at.step(status)
    if step is None:
        return Turn.PROMOTE
    if at.passed(status.step):
        return None
    return Turn.WAIT if step.waits and at.in_effect(status) else Turn.MOVE


def _passed_over(at: At, status: ReleaseStatus) -> bool:
    """Whether a person wants the present step not to be waited for."""
    # What a proxy or a Service has begun to learn of has to settle first.
    between = status.stage in ("scale", "pause") and not at.making_room(status)
    waits = between and status.phase in (Phase.SCALING, Phase.WAITING)
    return waits and at.passed(status.step) and _waiting(at, status) is None


def _entered(at: At, status: ReleaseStatus, phase: Phase) -> ReleaseStatus:
    status = replace(status, phase=phase, stage_since=None)
    if phase.finished:
        return replace(status, stage="")
    found = _first_applying(at, status, STAGES[phase])
    if found is None:
        raise LookupError(f"phase {phase} has no stage that applies")
    return found


def _first_applying(
    at: At, status: ReleaseStatus, stages: tuple[Stage, ...]
) -> ReleaseStatus | None:
    for stage in stages:
        if stage.applies(at, status):
            return stage.enter(at, replace(status, stage=stage.name, stage_since=None))
    return None


def _interrupted(at: At, status: ReleaseStatus, what: Interruption) -> ReleaseStatus:
    phase = after(status.phase, what.turn)
    status = replace(status, reason=what.reason, message=what.message)
    if what.turn is Turn.PROMOTE:
        return _entered(at, replace(status, step=len(at.steps)), phase)
    if what.turn is Turn.LOST:
        return _entered(at, grants.lost(at, status), phase)
    return _entered(at, replace(status, outcome=_TAKES_BACK[what.turn]), phase)
