"""What each strategy does when nothing comes in between."""

import pytest
from msgspec.structs import replace
from release_builder import UNTIL_APPROVED, ReleaseBuilder, Story

from webhook.objects.policy import RollbackWindow
from webhook.objects.release import Phase
from webhook.objects.steps import (
    AnalysisStep,
    CanaryScale,
    HeaderMatch,
    HeaderRoute,
    MirrorRoute,
    Step,
    StringMatch,
    TemplateRef,
)
from webhook.objects.strategy import Preview
from webhook.release import actions as act

TESTERS = HeaderRoute("testers", (HeaderMatch("x-tester", StringMatch(exact="yes")),))
SMOKE = AnalysisStep((TemplateRef("smoke"),))


def new_pods(story: Story) -> list[int]:
    """How many new pods each hold allowed, one after the other."""
    return [hold.surge + hold.unavailable for hold in story.did(act.SetHold) if hold.mode == "Step"]


def splits(story: Story) -> list[tuple[int, int, int]]:
    """(weight, header routes, mirror routes) of each split that named the canary Service."""
    return [
        (share.weight, len(share.headers), len(share.mirrors))
        for split in story.did(act.SetSplit)
        for share in split.shares.values()
    ]


# setCanaryScale


def test_a_scale_step_starts_pods_and_moves_no_traffic() -> None:
    """Five pods at weight 0; the weight that follows keeps them."""
    scale = Step(set_canary_scale=CanaryScale(replicas=5))
    story = ReleaseBuilder().replicas(10).routed().steps(scale, 10).start().until_stage("shift")
    assert new_pods(story) == [5]
    assert splits(story) == [(0, 0, 0), (10, 0, 0)]


@pytest.mark.parametrize(
    ("scale", "pods"),
    [
        (CanaryScale(percent=25), 3),
        (CanaryScale(weight=25), 3),
        (CanaryScale(replicas=50), 10),
    ],
)
def test_a_scale_is_a_number_or_a_percentage_and_never_more_than_the_replicas(
    scale: CanaryScale, pods: int
) -> None:
    """25 % of 10, rounded up; 50 of 10 are 10."""
    story = ReleaseBuilder().replicas(10).routed().steps(Step(set_canary_scale=scale)).start()
    story.until_stage("expose")
    assert new_pods(story) == [pods]


def test_match_traffic_weight_gives_the_number_of_pods_back_to_the_weight() -> None:
    """Two pods by hand, then what 50 % of ten need."""
    story = ReleaseBuilder().replicas(10).routed().steps(
        Step(set_canary_scale=CanaryScale(replicas=2)),
        10,
        Step(set_canary_scale=CanaryScale(match_traffic_weight=True)),
        50,
    )  # fmt: skip
    assert new_pods(story.start().to_the_end()) == [2, 5, 10]


# Routes beside the weight


def test_a_header_route_leads_testers_to_the_new_version_before_any_weight() -> None:
    """The step itself is the grant; at the end nothing of it is left."""
    story = ReleaseBuilder().routed().steps(Step(set_header_route=TESTERS), UNTIL_APPROVED, 50)
    driven = story.start().until_stage("pause")
    assert splits(driven) == [(0, 0, 0), (0, 1, 0)]
    assert driven.status.granted
    driven.to_the_end()
    assert splits(driven) == [(0, 0, 0), (0, 1, 0), (50, 1, 0), (100, 0, 0), (0, 0, 0)]
    driven.assert_only("v2")


def test_a_header_route_without_match_takes_the_route_of_that_name_away() -> None:
    """As in Argo Rollouts."""
    story = ReleaseBuilder().routed().steps(
        Step(set_header_route=TESTERS), 10, Step(set_header_route=HeaderRoute("testers")), 20
    )  # fmt: skip
    driven = story.start().to_the_end()
    assert splits(driven)[:5] == [(0, 0, 0), (0, 1, 0), (10, 1, 0), (10, 0, 0), (20, 0, 0)]


def test_a_mirror_route_needs_pods_and_ends_at_0_percent() -> None:
    """Copies go to real pods, which have no users' traffic."""
    on, off = MirrorRoute("copy", percentage=30), MirrorRoute("copy", percentage=0)
    story = ReleaseBuilder().routed().steps(Step(set_mirror_route=on), Step(set_mirror_route=off))
    driven = story.start().to_the_end()
    assert splits(driven)[:3] == [(0, 0, 0), (0, 0, 1), (0, 0, 0)]


def test_an_abort_takes_header_routes_away_with_the_weight() -> None:
    """In one write: nobody is led to pods that will go."""
    story = ReleaseBuilder().routed().steps(Step(set_header_route=TESTERS), 10, UNTIL_APPROVED)
    driven = story.start().until_stage("pause")
    driven.cluster.change_release(abort=True)
    driven.to_the_end()
    assert splits(driven)[-1] == (0, 0, 0)
    driven.assert_only("v1")


# Analysis


def test_an_analysis_step_waits_for_its_result() -> None:
    """A pipeline, or the analysis itself, writes it into the Release."""
    story = ReleaseBuilder().routed().steps(25, Step(analysis=SMOKE), 50).start()
    story.until_stage("pause")
    assert "waits for the result of analysis smoke" in story.plan.reason
    story.answer("Running")
    story.rest()
    assert story.status.phase is Phase.WAITING
    story.answer("Successful")
    story.until_stage("shift", step=2)


def test_a_failed_analysis_takes_the_version_back() -> None:
    """Weight 0 first; the reason names the analysis."""
    story = ReleaseBuilder().routed().steps(25, Step(analysis=SMOKE)).start().until_stage("pause")
    story.answer("Failed")
    story.to_the_end()
    assert (story.status.phase, story.status.reason) == (Phase.ABORTED, "AnalysisFailed")
    assert "analysis smoke of step 2 failed" in story.status.message
    story.assert_only("v1")


@pytest.mark.parametrize("phase", ["Inconclusive", "Error"])
def test_an_analysis_that_knows_nothing_waits_for_a_person(phase: str) -> None:
    """No data is never a success; an approval overrules it."""
    story = ReleaseBuilder().routed().steps(25, Step(analysis=SMOKE), 50).start()
    story.until_stage("pause").answer(phase)
    story.rest()
    assert f"ended {phase}" in story.plan.reason
    assert story.status.phase is Phase.WAITING
    story.cluster.change_release(approve=2)
    story.until_stage("shift", step=2)


def test_an_approval_given_in_advance_does_not_overrule_a_failure() -> None:
    """A pipeline that approves everything at the start still gets its checks."""
    story = ReleaseBuilder().routed().steps(25, Step(analysis=SMOKE)).start().until_stage("pause")
    story.cluster.change_release(approve=9)
    story.answer("Failed")
    story.to_the_end()
    assert story.status.phase is Phase.ABORTED


# People


def test_a_policy_of_manual_promotion_waits_before_everybody_gets_the_version() -> None:
    """Continuous delivery: deployed and tried, and a person decides."""
    story = ReleaseBuilder().routed().steps(50).spec(promotion="Manual").start()
    story.until_stage("pause")
    assert (story.status.weight.asked, story.status.step) == (50, 1)
    story.cluster.change_release(approve=2)
    story.to_the_end()
    story.assert_only("v2")


def test_a_skipped_step_is_not_waited_for() -> None:
    """The first two are passed; the third still waits."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, 50, UNTIL_APPROVED).start()
    story.until_stage("pause")
    story.cluster.change_release(skip=2)
    story.until_stage("pause", step=3)
    assert story.status.weight.asked == 50


def test_steps_that_are_skipped_from_the_start_still_count_for_the_weight() -> None:
    """As in Argo Rollouts: the weight is that of the last weight step before the present one."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED).start()
    story.cluster.delete_release()
    story.rest()
    story.cluster.change_release(skip=1)
    story.until_stage("pause")
    assert story.status.weight.asked == 25


def test_a_release_promoted_in_full_passes_everything_that_is_left() -> None:
    """Pauses and analyses alike; pods and traffic still come in their order."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, Step(analysis=SMOKE), 50).start()
    story.until_stage("pause")
    story.cluster.change_release(promote=True)
    story.until(lambda s: s.status.phase is Phase.SUCCEEDED)
    assert [weight for weight, *_ in splits(story)] == [0, 25, 100, 0]
    story.to_the_end().assert_only("v2")


def test_an_aborted_release_is_tried_again_by_one_field() -> None:
    """`spec.retry` of the aborted Release does what `kubectl rollout resume` does."""
    story = ReleaseBuilder().routed().start().until_stage("scale")
    story.cluster.change_release(abort=True)
    story.to_the_end()
    last = story.cluster.finished[-1]
    story.cluster.finished[-1] = replace(last, spec=replace(last.spec, retry=True))
    story.to_the_end()
    assert story.status.phase is Phase.SUCCEEDED
    story.assert_only("v2")


# Blue-green


def test_blue_green_shows_a_whole_new_set_and_then_switches_once() -> None:
    """The preview Service is there before anybody is sent to it."""
    story = ReleaseBuilder().routed().blue_green(scale_down_delay_seconds=60).start()
    driven = story.until_stage("name")
    assert new_pods(driven) == [4]
    assert list(driven.cluster.canaries) == ["web-preview"]
    driven.to_the_end()
    assert [weight for weight, *_ in splits(driven)] == [0, 100, 0]
    driven.assert_only("v2")


def test_blue_green_without_a_route_switches_by_the_services_selector() -> None:
    """One verified move of the pin; before it, only the preview Service has the new pods."""
    story = ReleaseBuilder().service().blue_green(auto_promotion_enabled=False).start()
    story.until_stage("pause")
    assert list(story.cluster.canaries) == ["web-preview"]
    assert story.cluster.services["web"].hash == "h-v1"
    story.to_the_end()
    assert [pin.hash for pin in story.did(act.SetPin)] == ["h-v1", "h-v2", None]
    story.assert_only("v2")


def test_a_switch_that_is_not_automatic_waits_for_a_person_or_for_its_time() -> None:
    """`autoPromotionSeconds` later it happens all the same."""
    story = ReleaseBuilder().routed()
    story.blue_green(auto_promotion_enabled=False, auto_promotion_seconds=120)
    driven = story.start().until_stage("pause")
    began = driven.cluster.now
    driven.until_stage("shift")
    assert (driven.cluster.now - began).total_seconds() >= 119


def test_the_old_pods_are_kept_for_an_instant_way_back() -> None:
    """Back within the delay: nothing has to start, and no request meets a missing pod."""
    story = ReleaseBuilder().routed().blue_green(scale_down_delay_seconds=600).start()
    story.until_stage("keep")
    assert story.cluster.services["web"].hash == "h-v2"
    assert len(story.cluster.pods("v1")) == len(story.cluster.pods("v2")) == 4
    story.cluster.apply("v1")
    story.until(lambda s: s.cluster.services["web"].hash == "h-v1", limit=3)
    story.to_the_end()
    assert story.status.phase is Phase.ROLLED_BACK
    story.assert_only("v1")


def test_a_failed_analysis_after_the_switch_takes_it_back() -> None:
    """The old pods are still there: that is what they are kept for."""
    story = ReleaseBuilder().routed().blue_green(post_promotion_analysis=SMOKE).start()
    story.until_stage("keep").answer("Failed")
    story.to_the_end()
    assert (story.status.phase, story.status.reason) == (Phase.ABORTED, "AnalysisFailed")
    story.assert_only("v1")


def test_testers_reach_a_blue_green_version_by_header_or_host_before_its_release() -> None:
    """Both are granted at weight 0, and gone with the switch."""
    preview = Preview(host="next.example", header_route=TESTERS)
    story = ReleaseBuilder().routed().blue_green(preview=preview, auto_promotion_enabled=False)
    driven = story.start().until_stage("pause")
    (share,) = driven.did(act.SetSplit)[-1].shares.values()
    assert (share.weight, share.preview, share.headers) == (0, "next.example", (TESTERS,))
    driven.to_the_end()
    assert splits(driven)[-2:] == [(100, 0, 0), (0, 0, 0)]


# A budget for pods


@pytest.mark.parametrize(("replicas", "extra"), [(4, 1), (10, 2), (10, "25%"), (7, 3), (3, 1)])
def test_a_budget_for_extra_pods_is_kept_at_every_moment(replicas: int, extra: int | str) -> None:
    """New pods come in portions, as stable ones have left their Services and drained."""
    story = ReleaseBuilder().replicas(replicas).routed().steps(30, 60).extra_pods(extra).start()
    budget = extra if isinstance(extra, int) else 3
    most = 0

    def count(driven: Story) -> bool:
        nonlocal most
        wanted = sum(rs.wanted for rs in driven.cluster.replicasets.values())
        most = max(most, wanted)
        return driven.status.phase is Phase.SUCCEEDED

    story.until(count, limit=3000)
    assert most == replicas + budget
    story.to_the_end().assert_only("v2")


def test_without_a_budget_the_stable_side_keeps_all_its_pods_until_the_promotion() -> None:
    """So an abort never overloads it."""
    story = ReleaseBuilder().replicas(10).routed().steps(90).start().until_stage("shift")
    assert len(story.cluster.pods("v1")) == 10


def test_an_abort_with_a_budget_starts_the_stable_pods_again() -> None:
    """The trade-off: traffic returns at once, to fewer pods."""
    story = ReleaseBuilder().replicas(4).routed().steps(75, UNTIL_APPROVED).extra_pods(1).start()
    story.until_stage("pause")
    assert len(story.cluster.pods("v1")) < 4
    story.cluster.change_release(abort=True)
    story.to_the_end().assert_only("v1")


# A known version


def test_going_back_within_the_rollback_window_takes_no_steps() -> None:
    """v1, v2 and v3 were released; v1 again is one verified switch."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED)
    driven = story.spec(rollback_window=RollbackWindow(2)).start().to_the_end()
    driven.cluster.apply("v3")
    driven.to_the_end()
    driven.cluster.log.clear()
    driven.cluster.apply("v1")
    driven.until(lambda s: s.cluster.release is not None)
    assert driven.release.spec.strategy.canary.steps == ()  # type: ignore[union-attr]
    driven.to_the_end()
    assert [weight for weight, *_ in splits(driven)] == [0, 100, 0]
    driven.assert_only("v1")


def test_a_version_out_of_the_window_goes_through_all_steps() -> None:
    """Two releases back, with a window of one."""
    story = ReleaseBuilder().routed().steps(25).spec(rollback_window=RollbackWindow(1)).start()
    story.to_the_end()
    for version in ("v3", "v4", "v1"):
        story.cluster.apply(version)
        story.until(lambda s: s.cluster.release is not None)
        assert story.release.spec.strategy.canary.steps  # type: ignore[union-attr]
        story.to_the_end()
