"""Sums of a running probe's answers, cheap enough to ask several times a second."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from lab.demo.state import Traffic
from lab.probe import Answer

_PARTS: Final = 4  # of a second
_BEHIND: Final = 0.3  # seconds until the answers of a moment are surely known
_SECONDS: Final = 40


class Meter:
    """Counts answers by version and by the quarter of a second in which they were asked for."""

    def __init__(self) -> None:
        self._total = 0
        self._failed = 0
        self._parts: dict[int, Counter[str]] = {}
        self._first: int | None = None

    def add(self, answers: Iterable[Answer]) -> None:
        """Count more answers."""
        for answer in answers:
            part = int(answer.start * _PARTS)
            self._total += 1
            self._failed += not answer.ok
            self._parts.setdefault(part, Counter())[answer.version] += 1
            self._first = part if self._first is None else min(self._first, part)

    def traffic(self, now: float) -> Traffic:
        """What was seen until ``now`` (Unix time)."""
        end = int((now - _BEHIND) * _PARTS)
        last = self._second(end)
        versions = {version for part in self._parts.values() for version in part if version}
        return Traffic(
            total=self._total,
            failed=self._failed,
            rate=float(last.total()),
            shares={version: _share(last, version) for version in versions},
            history={version: self._history(version, end) for version in versions},
        )

    def _history(self, version: str, end: int) -> tuple[float, ...]:
        if self._first is None:
            return ()
        newest = end // _PARTS * _PARTS  # on whole seconds, or old values would flicker
        first = max(self._first, newest - _SECONDS * _PARTS)
        seconds = range(newest, first, -_PARTS)
        return tuple(_share(self._second(at), version) for at in reversed(seconds))

    def _second(self, end: int) -> Counter[str]:
        """The answers of the second before a part."""
        parts = (self._parts.get(at, Counter()) for at in range(end - _PARTS, end))
        return sum(parts, Counter[str]())


def _share(answers: Counter[str], version: str) -> float:
    total = answers.total()
    return answers[version] / total if total else 0.0
