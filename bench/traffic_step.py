"""What a traffic step costs at each kind of router, apart from the settle time of the policy.

From the write of a weight until the engine goes on to the next thing: the route reported as
programmed where its controller does, the settle time, and the decision after it. Read off the
reconciler's log, which has one line for each write. The number of pods stays the same, so that
nothing but traffic moves.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from bench.measure import BenchError, median
from bench.release_time import succeeded
from bench.results import Row, below
from lab import slipway
from lab.cluster import Lab
from tests.e2e.app import App

_KINDS: Final = ("httproute", "ingress", "ingressroute", "traefikservice")
_WEIGHTS: Final = (10, 20, 30, 40, 50)
_SETTLE: Final = 0.5
_MOVES: Final = frozenset({"SetSplit"})


def measure(rounds: int) -> list[Row]:
    """Start a lab with Slipway on it and measure; takes about half a minute a round."""
    steps: list[dict[str, Any]] = [{"setCanaryScale": {"replicas": 2}}]
    steps += [{"setWeight": weight} for weight in _WEIGHTS]
    spec = {
        "strategy": {"canary": {"steps": steps}},
        "traffic": {"settle": f"{_SETTLE:g}s", "drain": f"{_SETTLE:g}s"},
    }
    rows: list[Row] = []
    with Lab.start() as lab:
        guard = slipway.install(lab, {"defaultPolicy": {"spec": spec}})
        spaces = {kind: [_released(lab, kind) for _ in range(rounds)] for kind in _KINDS}
        events = _events(guard.reconciler.log)
    for kind, namespaces in spaces.items():
        took = [each for namespace in namespaces for each in _steps(events[namespace])]
        if not took:
            raise BenchError(f"no step of {kind} was seen in the log")
        added = median([whole for whole, _ in took]) - _SETTLE
        live = median([programmed for _, programmed in took])
        rows.append(Row(f"traffic_step.{kind}.to_programmed", live * 1000, "ms"))
        rows.append(below(f"traffic_step.{kind}.added", added * 1000, "ms", 100))
    return rows


def _released(lab: Lab, kind: str) -> str:
    """Release v2 behind one kind of route; returns the namespace."""
    app = App(lab.namespace("bench"), replicas=2)
    routes = {
        "httproute": [app.httproute()],
        "ingress": [app.ingress()],
        "ingressroute": [app.ingressroute()],
        "traefikservice": [app.ingressroute("TraefikService"), app.traefikservice()],
    }
    lab.apply([app.deployment("v1"), app.service(), *routes[kind]])
    lab.kubectl(f"--namespace={app.namespace}", "rollout", "status", "deployment/web")
    lab.apply([app.deployment("v2")])
    lab.wait(lambda: succeeded(lab, app.namespace), 60, f"v2 behind {kind} to be released")
    return app.namespace


def _events(log: str) -> dict[str, list[dict[str, Any]]]:
    """The writes by namespace, in order."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in log.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "action":
            found[event["namespace"]].append(event)
    return found


def _steps(events: list[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """(until the next step, until it was programmed) of each weight, in seconds."""
    for i, event in enumerate(events):
        step = event.get("step") or 0
        if event["action"] not in _MOVES or not 1 <= step <= len(_WEIGHTS):
            continue
        later = events[i + 1 :]
        after = next((each for each in later if (each.get("step") or 0) > step), None)
        known = next((each for each in later if "until" in each.get("why", "")), None)
        if after and known:
            yield _apart(event, after), _apart(event, known)


def _apart(first: dict[str, Any], second: dict[str, Any]) -> float:
    at = [datetime.fromisoformat(each["timestamp"]) for each in (first, second)]
    return (at[1] - at[0]).total_seconds()
