"""Thousands of releases on the modelled cluster, with crashes, races and people in between."""

import os
from dataclasses import replace

import pytest

from tests.simulation import coverage, quiet
from tests.simulation.run import run
from tests.simulation.scenario import CONTENTS, SELDOM, Action, Scenario, scenario
from tests.simulation.shrink import shrunk

SEEDS = int(os.environ.get("SLIPWAY_SEEDS", "1600"))
"""About 2,200 releases; `make simulate`, and so CI, runs 20,000."""
CHUNK = 100
"""Seeds in one test: as many for each worker, and none that the others wait for."""

KNOWN = frozenset((7613, 13438))
"""Seeds that break a rule today, each a defect that is not mended: see docs/simulation.md."""


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_rule_breaks_in_any_release(first: int) -> None:
    """Rules 1 to 7 of the design after every event, an end to every release, silence at rest."""
    with quiet.undisturbed():
        for seed in range(first, min(first + CHUNK, SEEDS)):
            if seed in KNOWN:
                continue
            story = scenario(seed)
            broken = run(story).broken
            if broken:
                pytest.fail(_told(story, broken))
            quiet.sweep(seed)


def test_the_same_seed_gives_the_same_events() -> None:
    """A failing seed can be run again, with the same end."""
    quiet.hush()
    first, again = (run(scenario(62), tracing=True) for _ in range(2))
    assert _plain(first.trace) == _plain(again.trace)
    assert len(first.trace) > 100


def test_a_turn_that_the_table_does_not_know_raises() -> None:
    """All cells that are not in the table of phases are refused."""
    assert coverage.illegal_cells_that_pass() == []


def test_every_turn_of_the_table_is_taken() -> None:
    """Scenarios that lead to each cell; those that chance seldom finds are added by name."""
    with quiet.undisturbed(), coverage.recording() as reached:
        for seed in range(400):
            run(_led(seed))
            quiet.sweep(seed)
            if not coverage.missing(reached):
                break
    assert coverage.missing(reached) == []


def test_every_interruption_takes_place_in_ordinary_scenarios() -> None:
    """None of them is drawn and then never done."""
    quiet.hush()
    missing = set(coverage.INTERRUPTIONS)
    for seed in range(1600):
        story = scenario(seed, config=seed % 11 == 0)  # as often as chance has it
        wanted = {"uninstall"} if missing <= _LAST else _RARELY
        if missing and {action.what for action in story.actions} & wanted:
            missing -= set(run(story).happened)
    assert not missing


_RARELY = {*SELDOM, *CONTENTS}
_LAST = {"detach again", "left paused"}
"""The rarest; they come of an uninstall."""
_COMES = ("abort", "apply", "back", "kill new")
_WHERE = ("Pending/protect", "Scaling/scale", "Shifting/shift", "Waiting/pause", "Promoting/scale")


def _led(seed: int) -> Scenario:
    """Something comes in between in each phase, in turn."""
    what = _COMES[seed % len(_COMES)]
    stage = _WHERE[seed // len(_COMES) % len(_WHERE)]
    actions = (Action("apply"), Action(what, stage=stage, wait=(0, 20)[seed % 2], number=1))
    return replace(scenario(seed), actions=actions, faults=())


def _told(story: Scenario, broken: str) -> str:
    small = shrunk(story, broken)
    trace = run(small, tracing=True).trace
    lines = [f"seed {story.seed}: {broken}", "made smaller:", str(small), *trace[-80:]]
    return "\n".join(lines)


def _plain(trace: list[str]) -> list[str]:
    """Without the names of Events, which are random."""
    return [line for line in trace if " Event " not in line]
