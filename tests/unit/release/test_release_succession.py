"""Another version is wanted in mid-release, and nobody is left of the one to return to."""

from datetime import timedelta

from release_builder import UNTIL_APPROVED, ReleaseBuilder, Story
from rules import Unruled

from webhook.objects.release import Phase
from webhook.release import actions as act


def half_out(*, routed: bool = True) -> Story:
    """v2 has half of the traffic as the last pod of v1 goes, and none of v1 ever comes back."""
    release = ReleaseBuilder().steps(50, UNTIL_APPROVED)
    story = (release.routed() if routed else release.service()).start().until_stage("pause")
    story.rules = Unruled(story.cluster, story.rules.drain)
    story.cluster.broken = frozenset({"v1"})
    story.cluster.vanish("v1")
    story.cluster.tick()
    return story


def v2_serves(story: Story) -> bool:
    """At least one ready pod of v2, and no Service or route that leaves all of them out."""
    cluster = story.cluster
    ready = {pod.name for pod in cluster.pods("v2") if pod.ready(cluster.now)}
    offered = [service.endpoints for service in cluster.services.values()]
    split = [s.weight for route in cluster.routes.values() for s in route.shares.values()]
    return bool(ready) and (any(split) or any(ready & each for each in offered))


def to_v3(story: Story) -> Story:
    """Until v3 is out; v2 serves as long as v3 does not."""
    for _ in range(900):
        story.rest()
        done = story.release.spec.version == "v3" and story.status.phase.finished
        if done:
            return story
        if story.status.stage == "pause":
            story.cluster.change_release(approve=2)
        assert v2_serves(story) or any(p.ready(story.cluster.now) for p in story.cluster.pods("v3"))
        story.pass_time()
    raise AssertionError(f"no end: {story.plan.reason}, {story.status}")


def test_a_fix_replaces_the_new_version_where_no_released_pod_is_left() -> None:
    """v2 keeps its traffic, is what v3 is released beside, and v3 goes out by its steps."""
    story = half_out()
    story.cluster.apply("v3")
    story.until_stage("recover")
    assert "set spec.promote to go on at once" in story.plan.reason
    to_v3(story)
    first, last = story.cluster.finished
    assert (first.status.phase, first.status.reason) == (Phase.SUPERSEDED, "NobodyToReturnTo")
    assert first.status.weight.asked == 100
    assert (last.status.phase, last.spec.stable.version) == (Phase.SUCCEEDED, "v2")
    story.to_the_end().assert_only("v3")


def test_where_no_route_is_the_services_move_to_the_version_that_has_pods() -> None:
    """By pod count they offered both."""
    story = half_out(routed=False)
    story.cluster.apply("v3")
    to_v3(story)
    assert story.release.spec.stable.version == "v2"
    story.to_the_end().assert_only("v3")


def test_a_person_need_not_wait_for_released_pods() -> None:
    """`spec.promote`: what serves is taken for released at once."""
    story = half_out()
    story.cluster.apply("v3")
    story.until_stage("recover")
    before = story.cluster.now
    story.cluster.change_release(promote=True)
    story.until_stage("unname")
    assert story.cluster.now - before < timedelta(minutes=2)
    assert story.status.stays


def test_a_way_back_to_a_version_that_gets_no_pods_ready_ends_as_its_release_does() -> None:
    """It is tried as any new version is: held back, and v2 serves."""
    story = half_out()
    story.cluster.apply("v1")
    story.to_the_end(2000)
    first, last = story.cluster.finished
    assert (first.status.phase, first.status.reason) == (Phase.SUPERSEDED, "NobodyToReturnTo")
    assert (last.spec.version, last.spec.stable.version) == ("v1", "v2")
    assert (last.status.phase, last.status.reason) == (Phase.ABORTED, "ProgressDeadlineExceeded")
    assert v2_serves(story)
    story.assert_only("v2")


def test_released_pods_that_come_back_in_time_take_their_traffic_back() -> None:
    """Only a version that is gone for good is passed over."""
    story = half_out()
    story.cluster.apply("v3")
    story.until_stage("recover")
    story.cluster.broken = frozenset()
    story.cluster.vanish("v1")
    story.until_stage("retreat", Phase.ROLLING_BACK)
    assert not story.status.stays


def test_an_abort_waits_for_released_pods_as_long_as_it_takes() -> None:
    """A person said that the new version is not wanted: it is never taken for released."""
    story = half_out()
    story.cluster.change_release(abort=True)
    story.until_stage("recover")
    story.cluster.now += timedelta(hours=2)
    story.rest()
    assert story.status.stage == "recover"
    assert "set spec.promote" not in story.plan.reason


def test_where_nothing_served_the_release_says_that_it_goes_out_without_steps() -> None:
    """Or someone asks why the policy's steps were passed over."""
    story = ReleaseBuilder().routed().steps(50, UNTIL_APPROVED).start(None)
    story.rules = Unruled(story.cluster, story.rules.drain)
    story.cluster.broken = frozenset({"v1"})
    story.cluster.vanish("v1")
    story.cluster.tick()
    story.cluster.apply("v2")
    story.to_the_end()
    assert story.status.phase is Phase.SUCCEEDED
    assert story.status.notes[0] == "no pod of v1 was ready: v2 goes out without steps"


def test_a_lifted_deployment_is_left_to_its_controller() -> None:
    """The template that was set back may differ in what no version is made of."""
    story = ReleaseBuilder().routed().steps(50, UNTIL_APPROVED).start().until_stage("pause")
    story.cluster.apply("v1")
    story.until_stage("settle-up")
    story.cluster.replicasets["h-v1"].wanted = 0
    story.cluster.log.clear()
    story.decide()
    assert not story.did(act.ScaleReplicaSet)
