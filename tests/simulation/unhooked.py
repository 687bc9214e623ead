"""The webhook is not there for a while: writes pass without it.

What people write then is nobody's to guard. How it ends is asserted all the same: every release
is over, and all objects are as their users last applied them.
"""

from __future__ import annotations

from tests.simulation import config
from tests.simulation.doings import running
from tests.simulation.reading import hold_text, notes
from tests.simulation.world import World
from webhook import names

_WRITES = frozenset(
    (
        "apply", "back", "reapply", "replace", "replace with", "apply and scale", "restart", "undo",
        "rollout pause", "rollout resume", "put route", "put service", "edit route",
        "edit service", "new service", "recreate service", "recreate route", "apply beside",
    )
)  # fmt: skip


def before(world: World, what: str) -> None:
    """A write of people's that no webhook sees, and no admission policy holds, is excused."""
    if what in config.NO_WRITES:
        return
    if not world.installed or not world.webhook_out or _policy_holds(world, what):
        return
    if what not in _WRITES or not world.writes_pass:
        _up(world)
        return
    world.happened["written without webhook"] += 1
    world.excuses.pass_by()


def _policy_holds(world: World, what: str) -> bool:
    """Whether the API server's own admission policy guards this write without the webhook."""
    found = world.users.deployment
    if not world.scenario.admission_policy or found is None or running(world) or hold_text(found):
        return False
    return what in ("apply", "replace with", "restart") and names.GUARDED_BY in notes(found)


def _down(world: World, number: int) -> None:
    """Short, and nobody applies anything meanwhile but Slipway: see `docs/simulation.md`."""
    world.writes_pass = False
    world.webhook_out = world.webhook.down = True
    world.clock.after((50, 1000)[number % 2], _up, world)


def _out(world: World, number: int) -> None:
    """Longer, and people go on to work."""
    world.writes_pass = True
    world.webhook_out = world.webhook.down = True
    world.clock.after((1000, 20_000, 120_000)[number % 3], _up, world)


def _up(world: World) -> None:
    if world.installed:
        world.webhook_out = world.webhook.down = False


DOINGS = {"webhook down": _down, "webhook out": _out}
