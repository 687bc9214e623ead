"""Requests by version over time, whatever becomes of single pods. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from webhook.counters.reading import Reading
from webhook.counters.targets import Target
from webhook.objects.counted import Sample

_KEPT: Final = 120
"""Looks, one a second."""
_PER_LOOK: Final = 1.0
"""Requests that our own looks make, a second and pod."""


@dataclass(slots=True)
class Tally:
    """The looks at one Deployment's pods, the newest last."""

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _last: dict[str, float] = field(default_factory=dict)
    _totals: dict[str, float] = field(default_factory=dict)

    def add(
        self, at: datetime, read: Iterable[tuple[Target, Reading]], probes: float = 0.0
    ) -> None:
        """Take in what the pods said; ``probes`` is how often a second each pod is probed.

        A pod that is seen for the first time counts from then on, and one whose counter fell has
        started again.
        """
        noise = dict.fromkeys(self._totals, 0.0)
        for target, reading in read:
            before = self._last.get(target.uid, reading.requests)
            grown = reading.requests - before if reading.requests >= before else reading.requests
            self._last[target.uid] = reading.requests
            self._totals[target.hash] = self._totals.get(target.hash, 0.0) + grown
            loud = 0.0 if reading.clean else probes + _PER_LOOK
            noise[target.hash] = noise.get(target.hash, 0.0) + loud
        if self._totals:
            self.samples.append(Sample(at, dict(self._totals), noise))


def probes_of(template: Mapping[str, object]) -> float:
    """How often a second a pod of a template is probed over HTTP or gRPC."""
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    probes = [
        container.get(kind) or {}
        for container in containers or ()
        for kind in ("readinessProbe", "livenessProbe")
    ]
    asking = [probe for probe in probes if "httpGet" in probe or "grpc" in probe]
    return sum(1 / max(1, probe.get("periodSeconds") or 10) for probe in asking)
