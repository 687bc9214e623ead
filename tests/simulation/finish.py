"""When nothing moves any more, people do what the cluster waits for: one thing at a time."""

from __future__ import annotations

from tests.simulation.doings import quota_over
from tests.simulation.patches import Object
from tests.simulation.reading import aborted, running_release, status_of
from tests.simulation.shop import NAMESPACE, SIDE
from tests.simulation.users import ALICE, ROLLOUT, WEB
from tests.simulation.world import World
from webhook.cluster.kinds import DEPLOYMENTS, RELEASES


def finish_something(world: World) -> bool:
    """Whether there was something that only a person could do."""
    world.note("-- nothing moves; people go on --")
    if world.replicasets.quota:
        quota_over(world)
        return True
    if world.contents and world.contents.made_again():
        return True
    wanted = world.users.wanted.get((DEPLOYMENTS, WEB))
    if wanted is not None and wanted["spec"]["replicas"] == 0:
        world.users.scale(2)
        return True
    found = world.users.deployment
    paused = wanted is not None and wanted["spec"].get("paused") is True
    if paused and found is not None and not aborted(found):
        world.users.resume()
        return True
    return _beside(world) or _flights(world)


def _beside(world: World) -> bool:
    """The second Deployment was left paused by an uninstall: somebody resumes it."""
    where = (DEPLOYMENTS, (NAMESPACE, SIDE))
    wanted, found = world.users.wanted.get(where), world.users.found(SIDE)
    if wanted is None or found is None or wanted["spec"].get("paused") is not True:
        return False
    if aborted(found):
        return False
    world.users.patch(*where, {"spec": {"paused": None}}, ROLLOUT)
    return True


def _flights(world: World) -> bool:
    found = map(world.users.found, ("web", SIDE))
    flights = [running_release(world.api, each) for each in found if each]
    return any(_decide(world, release) for release in flights if release)


def _decide(world: World, release: Object) -> bool:
    """Unpause it, or give the result or the approval that it waits for."""
    spec, status = release["spec"], status_of(release)
    if spec.get("paused"):
        return _set(world, release, paused=False)
    lacking = _results(spec, status)
    if lacking:
        return _set(world, release, results=lacking)
    approve = status.get("step", 0) + 1
    last = status.get("steps", 0) + ("blueGreen" in spec["strategy"])  # the analysis after it
    if spec.get("approve", 0) < approve <= last:
        return _set(world, release, approve=approve)
    return False


def _results(spec: Object, status: Object) -> list[Object]:
    """With these, every analysis up to the present step has succeeded; empty if it has already."""
    known = {(each["name"], each["step"]): each for each in spec.get("results") or ()}
    before = dict(known)
    steps = (spec["strategy"].get("canary") or {}).get("steps") or ()
    for index, step in enumerate(steps[: status.get("step", 0) + 1]):
        for template in (step.get("analysis") or {}).get("templates") or ():
            _succeed(known, template["templateName"], index)
    blue_green = spec["strategy"].get("blueGreen") or {}
    after = status.get("stage") == "keep"
    asked = blue_green.get("postPromotionAnalysis" if after else "prePromotionAnalysis")
    if asked:
        index = status.get("steps", 0) if after else status.get("step", 0)
        for template in asked["templates"]:
            _succeed(known, template["templateName"], index)
    return list(known.values()) if known != before else []


def _succeed(known: dict[tuple[str, int], Object], name: str, step: int) -> None:
    there = known.get((name, step))
    if there is None or there["phase"] == "Running":
        known[name, step] = {"name": name, "step": step, "phase": "Successful"}


def _set(world: World, release: Object, **spec: object) -> bool:
    meta = release["metadata"]
    world.note(f"a person sets {spec}")
    world.api.patch(RELEASES, (meta["namespace"], meta["name"]), {"spec": spec}, ALICE)
    return True
