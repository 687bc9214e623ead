"""A real cluster with Slipway on it, one for each worker; each test has its own namespace."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import requirements, slipway, traefik
from lab.cluster import Lab
from lab.slipway import Slipway
from tests.e2e.app import App
from tests.e2e.scene import Scene

PROGRAM = str(Path(sys.executable).with_name("slipway"))
STEPS = [
    {"setWeight": 25},
    {"pause": {"duration": "1500ms"}},
    {"setWeight": 50},
    {"pause": {"duration": "1500ms"}},
]
POLICY = {
    "strategy": {"canary": {"steps": STEPS}},
    # Settle is well over the 100 ms for which the lab's Traefik gathers changes.
    "traffic": {"settle": "1s", "drain": "1s"},
}


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    requirements.require(requirements.missing())
    with Lab.start() as running:
        yield running


@pytest.fixture(scope="session")
def guard(lab: Lab) -> Slipway:
    """Slipway, installed by Helm and running under its own ServiceAccount."""
    values = {"defaultPolicy": {"spec": POLICY}, "configGuard": {"enabled": True}}
    return slipway.install(lab, values)


@pytest.fixture
def guarded(guard: Slipway) -> Iterator[Slipway]:
    """Both programs run, whatever the test before did to them; none of them may crash."""
    for process in guard.processes:
        process.start()
        process.wait_ready()
    yield guard
    for process in guard.processes:
        assert "Traceback" not in process.log, process.log[-4000:]


@pytest.fixture
def scene(lab: Lab, guarded: Slipway) -> Iterator[Callable[..., Scene]]:
    """Opens an application at v1 under load; ``scene("httproute", replicas=4)``."""
    opened: list[Scene] = []

    def make(kind: str = "httproute", rate: float = 150, **options: Any) -> Scene:
        made = open_scene(lab, App(lab.namespace("e2e"), **options), kind, rate)
        opened.append(made)
        return made

    yield make
    for made in opened:
        made.probe.stop()
        lab.kubectl("delete", "namespace", made.namespace, "--wait=false")


def open_scene(lab: Lab, app: App, kind: str, rate: float) -> Scene:
    """Apply v1 with a route of a kind, wait until it answers, and put it under load."""
    routes = {"httproute": app.httproute, "ingress": app.ingress, "none": app.plain_ingress}
    route = routes[kind]()
    lab.apply([app.deployment("v1"), app.service(), route])
    lab.kubectl(f"--namespace={app.namespace}", "rollout", "status", f"deployment/{app.name}")
    lab.wait(lambda: answers(lab, app.host), 30, f"{app.host} to answer")
    made = Scene(lab, app, route, lab.probe(app.host, rate=rate))
    lab.wait(lambda: made.probe.report().total > 20, 20, "the load to begin")
    return made


def answers(lab: Lab, host: str) -> bool:
    """Whether Traefik leads a host to a pod."""
    try:
        return bool(lab.fetch("GET", "127.0.0.1", traefik.WEB_PORT, "/", {"Host": host}).ok)
    except OSError:
        return False
