"""The webhook is not there for a while: writes pass without it."""

from __future__ import annotations

from tests.simulation.doings import running
from tests.simulation.reading import hold_text, notes
from tests.simulation.world import World
from webhook import names


def before(world: World, what: str) -> None:
    """Another action brings the webhook back, unless the API server itself guards it."""
    if world.installed and world.webhook_out and not _policy_holds(world, what):
        _up(world)


def _policy_holds(world: World, what: str) -> bool:
    """Whether the API server's own admission policy guards this write without the webhook."""
    found = world.users.deployment
    if not world.scenario.admission_policy or found is None or running(world) or hold_text(found):
        return False
    return what in ("apply", "replace with", "restart") and names.GUARDED_BY in notes(found)


def _down(world: World, number: int) -> None:
    """Short, and nobody applies anything meanwhile but Slipway: see `docs/simulation.md`."""
    world.webhook_out = world.webhook.down = True
    world.clock.after((50, 1000)[number % 2], _up, world)


def _up(world: World) -> None:
    if world.installed:
        world.webhook_out = world.webhook.down = False


DOINGS = {"webhook down": _down}
