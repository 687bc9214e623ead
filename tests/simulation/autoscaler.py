"""A HorizontalPodAutoscaler: it looks every 15 seconds, and scales as the load wants it."""

from __future__ import annotations

from tests.simulation.doings import there
from tests.simulation.users import WEB
from tests.simulation.world import World
from webhook.cluster.kinds import DEPLOYMENTS

_PERIOD = 15_000
_LOOKS = 12
"""After so many the load stays as it is; a release has to get through in the meantime."""


def _autoscale(world: World, number: int) -> None:
    """An autoscaler for the Deployment: one, whoever asks for another."""
    if world.autoscaled:
        return
    world.autoscaled = True
    world.clock.after(number * 2000, _look, world, _LOOKS)


def _look(world: World, looks: int) -> None:
    found = world.api.find(DEPLOYMENTS, *WEB)
    if there(world) and found is not None and found["spec"]["replicas"]:  # 0 switches it off
        wanted = world.dice.choice((1, 2, 3, 4, 5, 6, 8))
        if wanted != found["spec"]["replicas"] and world.dice.random() < 0.6:
            world.happened["autoscaled"] += 1
            world.note(f"the autoscaler wants {wanted}")
            world.excuses.resize()
            world.users.scale(wanted)
    if looks:
        world.clock.after(_PERIOD, _look, world, looks - 1)
    else:
        world.autoscaled = False


DOINGS = {"autoscale": _autoscale}
