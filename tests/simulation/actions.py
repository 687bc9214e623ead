"""Every action that a scenario can have, by name, and what a refused one means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.simulation import (
    autoscaler,
    config,
    doings,
    manners,
    namespace,
    nodes,
    pair,
    unhooked,
    uninstall,
)
from tests.simulation.api_server import Refused
from tests.simulation.world import World

ACTIONS: Mapping[str, Callable[[World, int], object]] = {
    **doings.DOINGS,
    **autoscaler.DOINGS,
    **config.DOINGS,
    **manners.DOINGS,
    **namespace.DOINGS,
    **nodes.DOINGS,
    **pair.DOINGS,
    **unhooked.DOINGS,
    **uninstall.DOINGS,
}

_OF_SLIPWAY = frozenset(
    {"new leader", "two leaders", "cut", "webhook cut", "webhook down", "webhook out"}
)
"""What happens to programs that are not there while Slipway is uninstalled."""


def do(world: World, what: str, number: int) -> None:
    """Do it, as far as it makes sense now; a refused write of a user's is a broken rule."""
    world.note(f"{what} ({number})")
    if what in _OF_SLIPWAY and not world.installed:
        return
    unhooked.before(world, what)
    try:
        ACTIONS[what](world, number)
    except Refused as error:
        world.rules.broken.append(f"refused: {what}: {error}")
    if what == "undo" and world.contents:
        world.contents.went_back()
