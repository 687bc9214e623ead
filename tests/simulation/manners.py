"""The user's own rules for a rollout change, at rest or in mid-release: Recreate, and the rest."""

from __future__ import annotations

from tests.simulation.doings import running, there
from tests.simulation.patches import Object
from tests.simulation.users import WEB
from tests.simulation.world import World
from webhook.cluster.kinds import DEPLOYMENTS


def _set(world: World, spec: Object, what: str) -> None:
    if there(world) and not _repeats_what_is_shown(world, spec):
        world.happened[what + (" in mid-release" if running(world) else " at rest")] += 1
        world.users.patch(DEPLOYMENTS, WEB, {"spec": spec})


def _repeats_what_is_shown(world: World, spec: Object) -> bool:
    """No value tells such a wish from a write that leaves the hold's own values alone."""
    found, wanted = world.users.deployment, world.users.wanted[DEPLOYMENTS, WEB]
    shown, known = (_flat(obj["spec"]) for obj in (found or wanted, wanted))
    asked = _flat({**spec, "strategy": {**wanted["spec"]["strategy"], **spec.get("strategy", {})}})
    return any(shown[key] == asked[key] != known[key] for key in asked)


def _flat(spec: Object) -> dict[str, object]:
    strategy = spec["strategy"]
    rolling = strategy.get("rollingUpdate") or {}
    return {
        "type": strategy["type"],
        "surge": rolling.get("maxSurge"),
        "unavailable": rolling.get("maxUnavailable"),
        "least": spec.get("minReadySeconds", 0),
        "deadline": spec.get("progressDeadlineSeconds"),
    }


def _recreate(world: World, _number: int) -> None:
    _set(world, {"strategy": {"type": "Recreate", "rollingUpdate": None}}, "Recreate")


def _rolling(world: World, _number: int) -> None:
    _set(world, {"strategy": {"type": "RollingUpdate"}}, "RollingUpdate")


def _pace(world: World, number: int) -> None:
    """`minReadySeconds`, deadline, history, and how many pods a rolling update may cost."""
    spec: Object = {
        "minReadySeconds": (0, 1, 5)[number % 3],
        "progressDeadlineSeconds": (30, 600)[number % 2],
        "revisionHistoryLimit": (0, 2, 10)[number % 3],
    }
    strategy = world.users.wanted.get((DEPLOYMENTS, WEB), {}).get("spec", {}).get("strategy")
    if strategy and strategy["type"] == "RollingUpdate":
        rolling = {"maxSurge": (1, "50%")[number % 2], "maxUnavailable": (0, 1, "50%")[number % 3]}
        spec["strategy"] = {"rollingUpdate": rolling}
    _set(world, spec, "other rules")


DOINGS = {"strategy recreate": _recreate, "strategy rolling": _rolling, "pace": _pace}
