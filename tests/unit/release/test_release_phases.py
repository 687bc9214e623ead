"""The one table of phases, and the arithmetic of pods and names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.objects.release import Phase
from webhook.release.grants import canary_name
from webhook.release.phases import TABLE, IllegalTurn, Turn, after
from webhook.release.program import pods_for
from webhook.release.stages import STAGES

P, T = Phase, Turn
FORWARD = {T.MOVE: P.SCALING, T.WAIT: P.WAITING, T.PROMOTE: P.PROMOTING}
BACK = dict.fromkeys((T.ABORT, T.SUPERSEDE, T.RETURN), P.ROLLING_BACK)
LEGAL = {
    P.PENDING: {**FORWARD, **BACK},
    P.SCALING: {**FORWARD, T.SCALED: P.SHIFTING, **BACK},
    P.SHIFTING: {**FORWARD, **BACK, T.MORE: P.SCALING, T.LOST: P.SCALING},
    P.WAITING: {**FORWARD, **BACK, T.LOST: P.SCALING},
    P.PROMOTING: {T.PROMOTED: P.CLEANING, **BACK},
    P.CLEANING: {T.CLEANED: P.SUCCEEDED},
    P.ROLLING_BACK: {
        T.ABORTED: P.ABORTED, T.SUPERSEDED: P.SUPERSEDED, T.RETURNED: P.ROLLED_BACK,
    },
}  # fmt: skip
CELLS = [(phase, turn) for phase in Phase for turn in Turn]


@pytest.mark.parametrize(("phase", "turn"), CELLS, ids=[f"{p}-{t}" for p, t in CELLS])
def test_a_turn_leads_where_the_table_says_or_raises(phase: Phase, turn: Turn) -> None:
    """Every cell, the missing ones included."""
    wanted = LEGAL.get(phase, {}).get(turn)
    if wanted is not None:
        assert after(phase, turn) is wanted
        return
    with pytest.raises(IllegalTurn, match=f"phase {phase} can't take the turn {turn}"):
        after(phase, turn)


def test_every_phase_has_a_row_and_every_unfinished_one_has_stages() -> None:
    """Nothing is forgotten where a phase is added."""
    assert set(TABLE) == set(Phase)
    assert set(STAGES) == {phase for phase in Phase if not phase.finished}
    for stages in STAGES.values():
        assert len({stage.name for stage in stages}) == len(stages)


PODS = {
    "a share of the replicas": (10, 25, True, 3),
    "at least one": (10, 0, True, 1),
    "never too few": (3, 34, True, 2),
    "all": (10, 100, True, 10),
    "by count, a tenth": (9, 10, False, 1),
    "by count, a quarter": (9, 25, False, 3),
    "by count, half": (9, 50, False, 9),
    "by count, no more than half": (9, 90, False, 9),
    "by count, at least one": (2, 1, False, 1),
}


@pytest.mark.parametrize(("replicas", "weight", "routed", "pods"), PODS.values(), ids=PODS.keys())
def test_how_many_new_pods_a_weight_needs(
    replicas: int, weight: int, routed: bool, pods: int
) -> None:
    """Row by row."""
    assert pods_for(weight, replicas, routed=routed) == pods


@given(st.integers(0, 100), st.integers(1, 1000), st.booleans())
def test_there_is_always_one_new_pod_and_never_more_than_replicas(
    weight: int, replicas: int, routed: bool
) -> None:
    """A surge of 0 would hold nothing, one above the replicas would promise too much."""
    assert 1 <= pods_for(weight, replicas, routed=routed) <= replicas


@given(st.text("ab-", min_size=1, max_size=63).filter(lambda s: s[0] == "a" and s[-1] != "-"))
def test_a_canary_services_name_is_free_and_short_enough(root: str) -> None:
    """At most 63 characters, and never that of a Service of the user's."""
    plain = canary_name(root, frozenset())
    other = canary_name(root, frozenset({plain}))
    assert plain != other
    assert len(plain) <= 63
    assert len(other) <= 63
