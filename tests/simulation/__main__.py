"""``python -m tests.simulation --seeds 2000``: run that many scenarios; 1 if a rule broke."""

from __future__ import annotations

import argparse
import sys
import time
from pprint import pformat

from tests.simulation import coverage, quiet
from tests.simulation.run import Result, run
from tests.simulation.scenario import Scenario, scenario
from tests.simulation.shrink import shrunk


def main() -> int:
    """Run, count, and tell."""
    options = _options()
    totals, failed, began = Result(), 0, time.monotonic()
    with quiet.undisturbed(), coverage.recording() as reached:
        for seed in range(options.first, options.first + options.seeds):
            story = scenario(seed, everything=not options.plain)
            result = run(story)
            quiet.sweep(seed)
            _add(totals, result)
            if result.broken:
                failed += 1
                if options.brief:
                    print(f"seed {seed}: {result.broken}")
                else:
                    _tell(story, result, shrink=not options.no_shrink)
                if failed >= options.most_failures:
                    break
    _summary(totals, failed, time.monotonic() - began, reached)
    return 1 if failed or coverage.illegal_cells_that_pass() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many scenarios")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--most-failures", type=int, default=3, help="stop after so many")
    parser.add_argument("--no-shrink", action="store_true", help="tell failures as they are")
    parser.add_argument("--brief", action="store_true", help="tell failures in one line")
    parser.add_argument("--plain", action="store_true", help="weights and pauses only")
    return parser.parse_args()


def _add(totals: Result, result: Result) -> None:
    totals.releases += result.releases
    totals.events += result.events
    totals.writes += result.writes
    totals.crashes += result.crashes
    totals.happened.update(dict.fromkeys(result.happened, 1))


def _tell(story: Scenario, result: Result, *, shrink: bool) -> None:
    print(f"\nseed {story.seed}: {result.broken}")
    small = shrunk(story, result.broken) if shrink else story
    again = run(small, tracing=True)
    print(pformat(small, width=100))
    print("\n".join(again.trace))
    print(f"seed {story.seed}: {again.broken}")


def _summary(totals: Result, failed: int, seconds: float, reached: coverage.Cells) -> None:
    rate = 60 * totals.releases / max(seconds, 0.001)
    print(
        f"{totals.releases} releases, {totals.events} events, {totals.writes} writes, "
        f"{totals.crashes} crashes, {failed} failed, in {seconds:.1f} s "
        f"({rate:.0f} releases a minute)"
    )
    happened = ", ".join(f"{what} {n}" for what, n in sorted(totals.happened.items()))
    print(f"interruptions, in so many scenarios: {happened}")
    missing = coverage.missing(reached)
    print(f"phase table: {len(reached)} legal cells reached, missing: {missing or 'none'}")
    passing = coverage.illegal_cells_that_pass()
    print(f"phase table: illegal cells that do not raise: {passing or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
