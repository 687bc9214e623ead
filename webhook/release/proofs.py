"""What really happened after traffic was moved, by the counters of those who answer.

A share is proved when it is inside the binomial interval of the weight that was asked for; that
traffic left, when the count of those that it left stands still. Where it can't be proved, the
release waits for it as long as `patience` says, then goes on and says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, log
from typing import Final, TypeAlias

from msgspec.structs import replace

from webhook.objects.counted import Sample
from webhook.objects.duration import parse_duration
from webhook.objects.release import Weight
from webhook.release.at import At, Status

ALPHA: Final = 0.001
"""Chance takes at most one share of so many further from its weight."""
ENOUGH: Final = 20
"""Requests: fewer say nothing about a share."""
LOOK: Final = timedelta(seconds=1)
"""How often counters are looked at."""
_LONGEST: Final = timedelta(seconds=10)
_FORGOTTEN: Final = timedelta(seconds=5)
_STILL: Final = timedelta(seconds=2)

Proof: TypeAlias = Callable[[At, Status, datetime], "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of the traffic at the end of a settle time."""

    weight: Weight
    lacks: str | None = None
    """Why it is not what was asked for, though the counters could tell."""


@dataclass(frozen=True, slots=True)
class _Window:
    """What was answered between two looks."""

    seconds: float
    canary: float
    stable: float
    noise_canary: float
    noise_stable: float

    @property
    def total(self) -> float:
        return self.canary + self.stable

    @property
    def of_users(self) -> float:
        """At least so many are no probes or scrapes."""
        return self.total - (self.noise_canary + self.noise_stable) * self.seconds


def patience(at: At) -> timedelta:
    """How long after the settle time a proof is waited for."""
    return max(_LONGEST, 2 * parse_duration(at.release.spec.traffic.settle))


def next_look(at: At, since: datetime) -> datetime:
    """When the counters are looked at again; the same for every moment before it."""
    return since + ((at.now - since) // LOOK + 1) * LOOK


def none(_at: At, status: Status, _since: datetime) -> Verdict:
    """Nothing is asked that counters could prove."""
    return Verdict(status.weight)


def share(at: At, status: Status, since: datetime) -> Verdict:
    """The new version has the part of the requests that it was granted."""
    longest = max(_LONGEST, parse_duration(at.release.spec.traffic.settle))
    seen = _window(at, status, _settling(at, since), longest)
    if seen is None:
        return _unseen(at, status, since)
    if seen.of_users < ENOUGH:
        return Verdict(_unproved(status, f"{max(0, seen.of_users):.0f} requests are too few", seen))
    if beside := _beside(at, status):
        return Verdict(_unproved(status, f"{beside} take part", seen))
    wanted = _expected(at, status)
    noise = max(seen.noise_canary, seen.noise_stable) * seen.seconds
    if by_chance(seen.canary, seen.total, wanted, slack=1 + noise):
        return Verdict(_proved(status, seen))
    asked = f"{wanted * 100:.0f} % asked, {_percent(seen)} % of {seen.total:.0f} requests measured"
    return Verdict(_unproved(status, asked, seen), asked)


def by_chance(got: float, total: float, share: float, slack: float = 0.0) -> bool:
    """Whether ``got`` of ``total`` requests may be what a share (0..1) makes of them.

    The two-sided bound of Chernoff and Hoeffding (1963) on the binomial tail, which holds for any
    number: at most ``ALPHA`` of all samples are outside. ``slack`` requests are excused.
    """
    apart = got - total * share
    nearer = max(0.0, abs(apart) - slack) * (1 if apart > 0 else -1)
    seen = min(1.0, max(0.0, share + nearer / total))
    return total * (_bits(seen, share) + _bits(1 - seen, 1 - share)) <= log(2 / ALPHA)


def _bits(seen: float, share: float) -> float:
    """One term of the Kullback-Leibler divergence."""
    if not seen:
        return 0.0
    return seen * log(seen / share) if share else inf


def stable_left(at: At, status: Status, since: datetime) -> Verdict:
    """The released version gets no request any more."""
    return _left(at, status, since, at.release.spec.stable.version, stable=True)


def canary_left(at: At, status: Status, since: datetime) -> Verdict:
    """The new version gets no request any more."""
    if not status.granted:
        return Verdict(status.weight)
    return _left(at, status, since, at.release.spec.version, stable=False)


def all_shifted(at: At, status: Status, since: datetime) -> Verdict:
    """All requests go to the new version; through Services, that is only seen once these move."""
    found = stable_left(at, status, since)
    return found if status.split is None else Verdict(found.weight)


def _left(at: At, status: Status, since: datetime, version: str, *, stable: bool) -> Verdict:
    seen = _window(at, status, _settling(at, since), _STILL + LOOK)
    if seen is None:
        return _unseen(at, status, since)
    got, noise = (seen.stable, seen.noise_stable) if stable else (seen.canary, seen.noise_canary)
    if got <= noise * seen.seconds * 1.5:
        return Verdict(_proved(status, seen))
    why = f"{version} still answered {got:.0f} requests in {seen.seconds:.0f} s"
    return Verdict(_unproved(status, why, seen), why)


def _unseen(at: At, status: Status, since: datetime) -> Verdict:
    """No two looks yet; another comes soon if there was one of late."""
    if not at.seen.counted or at.seen.counted[-1].at < since - _FORGOTTEN:
        return Verdict(_unproved(status, "no counters"))
    return Verdict(_unproved(status, "no counters"), "the counters are looked at")


def _settling(at: At, since: datetime) -> datetime:
    """The second half of the settle time: the first belongs to what was before."""
    return since + parse_duration(at.release.spec.traffic.settle) / 2


def _window(at: At, status: Status, since: datetime, longest: timedelta) -> _Window | None:
    """From the first look after a moment to the last; of many, those of the longest time."""
    looks = [sample for sample in at.seen.counted if sample.at >= since]
    looks = [sample for sample in looks if sample.at >= looks[-1].at - longest]
    return _between(looks[0], looks[-1], status.canary_hash) if len(looks) > 1 else None


def _between(first: Sample, last: Sample, canary: str) -> _Window:
    grown = {hash_: n - first.requests.get(hash_, 0.0) for hash_, n in last.requests.items()}
    return _Window(
        seconds=(last.at - first.at).total_seconds(),
        canary=grown.get(canary, 0.0),
        stable=sum(n for hash_, n in grown.items() if hash_ != canary),
        noise_canary=last.noise.get(canary, 0.0),
        noise_stable=sum(n for hash_, n in last.noise.items() if hash_ != canary),
    )


def _expected(at: At, status: Status) -> float:
    """The weight; where pods are counted, the new pods' part of those that are ready."""
    if status.split is not None:
        return status.weight.asked / 100
    new = len(at.seen.canary.ready) if at.seen.canary else 0
    old = len(at.seen.stable.ready) if at.seen.stable else 0
    if not status.weight.asked or not new + old:
        return status.weight.asked / 100
    return new / (new + old)


def _beside(at: At, status: Status) -> str:
    """What takes requests to the new version beside the weight."""
    routing = status.routing
    if routing.headers or routing.mirrors or routing.preview:
        return "header, mirror or preview routes"
    canary = at.release.spec.strategy.canary
    return "users who come back" if canary and canary.stickiness else ""


def _proved(status: Status, seen: _Window) -> Weight:
    return replace(_measured(status, seen), proof="Proved", message="")


def _unproved(status: Status, why: str, seen: _Window | None = None) -> Weight:
    return replace(_measured(status, seen), proof="Unproved", message=why)


def _measured(status: Status, seen: _Window | None) -> Weight:
    if seen is None or not seen.total:
        return replace(status.weight, measured="", requests=0)
    return replace(status.weight, measured=_percent(seen), requests=round(seen.total))


def _percent(seen: _Window) -> str:
    return f"{100 * seen.canary / seen.total:.1f}"
