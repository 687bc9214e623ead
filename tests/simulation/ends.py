"""What must be true at the end: releases are over, and all is as its users last applied it."""

from __future__ import annotations

from tests.simulation.addresses import without
from tests.simulation.deployments import HASH, is_ready
from tests.simulation.patches import Object
from tests.simulation.reading import FINISHED, aborted, hold_text, notes, status_of
from tests.simulation.shop import SIDE
from tests.simulation.users import WEB
from tests.simulation.world import World
from webhook import names
from webhook.cluster.kinds import (
    DEPLOYMENTS,
    HTTPROUTES,
    INGRESSES,
    PODS,
    RELEASES,
    SERVICES,
    Kind,
)
from webhook.projection.config import plain

_AT_REST = names.FACT_KEYS
_HELD = names.FACT_KEYS | {names.HOLD, names.ORIGINAL, names.STABLE}


def leftovers(world: World) -> str:
    """What is not as it has to be at the end, or nothing."""
    if _waits_for_pods(world):
        return ""
    wrong = _unended(world) or _changed(world) or _strays(world) or _pods(world)
    return wrong or (world.contents.leftovers() if world.contents else "")


def _waits_for_pods(world: World) -> bool:
    """The hold is lifted, and the native rollout never ends: its pods never get ready."""
    stages = {status_of(release).get("stage") for release in world.api.all(RELEASES)}
    return "lift" in stages and world.users.version in world.scenario.broken


def _unended(world: World) -> str:
    for release in world.api.all(RELEASES):
        status = status_of(release)
        if status.get("phase", "Pending") not in FINISHED:
            name, phase = release["metadata"]["name"], status.get("phase")
            return f"no end: {name} is in {phase}/{status.get('stage')}: {status.get('message')}"
    for found in filter(None, map(world.users.found, ("web", SIDE))):
        if hold_text(found) and not aborted(found):
            return f"no end: {found['metadata']['name']} stays held: {hold_text(found)}"
    return ""


def _changed(world: World) -> str:
    """Rule 7."""
    for (kind, key), wanted in world.users.wanted.items():
        found = world.api.find(kind, *key)
        if found is None:
            return f"rule 7: {kind.kind} {key[1]} is gone"
        spec, annotations = wanted["spec"], _AT_REST if kind is DEPLOYMENTS else frozenset()
        if kind is DEPLOYMENTS and aborted(found):
            spec, annotations = {**spec, "paused": True}, _HELD
        if world.contents:
            annotations |= {names.CONFIG}
        is_spec = without(found["spec"], spec) if kind is SERVICES else _plain_spec(kind, found)
        if is_spec != spec:
            return f"rule 7: {kind.kind} {key[1]} has spec {is_spec}, not {spec}"
        left = {
            k: v
            for k, v in notes(found).items()
            if k not in annotations and not k.startswith("deployment.kubernetes.io/")
        }
        if left != notes(wanted):
            return f"rule 7: {kind.kind} {key[1]} has annotations {left}, not {notes(wanted)}"
        labels = (found["metadata"].get("labels") or {}), (wanted["metadata"].get("labels") or {})
        if labels[0] != labels[1]:
            return f"rule 7: {kind.kind} {key[1]} has labels {labels[0]}, not {labels[1]}"
    return ""


def _plain_spec(kind: Kind, obj: Object) -> Object:
    spec: Object = obj["spec"]
    if kind is not DEPLOYMENTS:
        return spec
    template = spec["template"]
    meta = {
        part: kept
        for part, values in template["metadata"].items()
        if (kept := {k: v for k, v in values.items() if not k.startswith(names.PREFIX)})
    }
    return {**spec, "template": {**plain(template), "metadata": meta}}


def _strays(world: World) -> str:
    """Nothing of Slipway's is left beside the user's objects."""
    for kind in (SERVICES, HTTPROUTES, INGRESSES):
        for obj in world.api.all(kind):
            where = (kind, ("shop", obj["metadata"]["name"]))
            if where not in world.users.wanted:
                return f"rule 7: {kind.kind} {obj['metadata']['name']} is left over"
    for pod in world.api.all(PODS):
        ours = {names.TRACK, names.SERVES} & pod["metadata"]["labels"].keys()
        ours |= {names.DELETION_COST} & notes(pod).keys()
        if ours:
            return f"rule 7: pod {pod['metadata']['name']} keeps {ours}"
    return ""


def _pods(world: World) -> str:
    """As many pods as wanted are ready, all of the version that is to serve."""
    found = filter(None, map(world.users.found, ("web", SIDE)))
    return next(filter(None, (_pods_of(world, each) for each in found)), "")


def _pods_of(world: World, found: Object) -> str:
    name = found["metadata"]["name"]
    pods = [p for p in world.api.all(PODS) if HASH in p["metadata"]["labels"]]
    pods = [p for p in pods if p["metadata"]["labels"]["app"] == name]
    hashes = {pod["metadata"]["labels"][HASH] for pod in pods}
    new = world.native.hash_of(found["spec"]["template"])
    ready = sum(map(is_ready, pods))
    image = found["spec"]["template"]["spec"]["containers"][0]["image"].partition(":")[2]
    broken = set(world.scenario.broken) & {image}
    if aborted(found):
        if new in hashes:
            return f"at the end {name} has pods of the version that was taken back"
        failed = [c.get("reason") for c in status_of(found).get("conditions") or ()]
        if "ProgressDeadlineExceeded" not in failed:
            return f"at the end {name} is aborted and does not say so"
    elif hashes != {new} and not broken:
        return f"at the end {name} has pods of {sorted(hashes)}, not of {new} alone"
    if ready != found["spec"]["replicas"] and not broken and not world.excuses.lossy:
        return f"at the end {ready} pods of {name} are ready, not {found['spec']['replicas']}"
    return ""


__all__ = ["WEB", "leftovers"]
