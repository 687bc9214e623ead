"""The simulation itself is tested: a wrong engine must break a rule."""

from dataclasses import replace

import pytest

from tests.simulation import quiet
from tests.simulation.defects import DEFECTS
from tests.simulation.run import run
from tests.simulation.scenario import Action, Scenario, scenario

SEEDS = 300
"""The first that finds a defect ends its search; an older leader is found by three in a hundred."""

_CHANGE = Action("change config", wait=30_000, number=1)

_ENDINGS = {
    "an older leader is not fenced off": (
        Action("two leaders", wait=20, stage="Waiting/pause"),
        Action("abort"),
    ),
    "weight grows again after an abort": (Action("abort", wait=20, stage="Shifting/shift"),),
    "a canary Service is deleted while routes name it": (
        Action("abort", wait=20, stage="Shifting/shift"),
    ),
    "pods are withdrawn before traffic": (Action("abort", wait=20, stage="Shifting/shift"),),
    "what the user wanted is lost on a replace": (
        Action("replace", wait=20, stage="Scaling/name"),
    ),
    "intent is lost on a replace": (Action("replace", wait=20, stage="Scaling/name"),),
    "a snapshot goes while pods of its version live": (_CHANGE,),
    "other contents are not held": (_CHANGE,),
    "pods read contents that are not their version's": (_CHANGE,),
}
"""What has to happen for a defect to matter; with chance alone it takes many more seeds."""


@pytest.mark.parametrize("name", DEFECTS)
def test_a_wrong_engine_breaks_a_rule(name: str) -> None:
    """Each defect is found by at least one of a few seeds."""
    with quiet.undisturbed(), DEFECTS[name]():
        assert any(run(_story(seed, name)).broken for seed in range(SEEDS)), name


def test_the_right_engine_breaks_no_rule_in_the_same_stories() -> None:
    """What is done to bring a defect to light is no defect by itself."""
    quiet.hush()
    broken = [run(_story(seed, name)).broken for name in _ENDINGS for seed in range(12)]
    assert not any(broken), broken


_OF_CONFIG = {name for name, ending in _ENDINGS.items() if _CHANGE in ending}


def _story(seed: int, name: str) -> Scenario:
    story = scenario(seed, config=name in _OF_CONFIG)
    ending = _ENDINGS.get(name)
    return replace(story, actions=(Action("apply"), *ending)) if ending else story
