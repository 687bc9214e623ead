"""Makes a failing scenario small: takes away what is not needed for it to fail the same way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from tests.simulation.run import run
from tests.simulation.scenario import Scenario


def rule_of(broken: str) -> str:
    """What broke, without names and numbers."""
    return broken.partition(":")[0]


def shrunk(scenario: Scenario, broken: str, most: int = 120) -> Scenario:
    """The smallest scenario that was found to break the same rule."""
    wanted, tries = rule_of(broken), 0
    better = True
    while better and tries < most:
        better = False
        for smaller in _smaller(scenario):
            tries += 1
            if rule_of(run(smaller).broken) == wanted:
                scenario, better = smaller, True
                break
            if tries >= most:
                break
    return scenario


def _smaller(scenario: Scenario) -> Iterable[Scenario]:
    for what in ("actions", "faults", "slow", "broken"):
        parts = getattr(scenario, what)
        for i in range(len(parts)):
            yield replace(scenario, **{what: parts[:i] + parts[i + 1 :]})
    if scenario.spec:
        yield replace(scenario, spec={})
    if scenario.shape not in ("route", "service"):
        yield replace(scenario, shape="route")
        yield replace(scenario, shape="service")
    if scenario.budget is not None:
        yield replace(scenario, budget=None)
    if scenario.replicas > 1:
        yield replace(scenario, replicas=scenario.replicas - 1)
    for what in filter(partial(getattr, scenario), ("admission_policy", "config")):
        yield replace(scenario, **{what: False})
    yield from _smaller_policies(scenario)
    for i, action in enumerate(scenario.actions):
        if action.wait and not action.stage:
            less = replace(action, wait=0)
            actions = (*scenario.actions[:i], less, *scenario.actions[i + 1 :])
            yield replace(scenario, actions=actions)


def _smaller_policies(scenario: Scenario) -> Iterable[Scenario]:
    policy = scenario.policy
    for key in set(policy) - {"strategy", "traffic"}:
        yield replace(scenario, policy={k: v for k, v in policy.items() if k != key})
    canary = policy["strategy"].get("canary")
    if not canary:
        return
    for key in set(canary) - {"steps"}:
        less = {k: v for k, v in canary.items() if k != key}
        yield replace(scenario, policy={**policy, "strategy": {"canary": less}})
    steps = canary["steps"]
    for i in range(len(steps)):
        less = {**canary, "steps": steps[:i] + steps[i + 1 :]}
        yield replace(scenario, policy={**policy, "strategy": {"canary": less}})
