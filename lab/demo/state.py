"""What the demo sees at one moment: frozen, so that views and verdicts are pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from webhook.objects.release import Release


@dataclass(frozen=True, slots=True)
class Command:
    """A command as typed; ``code`` is its exit code, None while it runs."""

    text: str
    output: tuple[str, ...] = ()
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of the application."""

    name: str
    version: str
    ready: bool = True
    ending: bool = False
    owner: str = ""
    """The ReplicaSet that controls it, or empty."""
    made_by: str = ""
    """The field manager that created it."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What became of the requests so far, and in the last second; shares are 0..1."""

    total: int = 0
    failed: int = 0
    rate: float = 0.0
    """Answers a second, over the last second."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Per version that answered (with whatever status), over the last second."""
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Per version, one share for each second, the newest last."""


@dataclass(frozen=True, slots=True)
class State:
    """One look at the cluster and at the load."""

    at: float
    """Unix time, taken before looking."""
    elapsed: float = 0.0
    """Seconds since the demo began."""
    commands: tuple[Command, ...] = ()
    """All that was typed, the newest last."""
    versions: tuple[str, ...] = ()
    """Versions applied up to now, the newest last."""
    pods: tuple[Pod, ...] = ()
    release: Release | None = None
    """The newest Release."""
    traffic: Traffic = Traffic()

    def pods_of(self, version: str) -> tuple[Pod, ...]:
        """Its pods, those that are ending last."""
        mine = (pod for pod in self.pods if pod.version == version)
        return tuple(sorted(mine, key=lambda pod: (pod.ending, not pod.ready, pod.name)))

    def asked(self, version: str) -> int:
        """The percentage of traffic that a version should have now."""
        if self.release is None:
            return 100 if self.versions[:1] == (version,) else 0
        spec, weight = self.release.spec, self.release.status.weight.asked
        return {spec.version: weight, spec.stable.version: 100 - weight}.get(version, 0)


def counted(pods: tuple[Pod, ...]) -> str:
    """Ready pods out of all that are not ending, e.g. ``3/4``."""
    staying = [pod for pod in pods if not pod.ending]
    return f"{sum(pod.ready for pod in staying)}/{len(staying)}"
