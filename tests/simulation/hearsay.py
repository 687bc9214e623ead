"""Counters of pods that say anything: right, wrong, late or nothing.

What they say may make a release wait, and never break a rule or keep it from its end.
"""

from __future__ import annotations

import random
from datetime import timedelta
from functools import lru_cache

from tests.simulation.api_server import ApiServer
from tests.simulation.clock import EPOCH, Clock
from webhook.cluster.kinds import REPLICASETS
from webhook.objects.counted import Sample
from webhook.reconciler.queue import Key

_KEPT = 15
_RATES = (0, 0, 1, 20, 300)


@lru_cache(maxsize=8)
def _looks(seed: int, last: int, hashes: tuple[str, ...]) -> tuple[Sample, ...]:
    totals, out = dict.fromkeys(hashes, 0.0), []
    for second in range(max(0, last - _KEPT), last + 1):
        # Some stretches of ten seconds are calm, so that a proof is had now and then.
        loud = random.Random(f"{seed} {second // 10}").random() < 0.6  # noqa: S311
        dice = random.Random(f"{seed} {second}")  # noqa: S311 dice for tests
        for hash_ in hashes:
            totals[hash_] += dice.choice(_RATES) if loud else 0
        if dice.random() < 0.8:
            at = EPOCH + timedelta(seconds=second)
            out.append(Sample(at, dict(totals), dict.fromkeys(hashes, dice.choice((0.0, 2.0)))))
    return tuple(out)


class Hearsay:
    """Stands in for `webhook.reconciler.counting.Counting`."""

    def __init__(self, clock: Clock, api: ApiServer, seed: int) -> None:
        self._clock, self._api, self._seed = clock, api, seed

    def of(self, _key: Key) -> tuple[Sample, ...]:
        """A look at each second, but for some; every one again says of the past what it said."""
        last = self._clock.now // 1000
        hashes = sorted(
            str(rs["metadata"]["labels"]["pod-template-hash"]) for rs in self._api.all(REPLICASETS)
        )
        return _looks(self._seed, last, tuple(hashes))

    def forget(self, _key: Key) -> None:
        """It remembers nothing."""
