"""How long each stage waits, and for whom: settle and drain, pauses, approvals, results."""

from datetime import datetime

from webhook.objects.duration import parse_duration
from webhook.objects.release import Phase, Result
from webhook.objects.steps import AnalysisStep
from webhook.release import checks, program
from webhook.release.at import At, Status


def settled(at: At, _status: Status, since: datetime) -> datetime:
    """The end of the settle time: how long a data plane may take after it reports a change."""
    return since + parse_duration(at.release.spec.traffic.settle)


def drained(at: At, status: Status, since: datetime) -> datetime:
    """The end of the drain, which counts from the proof that traffic left."""
    return (status.traffic_left_at or since) + parse_duration(at.release.spec.traffic.drain)


def settled_and_drained(at: At, status: Status, since: datetime) -> datetime:
    """The end of a drain that begins when the change has settled."""
    return settled(at, status, since) + parse_duration(at.release.spec.traffic.drain)


def found_settled(at: At, status: Status, since: datetime) -> datetime:
    """What was found has settled and drained before pods go: a lost release, or one unguarded."""
    serving = status.granted or checks.ready_before(at.seen)
    return settled_and_drained(at, status, since) if serving else since


def left_settled(at: At, status: Status, since: datetime) -> datetime:
    """Settled, or at once where the version never had traffic."""
    return settled(at, status, since) if status.granted else since


def kept(at: At, _status: Status, since: datetime) -> datetime:
    """The end of the time for which the old pods are kept after the switch."""
    return since + program.keep_for(at.release.spec.strategy)


# Steps that wait


def undecided(at: At, status: Status) -> str | None:
    """Why a step that waits does not end: nobody has approved, or a result is missing."""
    step, number = at.step(status), status.step + 1
    if step and step.analysis:
        return _unanswered(at, step.analysis, status.step)
    approved = at.release.spec.approve > status.step
    if step and step.pause and step.pause.duration is None and not approved:
        return f"step {number} waits for approval: set spec.approve to {number}"
    return None


def pause_over(at: At, status: Status, since: datetime) -> datetime:
    """The end of a pause with a duration; an approval ends it at once."""
    step = at.step(status)
    if step is None or step.pause is None or step.pause.duration is None:
        return since
    if at.release.spec.approve > status.step:
        return since
    return since + parse_duration(step.pause.duration)


def unproved(at: At, _status: Status) -> str | None:
    """Why the switch is not final: the analysis after it has no result."""
    after, index = program.post_promotion(at.release.spec.strategy), len(at.steps)
    if after is None or at.passed(index):
        return None
    return _unanswered(at, after, index)


def _unanswered(at: At, analysis: AnalysisStep, index: int) -> str | None:
    """A person may overrule what is not known, and never what failed."""
    overruled = at.release.spec.approve > index
    for template in analysis.templates:
        result = result_of(at, template.template_name, index)
        phase = result.phase if result else "Running"
        if phase == "Running":
            return f"step {index + 1} waits for the result of analysis {template.template_name}"
        if phase in ("Inconclusive", "Error") and not overruled:
            why = f": {result.message}" if result and result.message else ""
            return (
                f"analysis {template.template_name} ended {phase}{why}; set spec.approve to "
                f"{index + 1} to go on all the same, or spec.abort to true"
            )
    return None


def result_of(at: At, name: str, index: int) -> Result | None:
    """What an analysis of a step came to; the last word counts."""
    found = [r for r in at.release.spec.results if (r.name, r.step) == (name, index)]
    return found[-1] if found else None


def failed_result(at: At, status: Status) -> Result | None:
    """A failed analysis of a step that was reached and that nobody passes over."""
    if not at.release.spec.results:
        return None
    asked = {i: step.analysis for i, step in enumerate(at.steps) if step.analysis}
    if after := program.post_promotion(at.release.spec.strategy):
        asked[len(at.steps)] = after
    reached = len(at.steps) if status.phase is Phase.PROMOTING else status.step
    for index, analysis in asked.items():
        if index > reached or at.passed(index):
            continue
        for template in analysis.templates:
            result = result_of(at, template.template_name, index)
            if result and result.phase == "Failed":
                return result
    return None


# Traffic


def shifted(at: At, status: Status) -> str | None:
    """Why the weight is not in effect: routes first, Services where there are none."""
    if status.split is not None:
        return checks.routes_programmed(at.seen, status)
    return offered(at, status)


def offered(at: At, status: Status) -> str | None:
    """Why the Services do not offer just the pods that they should."""
    if status.root_hash:
        return checks.roots_reach(at.seen, status.root_hash)
    return checks.roots_offer_both(at.seen)


def pinned(at: At, status: Status) -> str | None:
    """Why the Services do not offer just the pods that they are pinned to."""
    return checks.roots_reach(at.seen, status.root_hash) if status.root_hash else None


def retreated(at: At, status: Status) -> str | None:
    """Why the traffic is not known to be back."""
    return checks.routes_programmed(at.seen, status) or pinned(at, status)


def unrecovered(at: At, status: Status) -> str | None:
    """Why new pods have to keep their traffic; for a Service's sake no newer version waits."""
    if status.granted and (why := checks.nobody_to_return_to(at.seen, status)):
        return why
    return None if status.outcome is Phase.SUPERSEDED else checks.new_pods_only(at.seen)


def unrecovered_yet(at: At, status: Status) -> str | None:
    """The same; where another version is wanted, until the progress deadline or a person's word."""
    why, spec = unrecovered(at, status), at.release.spec
    alone = status.granted and checks.nobody_to_return_to(at.seen, status)
    if why is None or not alone or status.outcome is Phase.ABORTED:
        return why
    late = at.deadline(status)
    if (late and at.now >= late) or spec.promote:
        return None
    return f"{why}, or for {spec.progress_deadline_seconds} s; set spec.promote to go on at once"


def settled_up(at: At, status: Status) -> str | None:
    """Why the Deployment is not yet what its outcome says."""
    match status.outcome:
        case Phase.ROLLED_BACK:
            return checks.rolled_out(at.seen, status)
        case Phase.ABORTED:
            return checks.withdrawn(at.seen, status) if at.seen.stable else None
        case _:
            return None
