"""A second Deployment, behind a Service that is shared with the first, is released as well."""

from __future__ import annotations

from tests.simulation import shop
from tests.simulation.api_server import Key
from tests.simulation.reading import running_release
from tests.simulation.world import World
from webhook.cluster.kinds import DEPLOYMENTS

BESIDE: Key = (shop.NAMESPACE, shop.SIDE)
_VERSIONS = ("v1", "v6", "v7")


def _apply_beside(world: World, number: int) -> None:
    """Also back to the first version, unless it shows a version that it has turned away from."""
    found = world.users.found(shop.SIDE)
    wanted = world.users.wanted.get((DEPLOYMENTS, BESIDE))
    if found is None or wanted is None:
        return
    containers = shop.containers(_VERSIONS[number % 3])
    shown, asked = (d["spec"]["template"]["spec"]["containers"] for d in (found, wanted))
    if containers in (shown, asked):
        return
    template = {"spec": {"containers": containers}}
    world.users.patch(DEPLOYMENTS, BESIDE, {"spec": {"template": template}})

    for ms in (500, 5000, 30_000):
        world.clock.after(ms, _count, world)


def _count(world: World) -> None:
    found = filter(None, map(world.users.found, ("web", shop.SIDE)))
    if len(list(filter(None, (running_release(world.api, each) for each in found)))) > 1:
        world.happened["two releases at once"] += 1


DOINGS = {"apply beside": _apply_beside}
