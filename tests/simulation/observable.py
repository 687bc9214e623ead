"""What anybody can see of a release, as sequences that do not depend on how long anything takes.

The same code reads them off the model and off a real cluster, so that the two can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from tests.simulation.patches import Object
from webhook.traffic.splits import split_of

T = TypeVar("T")


@dataclass
class Observable:
    """Fed with every state of the Releases, ReplicaSets and HTTPRoutes, in their order."""

    steps: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    """By version: (phase, step, weight) of its Release, each once in a row."""
    sizes: dict[str, list[int]] = field(default_factory=dict)
    """By version: wanted pods of its ReplicaSet, each once in a row."""
    weights: list[int | None] = field(default_factory=list)
    """Percent on the route; None while it is the user's own."""

    def take(self, kind: str, obj: Object) -> None:
        """Note one state of an object."""
        match kind:
            case "Release":
                self._release(obj)
            case "ReplicaSet":
                container = obj["spec"]["template"]["spec"]["containers"][0]
                version = container["image"].partition(":")[2]
                _note(self.sizes.setdefault(version, []), obj["spec"].get("replicas", 0))
            case "HTTPRoute":
                split = split_of(obj)
                shares = split.shares.values() if split else ()
                _note(self.weights, next((share.weight for share in shares), None))

    def _release(self, obj: Object) -> None:
        status = obj.get("status") or {}
        if status.get("stage") or status.get("finishedAt"):
            seen = (status["phase"], status["step"], (status.get("weight") or {}).get("asked", 0))
            _note(self.steps.setdefault(obj["spec"]["version"], []), seen)


def _note(sequence: list[T], value: T) -> None:
    if not sequence or sequence[-1] != value:
        sequence.append(value)
