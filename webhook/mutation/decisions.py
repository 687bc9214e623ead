"""What people change on a Release: who did it and when is noted, and nonsense is refused.

A Release is made by Slipway alone. Its status is a subresource whose writes are not reviewed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from webhook import names
from webhook.mutation.intents import carried, is_own
from webhook.mutation.request import Outcome, Request
from webhook.mutation.world import World
from webhook.objects.raw import Object
from webhook.objects.release import (
    Decision,
    Phase,
    Release,
    ReleaseSpec,
    ReleaseStatus,
    Result,
    read_decisions,
    read_release,
)
from webhook.projection.fields import annotate, annotations

KEPT: Final = 50
"""So many decisions are kept; the oldest go."""

_FIELDS: Final = ("paused", "abort", "approve", "skip", "promote", "retry")
_FORWARD: Final = frozenset({"paused", "approve", "skip", "promote"})
"""What can matter only while the release goes forward."""
_NOTE: Final = frozenset({names.DECISIONS})


def mutate_release(request: Request, world: World, now: datetime) -> Outcome:
    """Answer a write to a Release, its status aside."""
    kept = carried(request.object, request.old, _NOTE)
    if request.old is None:
        if is_own(request, world):
            return Outcome(object=kept)
        return Outcome(
            object=request.object,
            denied="slipway: a Release is made by Slipway, for each change of a guarded "
            "Deployment's template; apply the Deployment instead",
        )
    try:
        before, after = read_release(request.old), read_release(request.object)
    except (msgspec.ValidationError, KeyError):
        return Outcome(object=kept)  # the CRD's schema says what is wrong
    changed = dict(_changes(before.spec, after.spec))
    if not changed:
        return Outcome(object=kept)
    if wrong := _refused(after, before.status, changed):
        what = f"slipway: Release {request.namespace}/{request.name}: {wrong}"
        return Outcome(object=request.object, denied=what)
    noted = [
        Decision(field=field, value=value, user=request.username, at=_time(now))
        for field, wanted in changed.items()
        for value in _values(wanted)
    ]
    return Outcome(
        object=_with_decisions(kept, noted),
        warnings=tuple(_without_effect(request.name, before.status, changed)),
        audit={"decision": ", ".join(changed)},
    )


def _changes(before: ReleaseSpec, after: ReleaseSpec) -> Iterator[tuple[str, Any]]:
    """The people's fields that a write changes; of results only those that are new or other."""
    for field in _FIELDS:
        if getattr(before, field) != (value := getattr(after, field)):
            yield field, value
    if results := [each for each in after.results if each not in before.results]:
        yield "results", results


def _with_decisions(obj: Object, noted: list[Decision]) -> Object:
    """``obj`` with what was decided put after what is noted on it already."""
    known = read_decisions(annotations(obj))
    text = msgspec.json.encode([*known, *noted][-KEPT:]).decode()
    return annotate(obj, {names.DECISIONS: text})


def _values(wanted: Any) -> Iterator[int | str]:
    """A decision's values as the status can show them; the texts of results stay in the spec."""
    if isinstance(wanted, list):
        yield from (f"{each.name} of step {each.step}: {each.phase}" for each in wanted)
    else:
        yield str(wanted).lower() if isinstance(wanted, bool) else wanted


def _time(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")


# Nonsense


def _refused(release: Release, status: ReleaseStatus, changed: dict[str, Any]) -> str | None:
    """Why a write makes no sense, and what would; None if it does."""
    if changed.get("retry") and status.phase is not Phase.ABORTED:
        return (
            f"only an aborted release can be tried again, and this one is {status.phase}; to "
            "release its version another time, change the Deployment's template"
        )
    if release.spec.strategy.canary is None:
        return None  # blue-green has steps that only the engine knows
    return _too_far(release.spec, status, changed) or _not_analysed(release.spec, changed)


def _too_far(spec: ReleaseSpec, status: ReleaseStatus, changed: dict[str, Any]) -> str | None:
    last = status.steps or _most_steps(spec)
    for field in ("approve", "skip"):
        if changed.get(field, 0) > last:
            return f"spec.{field} is {changed[field]}, but the release has {last} steps"
    return None


def _most_steps(spec: ReleaseSpec) -> int:
    """How many steps a canary may have, before the engine has said how many it has."""
    canary = spec.strategy.canary
    if canary is None:
        return 0
    implied = (spec.promotion == "Manual", canary.max_extra_pods is not None)
    return len(canary.steps) + sum(implied)


def _not_analysed(spec: ReleaseSpec, changed: dict[str, Any]) -> str | None:
    steps = spec.strategy.canary.steps if spec.strategy.canary else ()
    results: list[Result] = changed.get("results", [])
    for result in results:
        asked = steps[result.step].analysis if result.step < len(steps) else None
        if asked is None:
            return (
                f"a result of {result.name} is given for step {result.step}, which is no "
                "analysis; spec.results[].step is the index of an analysis step, from 0"
            )
        known = [template.template_name for template in asked.templates]
        if result.name not in known:
            return (
                f"a result of {result.name} is given for step {result.step}, which waits for "
                f"{', '.join(known)}"
            )
    return None


def _without_effect(name: str, status: ReleaseStatus, changed: dict[str, Any]) -> Iterator[str]:
    """Warnings of what comes too late."""
    if changed.get("abort") and _too_late_to_abort(status):
        yield (
            f"slipway: {name}: it is too late to abort, the old pods are going or gone "
            f"({status.phase}); to return to the earlier version, apply it, or use "
            "kubectl rollout undo"
        )
    if changed.get("abort") is False and status.phase in (Phase.ROLLING_BACK, Phase.ABORTED):
        yield (
            f"slipway: {name}: an abort is not taken back; to try the version again, set "
            "spec.retry to true once the Release is Aborted"
        )
    if not (status.phase.finished or status.phase is Phase.ROLLING_BACK):
        return
    for field in sorted(_FORWARD & changed.keys()):
        yield f"slipway: {name} is {status.phase}: spec.{field} has no effect any more"


def _too_late_to_abort(status: ReleaseStatus) -> bool:
    late = status.phase is Phase.CLEANING or status.phase.finished
    return (late and status.phase is not Phase.ABORTED) or status.stage == "lift"
