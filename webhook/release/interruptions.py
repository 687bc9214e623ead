"""What may come between: a person, a new template, a version that fails."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from webhook.objects.release import Phase, Release, ReleaseStatus
from webhook.release import checks, waits
from webhook.release.at import At
from webhook.release.converge import moved_on
from webhook.release.observed import Observed
from webhook.release.phases import Turn

GETTING_READY = ("fence", "retire", "scale", "expose", "name")
"""Stages in which new pods get ready and have no more traffic than before."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """A turn that does not come from the release's own progress."""

    turn: Turn
    reason: str
    """CamelCase."""
    message: str


def interruption(at: At, status: ReleaseStatus) -> Interruption | None:
    """What ends or sets back the release now; None while nothing does."""
    seen, release = at.seen, at.release
    if status.phase in (Phase.ROLLING_BACK, Phase.CLEANING) or status.stage == "lift":
        return None
    causes = (
        _by_template(seen, release),
        _by_detaching(seen),
        _by_person(release),
        _by_scale(seen, status),
        _by_obstacle(at, status),
        _by_result(at, status),
        _by_pods(seen, status),
    )
    return next(filter(None, causes), None) or _by_deadline(seen, release, status, at.now)


def outcome_now(seen: Observed, release: Release, status: ReleaseStatus) -> ReleaseStatus:
    """A rollback leads where the user's template points now, also if it changed meanwhile."""
    if status.phase is not Phase.ROLLING_BACK or status.stays:
        return status
    if not moved_on(seen, release):
        # The version itself was applied again on the way back: it begins anew afterwards.
        back = status.outcome is Phase.ROLLED_BACK and status.stage != "unpin"
        return replace(status, outcome=Phase.SUPERSEDED) if back else status
    changed = _by_template(seen, release)
    outcome = Phase.ROLLED_BACK if changed and changed.turn is Turn.RETURN else Phase.SUPERSEDED
    if status.stage in ("settle-up", "unpin") and outcome is not status.outcome:
        return status
    return replace(status, outcome=outcome)


def _by_template(seen: Observed, release: Release) -> Interruption | None:
    if not moved_on(seen, release):
        return None
    if seen.deployment.revision == release.spec.stable.revision:
        return Interruption(
            Turn.RETURN,
            "ReturnedToStable",
            f"the Deployment was set back to {release.spec.stable.version}, which still serves",
        )
    return Interruption(
        Turn.SUPERSEDE,
        "NewVersionApplied",
        f"{seen.deployment.version} was applied; {release.spec.version} gives its traffic back",
    )


def _by_detaching(seen: Observed) -> Interruption | None:
    if not seen.detaching:
        return None
    return Interruption(
        Turn.SUPERSEDE, "Detached", "Slipway is being removed; the rollout goes on natively"
    )


def _by_scale(seen: Observed, status: ReleaseStatus) -> Interruption | None:
    """Scaled to 0: told to scale up again, the native controller would make new pods only."""
    if status.phase is Phase.PROMOTING:
        return _by_scale_back(seen, status)
    if seen.stable is None:
        why = "the ReplicaSet of the released version is gone: there is nothing to return to"
        return Interruption(Turn.PROMOTE, "NothingServes", why)
    there = seen.deployment.replicas and (seen.stable.wanted or seen.stable.pods)
    if there or status.phase is Phase.PENDING:
        return None
    why = "the Deployment was scaled to 0 in mid-release"
    return Interruption(Turn.ABORT, "ScaledToZero", why)


def _by_scale_back(seen: Observed, status: ReleaseStatus) -> Interruption | None:
    """Nothing served, so no new pods were waited for; by now the released version serves again."""
    if status.stage in GETTING_READY or status.canary_replicas:
        return None
    if seen.stable is None or not seen.stable.ready:
        return None
    why = "the Deployment was scaled up again before the version was out: it begins anew"
    return Interruption(Turn.SUPERSEDE, "ScaledUpAgain", why)


def _by_obstacle(at: At, status: ReleaseStatus) -> Interruption | None:
    """What makes the release impossible as its policy wants it, known before any traffic."""
    if status.phase is not Phase.PENDING:
        return None
    shared = [root.name for root in at.seen.roots if root.shared]
    if shared and at.release.spec.on_shared_service == "Deny":
        return Interruption(
            Turn.ABORT,
            "SharedService",
            f"Service {shared[0]} also serves pods of other workloads, so it can't be pinned, and "
            f"{at.release.spec.policy.kind} {at.release.spec.policy.name} denies that",
        )
    skips = at.release.spec.on_unsupported_step == "Skip"
    lacking = (r.lacks for r in at.seen.routes if r.lacks and not (skips and r.lacking))
    why = next(lacking, None)
    return Interruption(Turn.ABORT, "Unsupported", why) if why else None


def _by_result(at: At, status: ReleaseStatus) -> Interruption | None:
    failed = waits.failed_result(at, status)
    if failed is None:
        return None
    why = f": {failed.message}" if failed.message else ""
    what = f"analysis {failed.name} of step {failed.step + 1} failed{why}"
    return Interruption(Turn.ABORT, "AnalysisFailed", what)


def _by_person(release: Release) -> Interruption | None:
    if not release.spec.abort:
        return None
    who = next((d.user for d in reversed(release.decisions) if d.field == "abort"), "")
    by = f" by {who}" if who else ""
    return Interruption(Turn.ABORT, "AbortRequested", f"spec.abort was set{by}")


def _by_pods(seen: Observed, status: ReleaseStatus) -> Interruption | None:
    reached = status.weight.asked or status.routing.headers or status.routing.mirrors
    if not status.granted or not reached or seen.canary is None:
        return None
    lost = sorted(pod.name for pod in seen.canary.pods if pod.lost_readiness)
    if lost:
        return Interruption(
            Turn.ABORT,
            "CanaryUnready",
            f"{len(lost)} of {len(seen.canary.pods)} new pods lost readiness while they had "
            f"{status.weight.asked} % of the traffic (first: {lost[0]})",
        )
    if seen.canary.ready:
        return None
    between = status.phase in (Phase.SHIFTING, Phase.WAITING)
    turn = Turn.LOST if between else Turn.ABORT
    return Interruption(turn, "CanaryGone", "no new pod is ready while the version has traffic")


def _by_deadline(
    seen: Observed, release: Release, status: ReleaseStatus, now: datetime
) -> Interruption | None:
    if status.stage not in GETTING_READY or status.scaling_since is None or release.spec.paused:
        return None
    ready = len(seen.canary.ready) if seen.canary else 0
    if ready >= status.canary_replicas or seen.deployment.paused_by_user:
        return None
    limit = timedelta(seconds=release.spec.progress_deadline_seconds)
    since = now if ready > status.ready_canary else status.scaling_since
    if now < since + limit:
        return None
    return Interruption(
        Turn.ABORT,
        "ProgressDeadlineExceeded",
        f"{ready} of {status.canary_replicas} new pods were ready after "
        f"{release.spec.progress_deadline_seconds} s{checks.trouble(seen)}",
    )
