"""One decision for one Deployment, from what the tables say now."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from webhook.cluster.kinds import Kind
from webhook.cluster.policies import Policies
from webhook.cluster.snapshot import look_around, words_of
from webhook.cluster.store import Store
from webhook.objects.counted import Sample
from webhook.objects.raw import Object
from webhook.reconciler.interests import Interests
from webhook.reconciler.queue import Key
from webhook.release.actions import Plan
from webhook.release.gathered import Raw
from webhook.release.observe import observe
from webhook.release.observed import Observed
from webhook.release.plan import plan
from webhook.release.readings import Readings
from webhook.release.retire import retire


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and on what."""

    raw: Raw
    seen: Observed
    plan: Plan

    def stands(self, raw: Raw, now: datetime) -> bool:
        """With nothing to do, until something changes or its time comes."""
        if self.plan.actions or (self.plan.wake_at is not None and self.plan.wake_at <= now):
            return False
        return self.raw == raw


class Counted(Protocol):
    """Who knows what pods have answered; see `webhook.reconciler.counting`."""

    def of(self, key: Key) -> tuple[Sample, ...]:
        """The looks at one Deployment's pods, the newest last."""
        ...

    def forget(self, key: Key) -> None:
        """Keep nothing of a Deployment that is in no release any more."""
        ...


class Decider:
    """Decides for each Deployment, and knows what it read for the decision before.

    Many looks find nothing new: a write of ours comes back through the watch, or what changed is
    around another Deployment.
    """

    def __init__(
        self,
        store: Store,
        policies: Policies,
        *,
        detaching: bool = False,
        counting: Counted | None = None,
    ) -> None:
        self._store = store
        self._counting = counting
        self._policies = policies
        self._detaching = detaching
        self._readings: defaultdict[Key, Readings] = defaultdict(Readings)
        self._interests = Interests()
        self._last: dict[Key, Decision] = {}

    def decide(self, deployment: Object, now: datetime, *, there: bool) -> tuple[Observed, Plan]:
        """What is seen, and what to do; ``there``: the Deployment has not been deleted."""
        key = (deployment["metadata"]["namespace"], deployment["metadata"]["name"])
        policy = self._policies.policy_for(key[0], deployment)
        raw, words = look_around(self._store, deployment, policy, self._readings[key])
        if self._counting:
            raw = replace(raw, counted=self._counting.of(key))
        last = self._last.pop(key, None)
        if last is None or not there or not last.stands(raw, now):
            self._interests.note(key, words)
            last = self._decision(raw, self._readings[key], now, there=there)
        if there:
            self._last[key] = last
        return last.seen, last.plan

    def concerned(self, kind: Kind, obj: Object) -> list[Key]:
        """The Deployments for which an object that changed may change the decision."""
        return sorted(self._interests.of(words_of(kind, obj)))

    def forget(self, key: Key) -> None:
        """Keep nothing of a Deployment that is in no release any more."""
        self._interests.drop(key)
        self._readings.pop(key, None)
        if self._counting:
            self._counting.forget(key)
        self._last.pop(key, None)

    def _decision(self, raw: Raw, readings: Readings, now: datetime, *, there: bool) -> Decision:
        seen = observe(raw, readings)
        if self._detaching:
            seen = replace(seen, detaching=True, policy=None)
        return Decision(raw, seen, plan(seen, now) if there else retire(seen))
