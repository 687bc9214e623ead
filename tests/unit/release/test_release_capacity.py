"""Replicas that change or are gone in mid-release, and a Service that is."""

from dataclasses import replace as with_fields
from datetime import timedelta

from msgspec.structs import replace
from release_builder import ROUTE, UNTIL_APPROVED, ReleaseBuilder, Story
from rules import Unruled

from webhook.objects.release import Phase
from webhook.release import actions as act
from webhook.release.converge import converge
from webhook.release.plan import plan


def test_traffic_returns_only_to_a_version_that_can_take_it() -> None:
    """The one stable pod restarts as the user goes back: the new version serves until then."""
    story = ReleaseBuilder().replicas(1).routed().start().until_stage("repin")
    cluster = story.cluster
    story.rules.lossy = True
    cluster.start = timedelta(seconds=20)
    cluster.vanish("v1")
    cluster.tick()
    cluster.apply("v1")
    story.until_stage("recover")
    assert "keeps its traffic" in story.plan.reason
    story.until_stage("retreat", Phase.ROLLING_BACK)
    assert any(pod.ready(cluster.now) for pod in cluster.pods("v1"))
    story.to_the_end()
    story.assert_only("v1")


def unruled(story: Story) -> Story:
    story.rules = Unruled(story.cluster, story.rules.drain)
    return story


def paused_at(weight: int, **more: int) -> Story:
    """A routed release of four pods that waits for a person."""
    release = ReleaseBuilder().routed().steps(weight, UNTIL_APPROVED)
    if more:
        release.extra_pods(more["extra"])
    return release.start().until_stage("pause")


def test_the_number_of_new_pods_follows_the_replicas() -> None:
    """`kubectl scale` or an autoscaler, up and down, while a step waits."""
    story = paused_at(25)
    for replicas, pods in ((8, 2), (12, 3), (4, 1)):
        story.cluster.scale(replicas)
        story.rest()
        hold = story.did(act.SetHold)[-1]
        assert (hold.surge, hold.unavailable) == (pods, 0)
    assert story.status.weight.asked == 25


def test_with_a_budget_both_sides_follow_the_replicas() -> None:
    """Half of the pods are new before and after; never more than the budget beside."""
    story = paused_at(50, extra=1)
    story.cluster.scale(8)
    story.rest()
    hold = story.did(act.SetHold)[-1]
    assert hold.surge + hold.unavailable == 4
    assert hold.surge == 1


def test_scaled_to_0_a_release_ends_and_the_released_version_comes_back() -> None:
    """The native controller would make pods of the newest ReplicaSet; it is gone by then."""
    story = unruled(paused_at(25))
    story.cluster.scale(0)
    for replicaset in story.cluster.replicasets.values():
        replicaset.wanted, replicaset.pods = 0, []
    story.until(lambda s: s.status.phase is Phase.ABORTED)
    assert story.status.reason == "ScaledToZero"
    assert list(story.cluster.replicasets) == ["h-v1"]


def test_scaled_up_again_before_it_is_back_the_released_version_is_asked_for_first() -> None:
    """Otherwise the native controller and Slipway would fight over the new one."""
    story = unruled(paused_at(25))
    story.cluster.replicasets["h-v1"].wanted = 0
    story.cluster.replicasets["h-v1"].pods = []
    story.until(lambda s: s.status.stage == "withdraw")
    story.rest()
    scaled = story.did(act.ScaleReplicaSet)
    assert [(a.name, a.replicas) for a in scaled][:2] == [("web-h-v1", 4), ("web-h-v2", 0)]


def test_scaled_up_again_before_a_version_is_out_the_release_begins_anew() -> None:
    """Nothing served, so no new pods were waited for; now there is something to protect."""
    cluster = paused_at(25).cluster
    seen = cluster.observed()
    assert seen.release is not None
    status = replace(seen.release.status, phase=Phase.PROMOTING, stage="keep", canary_replicas=0)
    seen = with_fields(seen, release=replace(seen.release, status=status))
    recorded = [a.status for a in plan(seen, cluster.now).actions if isinstance(a, act.Record)]
    assert (recorded[0].phase, recorded[0].reason) == (Phase.ROLLING_BACK, "ScaledUpAgain")
    assert recorded[0].outcome is Phase.SUPERSEDED


def test_a_route_of_a_deleted_service_is_its_users_own_before_the_canary_service_goes() -> None:
    """It would name a Service that is not there any more."""
    story = unruled(paused_at(25))
    del story.cluster.services["web"]
    story.rest()
    assert story.did(act.SetSplit)[-1] == act.SetSplit(ROUTE, {})


def test_a_rollout_that_its_user_paused_keeps_its_room() -> None:
    """Paused, the native controller would share more room between old and new pods."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, 75).start().until_stage("pause")
    story.cluster.paused_by_user = True
    story.cluster.change_release(approve=2)
    story.rest()
    assert "paused by its user" in story.plan.reason
    assert story.did(act.SetHold)[-1].surge == 1
    story.cluster.paused_by_user = False
    story.until_stage("shift", step=2)
    assert story.did(act.SetHold)[-1].surge == 3


def test_a_side_that_is_alone_is_the_native_controllers_to_size() -> None:
    """It has all replicas: one write against that, and the two would write for ever.

    So it is with ``revisionHistoryLimit: 0`` when a Deployment is scaled to 0 and back before
    Slipway sees it.
    """
    seen = ReleaseBuilder().routed().start().until_stage("shift").cluster.observed()
    assert seen.release
    assert seen.canary
    grown = with_fields(seen, canary=with_fields(seen.canary, wanted=seen.canary.wanted + 1))
    for stable, scaled in ((seen.stable, 1), (None, 0)):
        there = with_fields(grown, stable=stable)
        writes = converge(there, seen.release, seen.release.status)
        assert [type(each) for each in writes].count(act.ScaleReplicaSet) == scaled


def test_what_grows_gives_no_released_pod_up_before_it_is_drained() -> None:
    """Paused by its user, the released side has grown whole: nothing of it is missing yet.

    Until its controller has shared out the new number, nothing is decided on it.
    """
    release = ReleaseBuilder().replicas(4).routed().steps(50, UNTIL_APPROVED).extra_pods(1)
    story = release.start().until(lambda s: s.status.unavailable == 1 and s.status.stage == "scale")
    story.cluster.paused_by_user = True
    story.cluster.scale(8)
    seen = story.cluster.observed()
    assert seen.stable
    early = with_fields(seen, stable=with_fields(seen.stable, sized_for=4))
    assert not [a for a in plan(early, story.cluster.now).actions if isinstance(a, act.SetHold)]
    whole = with_fields(seen, stable=with_fields(seen.stable, wanted=8, sized_for=8))
    (recorded,) = [a for a in plan(whole, story.cluster.now).actions if isinstance(a, act.Record)]
    assert recorded.status.replicas == 8
    assert (recorded.status.unavailable, recorded.status.retired) == (1, 1)


def test_new_pods_that_an_autoscaler_shared_out_are_taken_as_they_are() -> None:
    """Its controller grew both sides: 3 released pods and 6 new ones of 8, with one beside."""
    release = ReleaseBuilder().replicas(2).routed().steps(75, UNTIL_APPROVED).extra_pods(1)
    story = release.start().until_stage("pause")
    story.cluster.scale(8)
    seen = story.cluster.observed()
    assert seen.stable
    shared = with_fields(seen, stable=with_fields(seen.stable, wanted=3, sized_for=8))
    (recorded,) = [a for a in plan(shared, story.cluster.now).actions if isinstance(a, act.Record)]
    status = recorded.status
    assert (status.unavailable, status.retired, status.canary_replicas) == (5, 5, 6)
