"""What the engine itself adds to a release: five steps, apart from the waits of the policy.

From the apply to the end of the Release, less the settle times that the policy asks for. What is
left is the engine with everything it has to see: pods that start, EndpointSlices, routes. The
same application is also rolled out unguarded in the same run. The writes are counted in the
reconciler's log, which has one line for each.
"""

import json
from collections import Counter
from time import perf_counter
from typing import Any, Final

from bench.apply_to_pod import GUARDED, PLAIN
from bench.measure import median
from bench.results import Row, at_most
from lab import shop, slipway
from lab.cluster import Lab

_STEPS: Final = (10, 25, 50, 75, 90)
_SETTLE: Final = 0.5
_SETTLES: Final = len(_STEPS) + 5
"""Each weight settles; beside them the naming of the canary Service and, in the promotion, the
last weight, the move of the Service, the return of the route and the end of its naming."""
_HOLDS: Final = frozenset({"SetHold", "LiftHold"})
_OF_USERS: Final = _HOLDS | {"SetPin", "SetSplit"}


def measure(rounds: int) -> list[Row]:
    """Start a lab with Slipway on it and measure; takes about a minute."""
    spec = {
        "match": {"namespaceSelector": {"matchLabels": GUARDED}},
        "strategy": {"canary": {"steps": [{"setWeight": weight} for weight in _STEPS]}},
        "traffic": {"settle": f"{_SETTLE:g}s", "drain": f"{_SETTLE:g}s"},
    }
    with Lab.start() as lab:
        guard = slipway.install(lab, {"defaultPolicy": {"spec": spec}})
        plain = [_released(lab, PLAIN, guarded=False) for _ in range(rounds)]
        guarded = [_released(lab, GUARDED, guarded=True) for _ in range(rounds)]
        log = next(p.log for p in guard.processes if "reconciler" in p.name)
    waits = _SETTLES * _SETTLE
    in_steps, in_promotion = _writes(log)
    added = median(guarded) - waits
    return [
        Row("release_5_steps.total", median(guarded), "s"),
        Row("release_5_steps.policy_waits", waits, "s"),
        Row("release_5_steps.added", added, "s"),
        Row("release_5_steps.added_per_step", added / (len(_STEPS) + 1) * 1000, "ms"),
        Row("rollout.unguarded", median(plain), "s", "kube alone"),
        at_most("writes_per_object_and_step", in_steps, "writes", 2),
        Row("writes_per_object_in_promotion", in_promotion, "writes"),
    ]


def _released(lab: Lab, labels: dict[str, str], *, guarded: bool) -> float:
    """Seconds from the apply of v2 until it has everything."""
    namespace = lab.namespace("bench", labels)
    app = shop.Shop.open(lab, namespace, replicas=4)
    app.wait_rolled_out()
    began = perf_counter()
    lab.apply([shop.deployment(image="shop:v2", replicas=4)], namespace=namespace)
    if guarded:
        lab.wait(lambda: succeeded(lab, namespace), 60, "v2 to be released")
    else:
        app.wait_rolled_out()
    return perf_counter() - began


def succeeded(lab: Lab, namespace: str) -> bool:
    """Whether a release in a namespace has ended well."""
    found = lab.list("releases.slipway.dev", namespace)
    return any((obj.get("status") or {}).get("phase") == "Succeeded" for obj in found)


def _writes(log: str) -> tuple[int, int]:
    """Most writes of one of the user's objects: within one step, and in the promotion."""
    counts: Counter[tuple[str, str, str, int]] = Counter()
    for line in log.splitlines():
        event: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "action" and event.get("action") in _OF_USERS:
            step = event.get("step")
            kind = "SetHold" if event["action"] in _HOLDS else event["action"]
            counts[event["namespace"], kind, event["on"], step or 0] += 1
    last = len(_STEPS)
    steps = [count for (*_, step), count in counts.items() if step < last]
    promotion = [count for (*_, step), count in counts.items() if step >= last]
    return max(steps, default=0), max(promotion, default=0)
