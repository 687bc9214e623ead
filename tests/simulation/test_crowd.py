"""Many releases at once: what each costs does not depend on the others."""

from collections import Counter

from tests.simulation import quiet
from tests.simulation.crowd import Crowd


def test_a_release_among_fifty_in_a_namespace_costs_as_much_as_one_alone() -> None:
    """At the same time in one process: as many decisions, and as many writes, for each.

    They begin some milliseconds apart, so that what changes around one is never what changes
    around another at that moment.
    """
    quiet.hush()
    alone, crowd = _released(1), _released(50)
    assert crowd.phases == Counter({"Succeeded": 50})
    assert max(crowd.decisions.values()) <= alone.decisions["app0"] + 1
    assert crowd.writes == {kind: 50 * count for kind, count in alone.writes.items()}


def _released(apps: int) -> Crowd:
    crowd = Crowd(apps)
    crowd.release(apart=37)
    return crowd
