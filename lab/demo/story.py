"""What happened, act by act: made from everything that was seen, after the end."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lab.demo.state import Command, Pod, State
from lab.probe import Report
from webhook.objects.release import Release

CONTROLLER = "kube-controller-manager"
"""The field manager of kube's own controllers."""

_MEASURED = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Act:
    """One version applied, and how long it was looked at; Unix times."""

    version: str
    began: float
    ended: float
    rollout: Command
    """``kubectl rollout status``, after its end."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a step asked for, in percent, and the share (0..1) measured before the next one."""

    asked: int
    measured: float
    requests: int
    """How many requests the measurement rests on."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One act's outcome."""

    version: str
    outcome: str
    """The phase in which its Release ended (or was left); empty without a Release."""
    message: str
    seconds: float
    """From the apply to the end of the release."""
    requests: int
    failed: int
    failed_of: dict[str, int]
    """Failed requests by the version that answered them; an empty name where nobody did."""
    answers: int
    """Answers that this version gave in its act, errors included."""
    shares: tuple[Share, ...]
    rollout: Command
    serving: dict[str, float]
    """As `answered`, for the act's last second; empty if there was no request in it."""
    strangers: tuple[str, ...]
    """Pods that kube's controller did not make."""


@dataclass(frozen=True, slots=True)
class Story:
    """The whole demo: the first version, the good one, the broken one."""

    chapters: tuple[Chapter, ...]
    report: Report

    def of(self, version: str) -> Chapter | None:
        """The chapter of a version, or None if it was never applied."""
        return next((c for c in self.chapters if c.version == version), None)


def tell(
    acts: Sequence[Act],
    states: Sequence[State],
    report: Report,
    replica_sets: Collection[str],
) -> Story:
    """Put the story together.

    ``replica_sets`` are the names of those that kube's controller made for the Deployment.
    """
    return Story(tuple(_chapter(act, states, report, replica_sets) for act in acts), report)


def _chapter(
    act: Act, states: Sequence[State], report: Report, replica_sets: Collection[str]
) -> Chapter:
    mine = [state for state in states if act.began <= state.at < act.ended]
    during = report.between(act.began, act.ended)
    releases = [(s, s.release) for s in mine if s.release and s.release.spec.version == act.version]
    last = releases[-1][1] if releases else None
    over = next((s.at for s, release in releases if release.status.phase.finished), act.ended)
    failed_of: dict[str, int] = {}
    for failure in during.failures:
        failed_of[failure.version] = failed_of.get(failure.version, 0) + 1
    return Chapter(
        version=act.version,
        outcome=str(last.status.phase) if last else "",
        message=last.status.message if last else "",
        seconds=over - act.began,
        requests=during.total,
        failed=during.failed,
        failed_of=failed_of,
        answers=sum(answer.version == act.version for answer in during.answers),
        shares=tuple(_shares(act.version, releases, report)),
        rollout=act.rollout,
        serving=answered(report.between(act.ended - 1, act.ended)),
        strangers=_strangers(mine, replica_sets),
    )


def _shares(version: str, seen: Sequence[tuple[State, Release]], report: Report) -> Iterator[Share]:
    """For each weight, the share in the last seconds before the next one was asked for."""
    going_up = [(s, r.status) for s, r in seen if r.status.outcome is None]
    for asked, group in groupby(going_up, key=lambda pair: pair[1].weight.asked):
        settled = [state.at for state, status in group if status.stage != "shift"]
        if asked == 0:
            continue
        if not settled:
            yield Share(asked, 0.0, 0)
            continue
        during = report.between(max(settled[0], settled[-1] - _MEASURED), settled[-1])
        yield Share(asked, answered(during).get(version, 0.0), during.total)


def answered(report: Report) -> dict[str, float]:
    """The share (0..1) of each version in all requests, errors included.

    An empty name stands for those that no version answered.
    """
    counts = Counter(answer.version for answer in report.answers)
    return {version: number / report.total for version, number in counts.items()}


def _strangers(states: Sequence[State], replica_sets: Collection[str]) -> tuple[str, ...]:
    pods = {pod.name: pod for state in states for pod in state.pods}
    return tuple(sorted(p.name for p in pods.values() if not _native(p, replica_sets)))


def _native(pod: Pod, replica_sets: Collection[str]) -> bool:
    return pod.made_by == CONTROLLER and pod.owner in replica_sets
