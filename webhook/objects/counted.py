"""How many requests the pods of each version had answered at one moment, by their own counters."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at all pods of a Deployment."""

    at: datetime
    requests: Mapping[str, float]
    """By ``pod-template-hash``: how many since the first look. Restarts and pods that go take
    nothing away."""
    noise: Mapping[str, float]
    """By hash: at most so many of them a second are no users' requests, but probes and scrapes."""
