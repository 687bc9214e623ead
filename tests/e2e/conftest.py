"""A real cluster with Slipway on it, one for each worker; each test has its own namespace."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab import requirements, slipway
from lab.api import Object
from lab.cluster import Lab
from lab.slipway import Slipway
from tests.e2e.app import App
from tests.e2e.pace import PATIENCE, THROTTLE, TRAFFIC
from tests.e2e.scene import Scene, answers

PROGRAM = str(Path(sys.executable).with_name("slipway"))
STEPS: list[dict[str, Any]] = [
    {"setWeight": 25},
    {"pause": {"duration": "1500ms"}},
    {"setWeight": 50},
    {"pause": {"duration": "1500ms"}},
]
HALF: tuple[dict[str, Any], ...] = ({"setWeight": 50}, {"pause": {}})
"""Half of the traffic, then a person decides: all the time that a test needs in between."""
POLICY = {
    "strategy": {"canary": {"steps": STEPS}},
    "traffic": TRAFFIC,
}


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    requirements.require(requirements.missing())
    with Lab.start(throttle=THROTTLE) as running:
        running.patience = PATIENCE
        yield running


@pytest.fixture(scope="session")
def guard(lab: Lab) -> Slipway:
    """Slipway, installed by Helm and running under its own ServiceAccount."""
    values = {"defaultPolicy": {"spec": POLICY}, "configGuard": {"enabled": True}}
    return slipway.install(lab, values)


@pytest.fixture
def guarded(guard: Slipway) -> Iterator[Slipway]:
    """Both programs run, whatever the test before did to them; none of them may crash."""
    guard.start()
    yield guard
    for process in guard.processes:
        assert "Traceback" not in process.log, process.log[-4000:]


@pytest.fixture
def scene(lab: Lab, guarded: Slipway) -> Iterator[Callable[..., Scene]]:
    """Opens an application at v1 under load; ``scene("httproute", replicas=4)``.

    With ``steps`` or ``guardrails`` its namespace has a ReleasePolicy of its own.
    """
    opened: list[Scene] = []

    def make(
        kind: str = "httproute",
        rate: float = 150,
        steps: Sequence[Mapping[str, Any]] | None = None,
        guardrails: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Scene:
        namespace = lab.namespace("e2e")
        if steps is not None or guardrails:
            lab.create(policy(namespace, STEPS if steps is None else steps, guardrails))
        made = open_scene(lab, App(namespace, **options), kind, rate)
        opened.append(made)
        return made

    yield make
    for made in opened:
        made.probe.stop()
        made.releases.close()
        lab.delete("namespaces", made.namespace)


def policy(
    namespace: str,
    steps: Sequence[Mapping[str, Any]],
    guardrails: Mapping[str, Any] | None = None,
) -> Object:
    """A ReleasePolicy named ``quick``."""
    spec = {**POLICY, "strategy": {"canary": {"steps": list(steps)}}}
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": "quick", "namespace": namespace},
        "spec": {**spec, **({"guardrails": dict(guardrails)} if guardrails else {})},
    }


def open_scene(lab: Lab, app: App, kind: str, rate: float) -> Scene:
    """Apply v1 with a route of a kind, wait until it answers, and put it under load."""
    routes = {
        "httproute": app.httproute,
        "grpcroute": app.grpcroute,
        "ingress": app.ingress,
        "ingressroute": app.ingressroute,
        "traefikservice": app.traefikservice,
        "none": app.plain_ingress,
    }
    route = routes[kind]()
    before = [app.ingressroute("TraefikService")] if kind == "traefikservice" else []
    lab.apply([app.deployment("v1"), app.service(), route, *before])
    lab.kubectl(f"--namespace={app.namespace}", "rollout", "status", f"deployment/{app.name}")
    lab.wait(lambda: answers(lab, app.host, calls=app.called), 30, f"{app.host} to answer")
    made = Scene(lab, app, route, lab.probe(app.host, rate=rate, calls=app.called))
    lab.wait(lambda: made.probe.report().total > 20, 20, "the load to begin")
    return made
