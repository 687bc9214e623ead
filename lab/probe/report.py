"""What a probe saw: every answer, and the sums that tests ask for."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import msgspec


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """One request's fate.

    ``start`` is Unix time in seconds when it was sent, ``late`` how many seconds after its turn,
    ``latency`` the seconds until its end; ``status`` is 0 if no answer came, and ``error`` then
    says why. ``reused`` tells whether it went over a connection that had served before.
    """

    start: float
    late: float
    latency: float
    status: int
    version: str
    error: str
    reused: bool

    @property
    def ok(self) -> bool:
        """Whether it was answered with a 2xx."""
        return 200 <= self.status < 300

    @property
    def turn(self) -> float:
        """Unix time when it was due: as regular as the rate."""
        return self.start - self.late

    def __str__(self) -> str:
        outcome = self.error or f"status {self.status}"
        kind = "kept-alive" if self.reused else "new"
        took = f"{self.latency * 1000:.0f} ms, {kind} connection"
        return f"at {self.start:.3f}: {outcome} from {self.version or 'nobody'} ({took})"


@dataclass(frozen=True)
class Report:
    """All answers of a probe, in the order in which they ended."""

    answers: tuple[Answer, ...]

    @property
    def total(self) -> int:
        """How many requests have ended."""
        return len(self.answers)

    @cached_property
    def failures(self) -> list[Answer]:
        """Those that were not answered with a 2xx within the timeout."""
        return [answer for answer in self.answers if not answer.ok]

    @property
    def failed(self) -> int:
        """How many were not answered with a 2xx."""
        return len(self.failures)

    @cached_property
    def by_version(self) -> Counter[str]:
        """Good answers per ``X-Version``."""
        return Counter(answer.version for answer in self.answers if answer.ok)

    @cached_property
    def by_status(self) -> Counter[int]:
        """Answers per status; 0 where none came."""
        return Counter(answer.status for answer in self.answers)

    @property
    def versions(self) -> list[str]:
        """The versions seen, in the order in which they first answered."""
        return list(dict.fromkeys(answer.version for answer in self.answers if answer.ok))

    @property
    def worst_late(self) -> float:
        """Seconds by which the most belated request missed its turn: was the load steady?"""
        return max((answer.late for answer in self.answers), default=0.0)

    def calm(self, count: int, rate: float) -> float | None:
        """When the first of ``count`` requests in a row was sent that were all answered; or None.

        In a row is by their turns at ``rate`` a second. A request that has not ended yet leaves a
        gap there, for it may still fail.
        """
        run: list[Answer] = []
        for answer in sorted(self.answers, key=lambda each: each.turn):
            if not answer.ok or (run and answer.turn - run[-1].turn > 1.5 / rate):
                run = []
            if answer.ok:
                run.append(answer)
            if len(run) == count:
                return run[0].start
        return None

    def latency(self, quantile: float) -> float:
        """A quantile (0..1) of the latency of good answers, in seconds; 0 without any."""
        ordered = sorted(answer.latency for answer in self.answers if answer.ok)
        return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)] if ordered else 0.0

    def between(self, since: float = 0.0, until: float = float("inf")) -> "Report":
        """Only the requests sent in ``since <= start < until`` (Unix times, as time.time())."""
        return Report(tuple(a for a in self.answers if since <= a.start < until))

    def over_by(self, moment: float) -> "Report":
        """Only the requests that had ended by a Unix time: none that an outage then cut short."""
        return Report(tuple(a for a in self.answers if a.start + a.latency < moment))

    def share(self, version: str, since: float = 0.0, until: float = float("inf")) -> float:
        """The part (0..1) of good answers that ``version`` gave; 0 without any."""
        counts = self.between(since, until).by_version
        return counts[version] / counts.total() if counts else 0.0

    def __str__(self) -> str:
        lines = [
            f"{self.total} requests, {self.failed} failed, versions {dict(self.by_version)}, "
            f"p50 {self.latency(0.5) * 1000:.1f} ms, p99 {self.latency(0.99) * 1000:.1f} ms, "
            f"sent at most {self.worst_late * 1000:.0f} ms late"
        ]
        lines += [f"  {answer}" for answer in self.failures[:20]]
        if self.failed > 20:
            lines.append(f"  and {self.failed - 20} more")
        return "\n".join(lines)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Answer)


def encode(answers: Iterable[Answer]) -> bytes:
    """One JSON array per line."""
    return b"".join(_ENCODER.encode(answer) + b"\n" for answer in answers)


def decode(data: bytes) -> list[Answer]:
    """The answers in whole lines of ``data``."""
    return [_DECODER.decode(line) for line in data.splitlines() if line]
