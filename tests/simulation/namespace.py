"""The namespace is deleted: nothing can be made in it, and what is there goes in any order."""

from __future__ import annotations

from tests.simulation import shop
from tests.simulation.doings import running
from tests.simulation.patches import with_meta
from tests.simulation.world import World
from webhook.cluster.contents import KINDS
from webhook.cluster.kinds import (
    DEPLOYMENTS,
    ENDPOINTSLICES,
    EVENTS,
    GATEWAYS,
    HTTPROUTES,
    INGRESSES,
    NAMESPACES,
    PODS,
    RELEASES,
    REPLICASETS,
    SERVICES,
    Kind,
)

_KINDS = (
    DEPLOYMENTS, REPLICASETS, PODS, SERVICES, ENDPOINTSLICES, HTTPROUTES, INGRESSES, RELEASES,
    GATEWAYS, EVENTS,
)  # fmt: skip


def _delete(world: World, _number: int) -> None:
    """``kubectl delete namespace``."""
    if world.api.terminating:
        return
    what = "in mid-release" if running(world) else "at rest"
    world.happened[f"namespace deleted {what}"] += 1
    found = world.api.get(NAMESPACES, "", shop.NAMESPACE)
    world.api.write(NAMESPACES, with_meta(found, deletionTimestamp=world.clock.stamp()))
    world.api.terminating = True
    world.excuses.end_all()
    world.users.wanted.clear()
    for kind in _kinds(world):  # each kind's collection is deleted in its turn
        world.clock.after(world.dice.randrange(20, 3000), _empty, world, kind)
    world.clock.after(4000, _gone, world)


def _kinds(world: World) -> tuple[Kind, ...]:
    return (*_KINDS, *KINDS.values()) if world.contents else _KINDS


def _empty(world: World, kind: Kind) -> None:
    for obj in world.api.all(kind):
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        if kind is not PODS:
            world.api.remove(kind, key)
        elif "deletionTimestamp" not in obj["metadata"]:
            world.api.end_pod(key)


def _gone(world: World) -> None:
    """It looks again until nothing is left."""
    left = [kind for kind in _kinds(world) if world.api.all(kind)]
    for kind in left:
        _empty(world, kind)
    if left:
        world.clock.after(1000, _gone, world)
    else:
        world.api.remove(NAMESPACES, ("", shop.NAMESPACE))


DOINGS = {"delete namespace": _delete}
