"""What people do where config is a version too: to ConfigMap and Secret, and to snapshots."""

from __future__ import annotations

from tests.simulation.contents import USED, Contents
from tests.simulation.doings import VERSIONS, running, there
from tests.simulation.reading import notes
from tests.simulation.world import World
from webhook import names
from webhook.projection.config import Ref

_VALUES = ("first", "second", "third")


def _change(world: World, number: int) -> None:
    """Other contents, and sometimes others again within the moment in which they are gathered."""
    found = world.contents
    if found is None:
        return
    ref = USED[number % 2]
    _write(world, found, ref, number // 2)
    if number % 3 == 0:
        world.clock.after((100, 900)[number // 3 % 2], _write, world, found, ref, number)


def _write(world: World, found: Contents, ref: Ref, number: int) -> None:
    where = "in mid-release" if running(world) else "at rest"
    world.happened[f"contents changed {where}"] += 1
    others = [value for value in _VALUES if value != found.values[ref][-1]]
    world.note(f"{ref} gets {others[number % 2]}")
    found.write(ref, others[number % 2])


def _put_back(world: World, _number: int) -> None:
    """The contents before the last change."""
    found = world.contents
    for ref in USED if found else ():
        if found and len(found.values[ref]) > 1:
            world.happened["contents put back"] += 1
            found.write(ref, found.values[ref][-2])


def _change_and_apply(world: World, number: int) -> None:
    """A new image and new contents, in this order or the other one, at once or not quite."""
    apart = (0, 300, 0, 1200)[number % 4]
    image = [v for v in VERSIONS[1:] if there(world) and v != world.users.version]
    if not image:
        return
    first, then = (_change, _apply)[:: 1 if number < 4 else -1]
    first(world, number)
    if apart:
        world.clock.after(apart, then, world, number)
    else:
        then(world, number)


def _apply(world: World, number: int) -> None:
    if there(world):
        others = [v for v in VERSIONS[1:] if v != world.users.version]
        world.users.apply(others[number % 2])


def _change_and_restart(world: World, number: int) -> None:
    """What people are used to: other contents, and a restart so that pods read them."""
    _change(world, number)
    world.clock.after((0, 0, 200, 1500)[number % 4], _restart, world, number)


def _restart(world: World, number: int) -> None:
    if there(world):
        world.users.restart(f"at {world.clock.now} {number}")


def _delete(world: World, number: int) -> None:
    if world.contents:
        world.happened["contents deleted"] += 1
        world.contents.delete(USED[number % 2])


def _recreate(world: World, number: int) -> None:
    """Deleted and made again, with the same contents or others."""
    if world.contents is None:
        return
    ref = USED[number % 2]
    world.contents.delete(ref)
    wait = (0, 200, 3000, 20_000)[number // 2 % 4]
    world.clock.after(wait, _make, world, world.contents, ref, number)


def _make(world: World, found: Contents, ref: Ref, number: int) -> None:
    world.happened["contents made again"] += 1
    found.write(ref, found.values[ref][-1] if number % 3 else _VALUES[number % 2])


def _set_image(world: World, number: int) -> None:
    """``kubectl set image``: nothing else of the template is in the write."""
    found = world.users.deployment
    if found is None or not there(world):
        return
    if "/spec/template" in notes(found).get(names.ORIGINAL, ""):
        return  # it would change the template that is on its way back
    version = next(v for v in VERSIONS[1 + number % 2 :] if v != world.users.version)
    if world.users.looks_like(version):
        return
    world.users.set_image(version)


def _guard_no_config(world: World, number: int) -> None:
    """The policy guards everything but config, for a while or from now on."""
    world.happened["config not guarded"] += 1
    world.users.set_policy({**world.scenario.policy, "config": {}})
    if number % 4:
        world.clock.after((1000, 20_000)[number % 2], world.users.set_policy, world.scenario.policy)


def _delete_snapshot(world: World, _number: int) -> None:
    if world.contents and world.installed:  # or nobody makes it again
        world.contents.take()


DOINGS = {
    "change config": _change,
    "change config and apply": _change_and_apply,
    "change config and restart": _change_and_restart,
    "put config back": _put_back,
    "delete config": _delete,
    "recreate config": _recreate,
    "set image": _set_image,
    "guard no config": _guard_no_config,
    "delete snapshot": _delete_snapshot,
}

NO_WRITES = frozenset(
    {"change config", "put config back", "delete config", "recreate config", "delete snapshot"}
)
"""No Deployment is written, and no webhook is asked."""
