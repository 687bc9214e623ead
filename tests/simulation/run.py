"""Runs one scenario to its end, and says which rule broke, if one did."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.actions import do
from tests.simulation.ends import leftovers
from tests.simulation.finish import finish_something
from tests.simulation.scenario import Action, Scenario
from tests.simulation.world import World

MOST_EVENTS = 12_000
MOST_TIME = 8 * 3600 * 1000
_TIDIED = 30 * 60 * 1000
"""Milliseconds after which no snapshot is left that nobody needs, by far."""
_PATIENCE = 150_000
"""Milliseconds to wait for a stage that may never come."""


@dataclass
class Result:
    """What became of a scenario."""

    broken: str = ""
    """The first rule that broke, or nothing."""
    releases: int = 0
    events: int = 0
    writes: int = 0
    crashes: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    """Interruptions that took place, by name."""
    trace: list[str] = field(default_factory=list)


class Run:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, *, tracing: bool = False) -> None:
        self.world = World(scenario, tracing=tracing)
        self._actions = list(scenario.actions)
        self._waited = 0

    def result(self) -> Result:
        world = self.world
        try:
            broken = self._broken()
        except Exception as error:  # a crash of the engine or of the model is a finding as well
            broken = f"exception: {type(error).__name__}: {error}"
            world.note(traceback.format_exc())
        for process in list(world.processes):
            world.retire(process)
        return Result(
            broken=broken,
            releases=world.rules.counted,
            events=world.clock.passed,
            writes=world.writes,
            crashes=world.crashes,
            happened=world.happened,
            trace=world.trace,
        )

    def _broken(self) -> str:
        world = self.world
        world.lead_if_nobody()
        world.await_stage(self._entered)
        self._await_next()
        broken = self._until_quiet()
        while not broken and finish_something(world):
            broken = self._until_quiet()
        if not broken and world.contents:
            broken = self._until_tidied()
        if not broken and world.rivals and world.installed:
            self._begin_term()  # what an older leader wrote late, the next term mends
            broken = self._until_quiet()
        return broken or leftovers(world) or self._moves_at_rest()

    def _begin_term(self) -> None:
        for process in list(self.world.processes):
            self.world.retire(process)
        self.world.lead()

    def _until_quiet(self) -> str:
        """Let everything happen that is to happen."""
        clock, broken = self.world.clock, self.world.rules.broken
        while clock.step():
            if broken:
                return broken[0]
            if clock.passed > MOST_EVENTS or clock.now > MOST_TIME:
                return f"no end: {clock.passed} events in {clock.now / 1000:.0f} s"
        return broken[0] if broken else ""

    def _until_tidied(self) -> str:
        """Let time pass in which nothing happens but what comes now and then for ever."""
        self.world.clock.after(_TIDIED, lambda: None)
        return self._until_quiet()

    def _moves_at_rest(self) -> str:
        """Rule 5: at the fixed point a new process finds nothing to write."""
        world = self.world
        before, writes = world.api.version, world.writes
        world.note("-- a new process at rest --")
        self._begin_term()
        broken = self._until_tidied() if world.contents else self._until_quiet()
        if broken:
            return broken
        if world.api.version != before or world.writes != writes:
            return "rule 5: there were writes at rest"
        return ""

    # Actions, one after the other

    def _await_next(self) -> None:
        if not self._actions:
            return
        self._waited += 1
        action = self._actions[0]
        if action.stage:
            self.world.clock.after(_PATIENCE, self._act, self._waited)
        else:
            self.world.clock.after(action.wait, self._act, self._waited)

    def _entered(self, stage: str) -> None:
        if self._actions and self._actions[0].stage == stage:
            self._waited += 1
            self.world.clock.after(self._actions[0].wait, self._act, self._waited)

    def _act(self, waited: int) -> None:
        if waited != self._waited:
            return
        action: Action = self._actions.pop(0)
        do(self.world, action.what, action.number)
        self._await_next()


def run(scenario: Scenario, *, tracing: bool = False) -> Result:
    """Run a scenario; the same one gives the same result."""
    return Run(scenario, tracing=tracing).result()
