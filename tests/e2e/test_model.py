"""The same releases on the real cluster and on the simulation's model: what is seen is the same.

The simulation proves something only as far as its model does what the real thing does.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import pytest

from lab.cluster import Lab
from tests.e2e.scene import Scene
from tests.e2e.test_strategies import patch, policy
from tests.simulation.observable import Observable
from tests.simulation.run import Run
from tests.simulation.scenario import Action, Scenario
from webhook.cluster import kinds
from webhook.cluster.client import Client

pytestmark = pytest.mark.e2e

WATCHED = (kinds.RELEASES, kinds.REPLICASETS, kinds.HTTPROUTES)


def canary(pause: str) -> dict[str, Any]:
    """Two weights with a pause between; what is to happen in it has to be done before its end."""
    steps = [{"setWeight": 25}, {"pause": {"duration": pause}}, {"setWeight": 50}]
    return {"canary": {"steps": steps}}


SCRIPTS: dict[str, tuple[dict[str, Any], tuple[Action, ...]]] = {
    "canary": (canary("1s"), ()),
    "aborted at its pause": (canary("10s"), (Action("abort", stage="Waiting/pause"),)),
    "returned at its pause": (canary("10s"), (Action("back", stage="Waiting/pause"),)),
    "replaced by v3 at its pause": (
        canary("10s"),
        (Action("apply", stage="Waiting/pause"),),
    ),
    "blue-green": ({"blueGreen": {"scaleDownDelaySeconds": 1}}, ()),
    "within a budget": (
        {"canary": {"steps": [{"setWeight": 50}], "maxExtraPods": 1}},
        (),
    ),
    "a scale of its own": (
        {"canary": {"steps": [{"setCanaryScale": {"replicas": 3}}, {"setWeight": 10}]}},
        (),
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_model_shows_what_the_real_cluster_shows(
    scene: Callable[..., Scene], script: str
) -> None:
    """Phases with their weights, sizes of the ReplicaSets, weights on the route: all in order."""
    strategy, actions = SCRIPTS[script]
    real = on_the_lab(scene("httproute"), strategy, actions)
    assert real == on_the_model(strategy, actions)


def on_the_model(strategy: dict[str, Any], actions: tuple[Action, ...]) -> Observable:
    """Play it in virtual time, with no fault."""
    spec = {"strategy": strategy, "traffic": {"settle": "1s", "drain": "1s"}}
    scenario = Scenario(
        seed=1, replicas=4, policy=spec, settle=1000, actions=(Action("apply"), *actions)
    )
    run, seen = Run(scenario), Observable()
    run.world.api.subscribe(lambda kind, _type, obj, _old: seen.take(kind.kind, obj))
    assert run.result().broken == ""
    return without_the_start(seen, budget="maxExtraPods" in str(strategy))


def on_the_lab(shop: Scene, strategy: dict[str, Any], actions: tuple[Action, ...]) -> Observable:
    """Play it for real, under load, and watch."""
    policy(shop, strategy=strategy)
    seen = Observable()
    with watching(shop.lab, shop.namespace, seen):
        shop.apply("v2")
        for action in actions:
            shop.wait_for("v2", action.stage.partition("/")[0])
            do(shop, action)
        last = "v3" if any(action.what == "apply" for action in actions) else "v2"
        phase = shop.wait_for(last, "Succeeded", "Aborted", "RolledBack").phase
        shop.lab.wait(lambda: seen.steps[last][-1][0] == phase, 10, "the watch to show it")
    shop.end()
    return without_the_start(seen, budget="maxExtraPods" in str(strategy))


def do(shop: Scene, action: Action) -> None:
    """What the simulation's users do, in the words of kubectl."""
    match action.what:
        case "abort":
            patch(shop, abort=True)
        case "back":
            shop.apply("v1")
        case "apply":
            shop.apply("v3")


def without_the_start(seen: Observable, *, budget: bool) -> Observable:
    """What was there before is not the release's, and Pending may be over before it is recorded."""
    sizes = seen.sizes.pop("v1", [])
    sizes = sizes[sizes.index(4) + 1 :] if 4 in sizes else sizes
    # Once the hold is lifted, kube's controller takes the pods away in one pass or in two.
    seen.sizes["v1"] = sizes if budget else sizes[-1:]
    for version, steps in seen.steps.items():
        seen.steps[version] = [step for step in steps if step[0] != "Pending"]
    if seen.weights[:1] == [None]:
        del seen.weights[0]
    return seen


@contextmanager
def watching(lab: Lab, namespace: str, seen: Observable) -> Iterator[None]:
    """Note every state of the watched kinds from now on."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    work: list[asyncio.Task[None]] = []

    async def follow(client: Client, kind: kinds.Kind) -> None:
        page = await client.list(kind, namespace)
        for obj in page.items:
            seen.take(kind.kind, obj)
        events = client.watch(kind, namespace, resource_version=page.resource_version, timeout=300)
        async with aclosing(events):
            async for event in events:
                if event.type in ("ADDED", "MODIFIED"):
                    seen.take(kind.kind, event.object)

    async def run() -> None:
        async with await Client.connect(lab.outside_kubeconfig) as client:
            work.extend(asyncio.create_task(follow(client, kind)) for kind in WATCHED)
            ready.set()
            await asyncio.gather(*work, return_exceptions=True)
        await asyncio.sleep(0.25)  # TLS connections close a moment later

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    ready.wait(10)
    try:
        yield
    finally:
        for task in work:
            loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
        loop.close()
