"""One seed, one scenario: what there is, what is done to it, and what goes wrong meanwhile.

Everything that a reducer may take away is in the scenario; the rest is the noise of latencies.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.policies import random_policy
from tests.simulation.shop import SHAPES
from webhook.release.stages import STAGES as ROWS

STAGES = tuple(f"{phase}/{stage.name}" for phase, row in ROWS.items() for stage in row)

_COMMON = (
    "apply", "apply", "apply", "back", "abort", "reapply", "replace", "replace with", "scale",
    "kill", "pause release", "unpause release", "approve", "new leader", "cut",
)  # fmt: skip
_RARE = (
    "unready", "delete release", "delete service", "recreate service", "delete route",
    "recreate route", "put route", "put service", "new service", "delete deployment",
    "recreate deployment", "edit policy", "delete policy", "make policy", "rollout pause",
    "rollout resume", "undo", "restart", "retry", "skip", "promote", "quota", "two leaders",
    "scale to 0", "apply and scale", "webhook cut", "edit route", "edit service", "webhook down",
    "kill new", "kill new", "result",
)  # fmt: skip
SELDOM = (
    "uninstall", "upgrade", "disable", "evict", "evict", "drain", "lose node", "lose node",
    "autoscale", "autoscale", "apply beside", "apply beside",
    "webhook out", "webhook out", "webhook out",
    "strategy recreate", "strategy recreate", "strategy rolling", "pace", "pace",
    "delete namespace",
)  # fmt: skip

CONTENTS = (
    "change config", "change config", "change config", "change config and apply",
    "change config and restart", "put config back", "delete config", "recreate config",
    "set image", "guard no config", "delete snapshot",
)  # fmt: skip
"""Where the Deployment uses a ConfigMap and a Secret; see `contents.py`."""
_GUARDED = 0.09

OPEN: frozenset[str] = frozenset()
"""Actions that the engine does not get over yet: drawn, and left out. See docs/simulation.md."""

KINDS = ("Deployment", "Release", "ReplicaSet", "Pod", "Service", "EndpointSlice", "HTTPRoute")
FAULTS = ("crash before", "crash after", "timeout", "409", "429", "500", "late", "no webhook")


@dataclass(frozen=True)
class Action:
    """Something that is done, so many milliseconds after the one before, or after a stage."""

    what: str
    wait: int = 0
    stage: str = ""
    """``Phase/stage`` of the Release to wait for, where it comes."""
    number: int = 0
    """Which one, or how many."""


@dataclass(frozen=True)
class Fault:
    """What becomes of the n-th write of Slipway's."""

    write: int
    what: str


@dataclass(frozen=True)
class Scenario:
    """Everything but the noise."""

    seed: int
    shape: str = "route"
    replicas: int = 3
    policy: dict[str, Any] = field(default_factory=dict)
    settle: int = 200
    """Milliseconds, as in the policy: proxies are as late as that allows."""
    spec: dict[str, Any] = field(default_factory=dict)
    """More fields of the Deployment."""
    broken: tuple[str, ...] = ()
    """Versions whose pods never get ready."""
    actions: tuple[Action, ...] = ()
    faults: tuple[Fault, ...] = ()
    slow: tuple[tuple[str, int], ...] = ()
    """Kinds whose watches may be so many milliseconds late."""
    budget: int | str | None = None
    """``minAvailable`` of a PodDisruptionBudget for the pods of all versions."""
    admission_policy: bool = False
    features: bool = True
    """Whether the Gateway is known to be able to do all that a step can ask for."""
    everything: bool = True
    """Strategies beyond ``setWeight`` and ``pause`` as well."""
    config: bool = False
    """Whether the Deployment uses a ConfigMap and a Secret, and the policy guards them."""
    counters: bool = False
    """Whether pods say what they answer, truly or not; see `hearsay.py`."""


def scenario(seed: int, *, everything: bool = True, config: bool | None = None) -> Scenario:
    """The scenario of a seed; with or without config if that is said."""
    dice = random.Random(seed)  # noqa: S311 dice for tests
    settle = dice.choice((0, 200, 1000, 5000))
    drain = dice.choice((0, 500, 3000, 10_000))
    shape = dice.choice(tuple(SHAPES))
    policy = random_policy(dice, settle, drain, everything=everything)
    story = Scenario(
        seed=seed,
        shape=shape,
        replicas=dice.choice((1, 2, 3, 4, 6)),
        policy=policy,
        settle=settle,
        spec=_spec(dice),
        broken=("v3",) if dice.random() < 0.15 else ("v2",) if dice.random() < 0.1 else (),
        actions=_actions(dice, shape),
        faults=_faults(dice),
        slow=tuple((kind, dice.choice((500, 3000))) for kind in KINDS if dice.random() < 0.12),
        admission_policy=dice.random() < 0.5,
        features=dice.random() < 0.8,
        everything=everything,
        budget=dice.choice((None, 1, 2, "50%", "100%")),
        counters=random.Random(f"{seed} counters").random() < 0.15,  # noqa: S311 dice for tests
    )
    drawn = dice.random() < _GUARDED  # the last draw: without, a seed is what it was before
    wanted = drawn if config is None else config
    return _guarding(story, dice) if wanted else story


def _guarding(story: Scenario, dice: random.Random) -> Scenario:
    """The same story where config is a version too."""
    actions = list(story.actions)
    if dice.random() < 0.3:
        actions[0] = Action("change config", number=dice.randrange(8))
    for _ in range(dice.choice((1, 2, 2, 3, 4))):
        what, number = dice.choice(CONTENTS), dice.randrange(8)
        stage = dice.choice(STAGES) if dice.random() < 0.4 else ""
        wait = dice.choice((0, 20, 400, 1500, 8000, 30_000))
        place = dice.randrange(1, len(actions) + 1)
        actions.insert(place, Action(what, wait=wait, stage=stage, number=number))
    policy = {**story.policy, "config": {"guard": True}}
    return replace(story, config=True, policy=policy, actions=tuple(actions))


def _spec(dice: random.Random) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if dice.random() < 0.2:
        spec["minReadySeconds"] = dice.choice((1, 5))
    if dice.random() < 0.3:
        rolling = {
            "maxSurge": dice.choice((0, 1, "50%")),
            "maxUnavailable": dice.choice((1, "50%")),
        }
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
    elif dice.random() < 0.06:
        spec["strategy"] = {"type": "Recreate"}
    if dice.random() < 0.2:
        spec["progressDeadlineSeconds"] = 30
    if dice.random() < 0.2:
        spec["revisionHistoryLimit"] = dice.choice((0, 1))
    return spec


def _actions(dice: random.Random, shape: str) -> tuple[Action, ...]:
    out = [Action("apply")]
    if shape == "pair":
        stage = dice.choice(STAGES) if dice.random() < 0.5 else ""
        out.insert(dice.randrange(2), Action("apply beside", stage=stage, number=1))
    for _ in range(dice.choice((0, 1, 1, 2, 3, 4, 6))):
        what = dice.choice(dice.choices((_COMMON, _RARE, SELDOM), (0.5, 0.3, 0.2))[0])
        if what in OPEN:
            continue
        stage = dice.choice(STAGES) if dice.random() < 0.5 else ""
        wait = dice.choice((0, 20, 100, 400, 2000, 8000, 30_000))
        out.append(Action(what, wait=wait, stage=stage, number=dice.randrange(8)))
    return tuple(out)


def _faults(dice: random.Random) -> tuple[Fault, ...]:
    many = dice.choice((0, 0, 1, 1, 2, 4, 8))
    return tuple(Fault(dice.randrange(60), dice.choice(FAULTS)) for _ in range(many))
