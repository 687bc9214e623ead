"""How far a release is, in the terms of its own plan: steps and what is waited for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from webhook.objects.duration import parse_duration
from webhook.objects.release import Phase, Release
from webhook.objects.steps import Step

_SETTLING: Final = frozenset({"name", "shift", "repin", "return", "unname", "retreat"})
"""Stages that end some time after their change of traffic is in effect."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that takes a known time; both numbers are seconds."""

    what: str
    past: float
    of: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One step of the plan."""

    text: str
    done: bool = False
    now: bool = False


def wait_of(release: Release, at: float) -> Wait | None:
    """What the release waits for at a Unix time, if that takes a known time."""
    spec, status = release.spec, release.status
    if status.phase.finished:
        return None
    if status.stage == "scale":
        limit = timedelta(seconds=spec.progress_deadline_seconds)
        return _wait("progress deadline", status.scaling_since, limit, at)
    if status.stage == "drain":
        return _wait("drain", status.traffic_left_at, parse_duration(spec.traffic.drain), at)
    if status.stage == "pause":
        pause = _steps(release)[status.step].pause
        if pause is None or pause.duration is None:
            return None
        return _wait("pause", status.stage_since, parse_duration(pause.duration), at)
    if status.stage in _SETTLING:
        return _wait("settle", status.stage_since, parse_duration(spec.traffic.settle), at)
    return None


def marks(release: Release) -> list[Mark]:
    """Every step of the plan, and all the traffic at its end."""
    status = release.status
    promoted = status.phase in (Phase.CLEANING, Phase.SUCCEEDED)
    back = status.outcome is not None  # then it is on no step any more
    found = [
        Mark(_text(step), done=index < status.step, now=index == status.step and not back)
        for index, step in enumerate(_steps(release))
    ]
    return [*found, Mark("100 %", done=promoted, now=status.phase is Phase.PROMOTING)]


def _steps(release: Release) -> tuple[Step, ...]:
    canary = release.spec.strategy.canary
    return canary.steps if canary else ()


def _text(step: Step) -> str:
    if step.set_weight is not None:
        return f"{step.set_weight} %"
    duration = step.pause.duration if step.pause else None
    return f"pause {duration}" if duration else "approval"


def _wait(what: str, since: datetime | None, length: timedelta, at: float) -> Wait | None:
    if since is None:
        return None
    past = (datetime.fromtimestamp(at, UTC) - since).total_seconds()
    of = length.total_seconds()
    return Wait(what, min(max(past, 0.0), of), of)
