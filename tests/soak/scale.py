"""Whether a measured share is the one asked for: how far chance alone may take it."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

SIGMAS: Final = 5.0
"""Chance takes one of two million shares further; Traefik's own split is exact."""
_EDGE: Final = 2
"""Requests at the beginning and the end of a pause that belong to the weight before or after."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one pause of one release showed."""

    app: str
    version: str
    asked: float
    """The part (0..1) of the requests that the version was to get."""
    requests: int
    got: int
    """How many of the requests it answered."""

    @property
    def inside(self) -> bool:
        """Whether it is inside the binomial interval (normal approximation)."""
        allowed = SIGMAS * sqrt(self.requests * self.asked * (1 - self.asked)) + _EDGE
        return abs(self.got - self.requests * self.asked) <= allowed

    def __str__(self) -> str:
        return f"{self.app} {self.version}: asked {self.asked:.0%}, got {self.got}/{self.requests}"
