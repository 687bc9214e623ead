"""Nodes that are drained or lost, and the eviction API with a PodDisruptionBudget in its way."""

from __future__ import annotations

from math import ceil

from tests.simulation.api_server import Key
from tests.simulation.deployments import HASH, is_ready
from tests.simulation.doings import others_serve
from tests.simulation.patches import Object
from tests.simulation.world import World
from webhook.cluster.kinds import DEPLOYMENTS, PODS

_NODES = 3
_AGAIN = 5000
"""Milliseconds between two tries of ``kubectl drain`` to evict a pod."""


def node_of(pod: Object) -> int:
    """Pods are spread over the nodes in the order in which they were made."""
    return int(pod["metadata"]["uid"].rpartition("-")[2]) % _NODES


def _mine(world: World) -> list[Object]:
    pods = [pod for pod in world.api.all(PODS) if HASH in pod["metadata"]["labels"]]
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def _key(pod: Object) -> Key:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


# Evictions


def _budget_allows(world: World, pod: Object) -> bool:
    """As the disruption controller counts: all pods that the budget selects, whatever version."""
    least = world.scenario.budget
    if least is None:
        return True
    pods = [p for p in _mine(world) if _app(p) == _app(pod)]
    healthy = sum(map(is_ready, pods))
    if isinstance(least, str):
        found = world.api.find(DEPLOYMENTS, pod["metadata"]["namespace"], _app(pod))
        least = ceil(int(least[:-1]) * (found["spec"]["replicas"] if found else 0) / 100)
    return healthy - is_ready(pod) >= least


def _app(pod: Object) -> str:
    name: str = pod["metadata"]["labels"]["app"]
    return name


def evict(world: World, pod: Object) -> bool:
    """The eviction API: False if it answers 429."""
    if not _budget_allows(world, pod):
        world.happened["eviction refused"] += 1
        return False
    world.happened["eviction"] += 1
    excuse(world, [pod])
    world.api.end_pod(_key(pod))
    return True


def excuse(world: World, hurt: list[Object]) -> None:
    """Nobody's fault: only where a Service, or a version, has no other pod that is ready."""
    uids = {pod["metadata"]["uid"] for pod in hurt}
    for pod in hurt:
        hash_ = pod["metadata"]["labels"][HASH]
        beside = [
            p
            for p in _mine(world)
            if p["metadata"]["labels"][HASH] == hash_ and p["metadata"]["uid"] not in uids
        ]
        if not any(map(is_ready, beside)) or not others_serve(world, uids):
            world.excuses.lose(hash_)


def _evict(world: World, number: int) -> None:
    pods = _mine(world)
    if pods:
        evict(world, pods[number % len(pods)])


def _drain(world: World, number: int) -> None:
    """``kubectl drain``: every pod of a node is evicted, as far as the budget allows, in time."""
    pods = [pod for pod in _mine(world) if node_of(pod) == number % _NODES]
    if pods:
        world.happened["drain"] += 1
        _drain_some(world, {pod["metadata"]["uid"] for pod in pods}, 12)


def _drain_some(world: World, left: set[str], tries: int) -> None:
    pods = [pod for pod in _mine(world) if pod["metadata"]["uid"] in left]
    left = {pod["metadata"]["uid"] for pod in pods if not evict(world, pod)}
    if left and tries:
        world.clock.after(_AGAIN, _drain_some, world, left, tries - 1)


# A node lost


def _lose_node(world: World, number: int) -> None:
    """Its pods are not ready any more; they are evicted after a while, or the node comes back."""
    pods = [pod for pod in _mine(world) if node_of(pod) == number % _NODES]
    if not pods:
        return
    world.happened["node lost"] += 1
    excuse(world, pods)
    for pod in pods:
        world.kubelets.go(pod)
    uids = [pod["metadata"]["uid"] for pod in pods]
    if number < 6:
        wait = world.dice.choice((5000, 60_000, 300_000))
        world.clock.after(wait, _taken_off, world, uids)
    else:
        world.clock.after(world.dice.choice((2000, 40_000)), _node_back, world, uids)


def _taken_off(world: World, uids: list[str]) -> None:
    """The taint manager deletes the pods; nobody on the node ends them until it is given up."""
    for pod in filter(None, map(world.api.by_uid, uids)):
        if "deletionTimestamp" not in pod["metadata"]:
            world.api.end_pod(_key(pod), grace=world.dice.choice((1000, 120_000)))


def _node_back(world: World, uids: list[str]) -> None:
    world.happened["node back"] += 1
    for uid in uids:
        world.kubelets.come_back(uid)


DOINGS = {"evict": _evict, "drain": _drain, "lose node": _lose_node}
