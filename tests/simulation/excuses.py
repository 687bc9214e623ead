"""What nobody can help: noted when users or the world do it, asked for when a rule breaks."""

from __future__ import annotations

from tests.simulation.clock import Clock
from tests.simulation.deployments import HASH
from tests.simulation.patches import Object

_SHAKEN = 20_000
_PASSED = 60_000


class Excuses:
    """Notes of what was done to the cluster from outside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lossy: set[str] = set()
        self._shaken: dict[str, int] = {}
        self._all_until = -1
        self._sized_until = -1
        self._passed_until = -1
        self.shared: set[str] = set()
        """Services that also serve other workloads' pods, and so can't be guarded."""
        self.ended = False
        """The namespace is being deleted, or is: there is nobody to serve."""
        self.leaving = False
        """Slipway is being uninstalled, or is: no policy counts any more."""
        self.deleted = False
        """The Deployment was deleted, at some time."""

    def lose(self, hash_: str) -> None:
        """Pods of a version were taken away or hurt."""
        self.lossy.add(hash_)

    def shake(self, service: str) -> None:
        """A user changed a Service, or took it away."""
        self._shaken[service] = self._clock.now + _SHAKEN

    def shake_all(self, ms: int = _SHAKEN) -> None:
        """A user took everything away, for a while."""
        self._all_until = max(self._all_until, self._clock.now + ms)

    def end_all(self) -> None:
        """The namespace is being deleted."""
        self.shake_all(10**12)
        self.deleted = self.ended = True

    def calm_down(self, ms: int = _SHAKEN) -> None:
        """What was taken away is back; it has so long to get ready."""
        self._all_until = self._clock.now + ms
        self.deleted = False

    def resize(self) -> None:
        """The user wants another number of pods: sides shrink in proportion, traffic or not."""
        self._sized_until = self._clock.now + _SHAKEN

    @property
    def resized(self) -> bool:
        return self._clock.now < self._sized_until

    def pass_by(self) -> None:
        """A user's write passed without the webhook; the reconciler repairs what it finds."""
        self._passed_until = self._clock.now + _PASSED

    @property
    def passed(self) -> bool:
        """Whether such a write has just been made."""
        return self.ended or self._clock.now < self._passed_until

    def begin(self, others: set[str]) -> None:
        """A new rollout is held: nothing of it has been lost yet, whatever was of ``others``."""
        self.lossy &= others

    @property
    def all_gone(self) -> bool:
        """Whether a user has just taken everything away."""
        return self._clock.now < self._all_until

    def shaken(self, service: str) -> bool:
        """Whether a user has just changed the Service."""
        return self._clock.now < max(self._shaken.get(service, -1), self._all_until)

    def nobody_there(self, service: str, pods: list[Object]) -> bool:
        """Whether a Service with none but these pods is not Slipway's fault."""
        if self.shaken(service):
            return True
        if not pods:
            return bool(self.lossy)
        return {pod["metadata"]["labels"].get(HASH) for pod in pods} <= self.lossy
