"""After each move the counters are asked whether it happened; what they can't tell is said."""

from collections.abc import Callable
from datetime import timedelta
from math import comb

import pytest
from cluster_model import Cluster
from release_builder import ReleaseBuilder, Story

from webhook.objects.release import Phase, Weight
from webhook.objects.steps import HeaderMatch, HeaderRoute, Step, StringMatch
from webhook.release import actions as act
from webhook.release.proofs import ALPHA, by_chance

Answers = Callable[[Cluster], dict[str, float]]


def counting(answers: Answers, builder: ReleaseBuilder | None = None) -> Story:
    """A routed Deployment whose pods tell what they answer."""
    story = (builder or ReleaseBuilder().routed().steps(25, 50)).start()
    story.cluster.answers = answers
    return story


def as_asked(rate: float) -> Answers:
    """What the proxy does is what the route says; a Service's clients follow its pin."""

    def answers(cluster: Cluster) -> dict[str, float]:
        root = cluster.services["web"].hash or "h-v1"
        canary = rate * cluster.weight_live() / 100
        return (
            {"h-v1": 0.0, "h-v2": 0.0}
            | {root: rate - canary}
            | ({"h-v2": rate} if root == "h-v2" else {"h-v2": canary})
        )

    return answers


def weights(story: Story) -> list[tuple[str, Weight]]:
    """What was recorded of the weight at the end of each stage that says something of it."""
    recorded = [record.status for record in story.did(act.Record)]
    out: list[tuple[str, Weight]] = []
    for status in recorded:
        if status.weight.proof and (not out or out[-1][1] != status.weight):
            out.append((status.stage, status.weight))
    return out


def test_a_share_that_is_as_asked_is_proved_without_a_longer_wait() -> None:
    """25.0 % of 50 requests in the second half of the settle time."""
    plain = ReleaseBuilder().routed().steps(25, 50).start().to_the_end()
    story = counting(as_asked(20)).to_the_end()
    assert [(w.asked, w.measured, w.proof) for _, w in weights(story)] == [
        (25, "25.0", "Proved"),
        (50, "50.0", "Proved"),
        (100, "100.0", "Proved"),
    ]
    took = [each.cluster.log[-1][0] - each.cluster.log[0][0] for each in (story, plain)]
    assert took[0] - took[1] <= timedelta(seconds=2)
    story.assert_only("v2")


def test_without_counters_the_settle_time_is_all_and_the_release_says_so() -> None:
    """Nothing is waited for that nobody can tell."""
    story = ReleaseBuilder().routed().steps(25).start().until_stage("shift", Phase.PROMOTING)
    assert (story.status.weight.asked, story.status.weight.proof) == (100, "")
    recorded = weights(story)
    assert [(w.asked, w.proof, w.message) for _, w in recorded] == [(25, "Unproved", "no counters")]


def test_hardly_any_requests_prove_nothing_and_hold_nothing_up() -> None:
    """A quiet night: two requests in a settle time."""
    story = counting(as_asked(0.4)).to_the_end()
    first = weights(story)[0][1]
    assert (first.proof, first.message) == ("Unproved", "1 requests are too few")
    story.assert_only("v2")


def test_a_share_that_is_not_as_asked_is_waited_for_and_then_told() -> None:
    """A proxy that never heard of the split: nothing of v2's is seen for 10 s after the settle."""
    story = counting(lambda _cluster: {"h-v1": 20.0, "h-v2": 0.0})
    story.until(lambda s: "asked" in s.plan.reason)
    assert story.plan.reason == "25 % asked, 0.0 % of 40 requests measured"
    assert story.plan.wake_at == story.cluster.now + timedelta(seconds=1)
    began = story.cluster.now
    story.until(lambda s: s.status.phase is Phase.SCALING and s.status.step == 1)
    assert timedelta(seconds=9) <= story.cluster.now - began <= timedelta(seconds=11)
    assert any("25 % is unproved: 25 % asked" in note for note in story.status.notes)


def test_a_share_that_comes_late_is_proved_when_it_comes() -> None:
    """A slow proxy costs as long as it takes, not the whole patience."""

    def late(cluster: Cluster) -> dict[str, float]:
        status = cluster.release.status if cluster.release else None
        there = status and status.stage_since and cluster.now - status.stage_since
        moved = (status and status.stage != "shift") or (there and there.total_seconds() > 7)
        return {"h-v1": 15.0, "h-v2": 5.0} if moved else {"h-v1": 20.0, "h-v2": 0.0}

    story = counting(late, ReleaseBuilder().routed().steps(25))
    story.until(lambda s: bool(s.status.weight.proof))
    assert story.status.weight.proof == "Proved"


def test_old_pods_that_still_answer_keep_the_drain_from_beginning() -> None:
    """The drain counts from the proof that traffic left, not from the write."""
    busy = True

    def answers(cluster: Cluster) -> dict[str, float]:
        pinned = cluster.services["web"].hash == "h-v2"
        return {"h-v1": 3.0 if pinned and busy else 0.0, "h-v2": 20.0}

    story = counting(answers, ReleaseBuilder().routed().steps())
    story.until(lambda s: "still answered" in s.plan.reason)
    assert story.status.stage == "repin"
    assert story.plan.reason == "v1 still answered 6 requests in 2 s"
    assert story.status.traffic_left_at != story.cluster.now
    busy = False
    story.until_stage("return")
    assert story.status.weight.proof == "Proved"


def test_an_abort_waits_for_the_new_pods_count_to_stand_still() -> None:
    """Weight 0 is written at once; only the drain waits."""

    def answers(cluster: Cluster) -> dict[str, float]:
        return as_asked(20)(cluster) if cluster.weight_live() else {"h-v1": 20.0, "h-v2": 0.0}

    story = counting(answers).until(lambda s: s.status.weight.asked == 50)
    story.cluster.change_release(abort=True)
    story.until_stage("drain", Phase.ROLLING_BACK)
    assert (story.status.weight.asked, story.status.weight.proof) == (0, "Proved")
    assert story.status.weight.measured == "0.0"


@pytest.mark.parametrize("header", ["X-Team", "X-Tester"])
def test_requests_that_a_header_brings_are_not_held_against_the_weight(header: str) -> None:
    """They come on top of the share: it can be measured, and not proved."""
    match = (HeaderMatch(header_name=header, header_value=StringMatch(exact="qa")),)
    route = Step(set_header_route=HeaderRoute(name="qa", match=match))
    builder = ReleaseBuilder().routed().steps(route, 25)
    story = counting(lambda _cluster: {"h-v1": 10.0, "h-v2": 10.0}, builder)
    story.until(lambda s: s.status.weight.asked == 25 and bool(s.status.weight.proof))
    weight = story.status.weight
    assert (weight.measured, weight.proof) == ("50.0", "Unproved")
    assert "header" in weight.message


def test_by_pod_count_the_share_is_that_of_the_pods() -> None:
    """25 % of four are one new pod beside four: a fifth."""
    builder = ReleaseBuilder().service().steps(25)
    story = counting(lambda _cluster: {"h-v1": 16.0, "h-v2": 4.0}, builder)
    story.until(lambda s: s.status.weight.asked == 25 and bool(s.status.weight.proof))
    assert (story.status.weight.measured, story.status.weight.proof) == ("20.0", "Proved")


@pytest.mark.parametrize(
    ("got", "total", "share", "inside"),
    [
        (0, 40, 0.25, False),
        (10, 40, 0.25, True),
        (19, 40, 0.25, True),
        (22, 40, 0.25, False),
        (0, 100, 0.0, True),
        (1, 100, 0.0, False),
        (100, 100, 1.0, True),
        (99, 100, 1.0, False),
        (510, 1000, 0.5, True),
        (570, 1000, 0.5, False),
    ],
)
def test_a_share_is_as_asked_as_far_as_chance_allows(
    got: int, total: int, share: float, *, inside: bool
) -> None:
    """Few requests allow much, many allow little; of nothing there is nothing."""
    assert by_chance(got, total, share) is inside


def test_at_most_one_good_share_of_a_thousand_is_held_up() -> None:
    """The bound holds for every weight and number: summed over the whole binomial distribution."""
    for total in (20, 57, 300):
        for percent in (1, 5, 10, 25, 50, 75, 99):
            p = percent / 100
            chances = [comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(total + 1)]
            outside = sum(c for k, c in enumerate(chances) if not by_chance(k, total, p))
            assert outside <= ALPHA
