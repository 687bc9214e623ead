"""Every action by name: what users do, and what the world does to the cluster."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from tests.simulation import shop
from tests.simulation.api_server import Key, Refused
from tests.simulation.deployments import HASH, is_ready
from tests.simulation.patches import Object
from tests.simulation.policies import random_strategy
from tests.simulation.reading import running_release, status_of
from tests.simulation.scenario import KINDS
from tests.simulation.users import ALICE, WEB
from tests.simulation.world import World
from webhook.cluster.kinds import DEPLOYMENTS, HTTPROUTES, PODS, RELEASES, SERVICES, Kind

VERSIONS = ("v1", "v2", "v3", "v4", "v5")
_LONG = 10**9
_STABLE_GOES = ("lift", "clean")


# Templates


def _apply(world: World, number: int) -> None:
    if not there(world):
        return
    others = [v for v in VERSIONS[1:] if v != world.users.version]
    world.users.apply(others[number % 2])


def _back(world: World, _number: int) -> None:
    """The released version is applied again."""
    release = running(world)
    stable = release["spec"]["stable"]["version"] if release else "v1"
    if there(world):
        world.users.apply(stable or "v1")


def _replace_with(world: World, number: int) -> None:
    if there(world):
        others = [v for v in VERSIONS[1:] if v != world.users.version]
        world.users.replace_with(others[number % 2])


def _apply_and_scale(world: World, number: int) -> None:
    if there(world):
        world.excuses.resize()
        version = "v4" if world.users.version != "v4" else "v5"
        world.users.apply(version, replicas=1 + number % 5)


def _put(world: World, kind: Kind, keys: list[Key], number: int) -> None:
    if keys:
        key = keys[number % len(keys)]
        if world.api.find(kind, *key):
            world.users.put(kind, key)


def _replace(world: World, number: int) -> None:
    _put(world, DEPLOYMENTS, [WEB] if there(world) else [], number)


def _reapply(world: World, _number: int) -> None:
    if there(world):
        world.users.apply(world.users.version)


# Size and pods


def _scale(world: World, number: int) -> None:
    if there(world):
        world.excuses.resize()
        world.users.scale((1, 2, 3, 4, 5, 8, 2, 1)[number])


def _scale_to_0(world: World, number: int) -> None:
    if there(world):
        world.excuses.shake_all(_LONG)
        world.users.scale(0)
        world.clock.after((100, 5000)[number % 2], _scale_back, world, number)


def _scale_back(world: World, number: int) -> None:
    world.note("scale back")
    if there(world):
        world.users.scale(1 + number % 4)
    world.excuses.calm_down()


def _kill(world: World, number: int) -> None:
    """A node dies under a pod: of the new version, or of one that others stand beside."""
    new, old = sides(world)
    if new and number % 2:
        pod = new[number % len(new)]
        world.excuses.lose(pod["metadata"]["labels"][HASH])
        world.api.end_pod(_key(pod))
    elif old:
        pod = old[number % len(old)]
        if others_serve(world, {pod["metadata"]["uid"]}):
            world.api.end_pod(_key(pod))


def _kill_new(world: World, _number: int) -> None:
    """The node dies under all new pods."""
    for pod in sides(world)[0]:
        world.excuses.lose(pod["metadata"]["labels"][HASH])
        world.api.end_pod(_key(pod))


def others_serve(world: World, gone: set[str]) -> bool:
    """Whether each Service that is asked has a ready pod beside these."""
    for proxy in world.plane.proxies:
        for target in proxy.targets:
            uids = proxy.slices.get(target.service, frozenset())
            others = [p for each in uids - gone if (p := world.api.by_uid(each))]
            if uids & gone and not any(map(is_ready, others)):
                return False
    return True


def _unready(world: World, _number: int) -> None:
    """The new version loses readiness, while the old one is still there."""
    release = running(world)
    if release is None or status_of(release).get("stage") in _STABLE_GOES:
        return
    for pod in sides(world)[0]:
        if is_ready(pod):
            world.excuses.lose(pod["metadata"]["labels"][HASH])
            world.kubelets.lose(pod)


def _quota(world: World, number: int) -> None:
    world.replicasets.quota = True
    world.clock.after((500, 20_000)[number % 2], quota_over, world)


def quota_over(world: World) -> None:
    world.replicasets.quota = False
    for rs in world.api.all(_replicasets()):
        world.replicasets.book(_key(rs))


def _replicasets() -> Kind:
    from webhook.cluster.kinds import REPLICASETS  # noqa: PLC0415 only one user of it

    return REPLICASETS


# Releases


def _change_release(world: World, spec: Object) -> None:
    release = running(world)
    if release is None:
        return
    try:
        world.api.patch(RELEASES, _key(release), {"spec": spec}, ALICE)
    except Refused as error:  # for example an approval of a step that there is not
        if error.code != 403:
            raise
        world.note(str(error))


def _step(world: World) -> int:
    step: int = status_of(running(world)).get("step", 0)
    return step


def _retry(world: World, _number: int) -> None:
    """An aborted version is tried again: by its Release, or by `kubectl rollout resume`."""
    ended = [r for r in world.api.all(RELEASES) if status_of(r).get("phase") == "Aborted"]
    if ended:
        world.api.patch(RELEASES, _key(ended[-1]), {"spec": {"retry": True}}, ALICE)
    else:
        world.users.resume()


def _result(world: World, number: int) -> None:
    """An analysis of the present step ends, not well."""
    phase = ("Failed", "Inconclusive", "Error", "Running")[number % 4]
    names_ = ("errors", "pre-promotion", "post-promotion")
    step = _step(world)
    results = [{"name": name, "step": step, "phase": phase} for name in names_]
    _change_release(world, {"results": results})


def _delete_release(world: World, _number: int) -> None:
    release = running(world)
    if release is not None:
        world.rules.forget()
        world.api.delete(RELEASES, _key(release))


# Services and routes


def _delete(world: World, kind: Kind, number: int, *, again: bool) -> None:
    mine = world.users.services() if kind is SERVICES else world.users.routes()
    if not mine:
        return
    where = mine[number % len(mine)]
    if kind is SERVICES:
        for name in (where[1][1], f"{where[1][1]}-canary", f"{where[1][1]}-slipway-canary"):
            world.excuses.shake(name)
    gone = world.users.delete(*where)
    if gone is not None and again:
        wait = (0, 0, 50, 3000)[number % 4]
        world.clock.after(wait, _create_again, world, where[0], gone)


def _create_again(world: World, kind: Kind, obj: Object) -> None:
    world.note(f"create {kind.kind} {obj['metadata']['name']} again")
    if kind is SERVICES:
        world.excuses.shake(obj["metadata"]["name"])
    world.users.create(kind, obj)


def _new_service(world: World, number: int) -> None:
    name = f"extra-{number}"
    if world.api.find(SERVICES, shop.NAMESPACE, name) is None:
        world.users.create(SERVICES, shop.service(name))


def _edit_route(world: World, number: int) -> None:
    for kind, key in world.users.routes():
        if kind is HTTPROUTES:
            world.users.patch(kind, key, {"spec": {"hostnames": [f"h{number}.example"]}})
        else:
            note = {"example.com/edited": str(number)}
            world.users.patch(kind, key, {"metadata": {"annotations": note}})


def _edit_service(world: World, number: int) -> None:
    for kind, key in world.users.services():
        note = {"example.com/edited": str(number)}
        world.users.patch(kind, key, {"metadata": {"annotations": note}})


# The Deployment and the policy


def _delete_deployment(world: World, _number: int) -> Object | None:
    world.excuses.shake_all(_LONG)
    world.excuses.deleted = True
    return world.users.delete(DEPLOYMENTS, WEB)


def _recreate_deployment(world: World, number: int) -> None:
    gone = _delete_deployment(world, number)
    if gone is not None:
        world.clock.after((0, 30, 400, 5000)[number % 4], _deploy_again, world, gone)


def _deploy_again(world: World, gone: Object) -> None:
    world.note("create Deployment web again")
    world.users.create(DEPLOYMENTS, gone)
    world.excuses.calm_down(60_000)


def _edit_policy(world: World, number: int) -> None:
    strategy = random_strategy(random.Random(number), everything=world.scenario.everything)  # noqa: S311
    world.users.set_policy({**world.scenario.policy, "strategy": strategy})


# Slipway's own programs


def _new_leader(world: World, _number: int) -> None:
    old = world.leader
    if old is not None:
        old.leading = False
        world.clock.after(12_000, world.retire, old)
    world.lead()


def _two_leaders(world: World, number: int) -> None:
    """The one before goes on as if it led; some of its watches hang."""
    old = world.leader
    world.rivals = True
    if old is not None:
        dice = random.Random(f"{world.scenario.seed} {number}")  # noqa: S311
        old.freeze(frozenset(kind for kind in KINDS if dice.random() < 0.4))
        world.clock.after((500, 4000)[number % 2], world.retire, old)
    world.lead()


def _cut(world: World, number: int) -> None:
    if world.leader is not None:
        world.leader.cut(None, (5, 300, 5000)[number % 3])


# Looking


def there(world: World) -> bool:
    return world.users.deployment is not None and (DEPLOYMENTS, WEB) in world.users.wanted


def running(world: World) -> Object | None:
    found = world.users.deployment
    return running_release(world.api, found) if found else None


def sides(world: World) -> tuple[list[Object], list[Object]]:
    """Pods of new versions, and of the one that serves."""
    release = running(world)
    pods = [p for p in world.api.all(PODS) if HASH in p["metadata"]["labels"]]
    pods = [p for p in pods if p["metadata"]["labels"]["app"] == "web"]
    live = [p for p in pods if "deletionTimestamp" not in p["metadata"]]
    if release is None:
        return [], live
    stable = release["spec"]["stable"]["hash"]
    new = [p for p in live if p["metadata"]["labels"][HASH] != stable]
    return new, [p for p in live if p["metadata"]["labels"][HASH] == stable]


def _key(obj: Object) -> Key:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


DOINGS: Mapping[str, Callable[[World, int], object]] = {
    "apply": _apply,
    "back": _back,
    "reapply": _reapply,
    "replace": _replace,
    "replace with": _replace_with,
    "apply and scale": _apply_and_scale,
    "scale": _scale,
    "scale to 0": _scale_to_0,
    "kill": _kill,
    "kill new": _kill_new,
    "unready": _unready,
    "quota": _quota,
    "abort": lambda w, _: _change_release(w, {"abort": True}),
    "pause release": lambda w, _: _change_release(w, {"paused": True}),
    "unpause release": lambda w, _: _change_release(w, {"paused": False}),
    "approve": lambda w, _: _change_release(w, {"approve": _step(w) + 1}),
    "skip": lambda w, _: _change_release(w, {"skip": _step(w) + 1}),
    "promote": lambda w, _: _change_release(w, {"promote": True}),
    "retry": _retry,
    "result": _result,
    "delete release": _delete_release,
    "delete service": lambda w, n: _delete(w, SERVICES, n, again=False),
    "recreate service": lambda w, n: _delete(w, SERVICES, n, again=True),
    "delete route": lambda w, n: _delete(w, HTTPROUTES, n, again=False),
    "recreate route": lambda w, n: _delete(w, HTTPROUTES, n, again=True),
    "put route": lambda w, n: [w.users.put(*each) for each in w.users.routes()],
    "put service": lambda w, n: [w.users.put(*each) for each in w.users.services()],
    "new service": _new_service,
    "edit route": _edit_route,
    "edit service": _edit_service,
    "delete deployment": _delete_deployment,
    "recreate deployment": _recreate_deployment,
    "edit policy": _edit_policy,
    "delete policy": lambda w, _: w.users.delete_policy(),
    "make policy": lambda w, _: w.users.set_policy(w.scenario.policy),
    "rollout pause": lambda w, _: w.users.pause(),
    "rollout resume": lambda w, _: w.users.resume(),
    "undo": lambda w, _: w.users.undo(),
    "restart": lambda w, n: w.users.restart(f"at {w.clock.now} {n}"),
    "new leader": _new_leader,
    "two leaders": _two_leaders,
    "cut": _cut,
    "webhook cut": lambda w, n: w.webhook.cut((100, 4000)[n % 2]),
}
