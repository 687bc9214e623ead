"""What a release does, in which order, when nothing comes in between."""

from datetime import timedelta

import pytest
from release_builder import ROUTE, UNTIL_APPROVED, ReleaseBuilder, Story

from webhook.objects.release import Phase
from webhook.release import actions as act


def weights(story: Story) -> list[int | None]:
    """The weights that the route carried, one after the other; None: the user's own."""
    return [
        next((share.weight for share in split.shares.values()), None)
        for split in story.did(act.SetSplit)
    ]


def phases(story: Story) -> list[Phase]:
    """The phases that were recorded, each once in a row."""
    seen = [record.status.phase for record in story.did(act.Record)]
    return [phase for i, phase in enumerate(seen) if i == 0 or seen[i - 1] is not phase]


def test_a_release_goes_through_its_steps_and_leaves_nothing_behind() -> None:
    """The whole way of a routed Deployment."""
    story = ReleaseBuilder().routed().steps(25, 50).start().to_the_end()
    assert weights(story) == [0, 25, 50, 100, 0, None]
    assert [hold.surge for hold in story.did(act.SetHold)] == [1, 2, 4]
    assert [pin.hash for pin in story.did(act.SetPin)] == ["h-v1", "h-v2", None]
    assert phases(story) == [
        Phase.PENDING, Phase.SCALING, Phase.SHIFTING, Phase.SCALING, Phase.SHIFTING,
        Phase.PROMOTING, Phase.CLEANING, Phase.SUCCEEDED,
    ]  # fmt: skip
    story.assert_only("v2")


def test_a_canary_is_named_at_weight_0_before_it_gets_weight() -> None:
    """A proxy that does not know a backend yet answers 503 for it."""
    story = ReleaseBuilder().routed().settle(7).start().until_stage("shift")
    (named_at, named), (given_at, given) = [
        (at, action) for at, action in story.cluster.log if isinstance(action, act.SetSplit)
    ]
    assert [s.weight for s in named.shares.values()] == [0]
    assert [s.weight for s in given.shares.values()] == [25]
    assert given_at - named_at >= timedelta(seconds=7)


def test_the_pins_stand_before_the_first_new_pod_may_start() -> None:
    """So no new pod has traffic that no step granted."""
    story = ReleaseBuilder().routed().service("admin").start().to_the_end()
    last_pin = max(
        story.place(lambda a, name=name: a == act.SetPin(name, "h-v1")) for name in ("web", "admin")
    )
    assert last_pin < story.place(lambda a: isinstance(a, act.SetHold))


def test_pins_that_are_not_in_effect_yet_hold_the_release_at_pending() -> None:
    """It is the EndpointSlices that count."""
    story = ReleaseBuilder().service().start()
    story.cluster.services["web"].endpoints |= {"someone-else"}
    story.rest()
    assert story.status.phase is Phase.PENDING
    assert "still offers pods of another version" in story.plan.reason


def test_the_root_services_pin_moves_only_while_it_carries_nothing() -> None:
    """All traffic passes it by at that moment."""
    story = ReleaseBuilder().routed().start().until_stage("repin", Phase.PROMOTING)
    assert story.cluster.routes[ROUTE].shares["web"].weight == 100
    moved = story.place(lambda a: a == act.SetPin("web", "h-v2"))
    before = [a for _, a in story.cluster.log[:moved] if isinstance(a, act.SetSplit)]
    assert before[-1].shares["web"].weight == 100


def test_the_hold_is_lifted_only_after_the_drain() -> None:
    """Keep-alive connections end by themselves."""
    story = ReleaseBuilder().routed().drain(45).start().to_the_end()
    at = {
        type(action).__name__ + str(getattr(action, "hash", "")): moment
        for moment, action in story.cluster.log
    }
    assert at["LiftHold"] - at["SetPinh-v2"] >= timedelta(seconds=45)


def test_the_drain_waits_for_the_last_service_and_not_for_the_routes() -> None:
    """Where slices are slow, traffic leaves the old pods late."""
    release = ReleaseBuilder().routed().service("admin").slow_slices(25).drain(30)
    release.start().to_the_end().assert_only("v2")


def test_canary_services_go_last() -> None:
    """No route names them any more, and the old pods are gone."""
    story = ReleaseBuilder().routed().start().to_the_end()
    gone = story.place(lambda a: isinstance(a, act.DeleteCanary))
    assert gone > story.place(lambda a: a == act.SetSplit(ROUTE, {}))
    assert gone > story.place(lambda a: isinstance(a, act.LiftHold))


def test_what_is_granted_is_recorded_before_it_is_done() -> None:
    """A crash between the two forgets nothing."""
    story = ReleaseBuilder().routed().steps(25).start().to_the_end()
    for weight in (25, 100):
        done = story.place(
            lambda a, weight=weight: (
                isinstance(a, act.SetSplit)
                and any(share.weight == weight for share in a.shares.values())
            )
        )
        recorded = story.place(
            lambda a, weight=weight: isinstance(a, act.Record) and a.status.weight.asked == weight
        )
        assert recorded < done


def test_pods_are_labelled_by_side_while_a_release_runs() -> None:
    """In place, so that no pod is started again for it."""
    story = ReleaseBuilder().routed().start().until_stage("shift")
    assert {p.track for p in story.cluster.pods("v1")} == {"stable"}
    assert {p.track for p in story.cluster.pods("v2")} == {"canary"}


@pytest.mark.parametrize("stage", ["scale", "name", "shift", "repin", "drain", "lift"])
def test_at_the_fixed_point_nothing_is_written(stage: str) -> None:
    """The same state gives no second write."""
    story = ReleaseBuilder().routed().start().until_stage(stage)
    story.rest()
    written = len(story.cluster.log)
    for _ in range(3):
        assert not story.decide()
    assert len(story.cluster.log) == written


def test_nothing_at_all_is_written_for_a_deployment_at_rest() -> None:
    """Idle costs no request."""
    story = ReleaseBuilder().routed().start(version=None)
    assert not story.decide()
    assert story.plan.wake_at is None


# Steps


def test_a_pause_with_a_duration_lasts_that_long() -> None:
    """The plan says when to look again, so nobody polls."""
    story = ReleaseBuilder().routed().steps(25, timedelta(minutes=2), 50).start()
    story.until_stage("pause")
    began = story.cluster.now
    assert story.plan.wake_at == began + timedelta(minutes=2)
    story.until_stage("scale", step=2)
    assert story.cluster.now - began == timedelta(minutes=2)


def test_a_pause_without_duration_waits_for_a_person() -> None:
    """However long; and the message says what to do."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, 50).start().until_stage("pause")
    for _ in range(500):
        story.rest()
        story.pass_time()
    assert story.status.phase is Phase.WAITING
    assert "set spec.approve to 2" in story.status.message
    assert story.plan.wake_at is None
    story.cluster.change_release(approve=2)
    story.rest()
    assert story.status.step == 2


def test_an_approval_ends_a_pause_with_a_duration_at_once() -> None:
    """Nobody waits for what was decided."""
    story = ReleaseBuilder().routed().steps(25, timedelta(hours=2), 50).start()
    story.until_stage("pause").cluster.change_release(approve=2)
    story.rest()
    assert story.status.step == 2


def test_an_approval_is_for_one_pause_only() -> None:
    """The next one waits again."""
    story = ReleaseBuilder().routed().steps(UNTIL_APPROVED, 25, UNTIL_APPROVED).start()
    story.until_stage("pause").cluster.change_release(approve=1)
    story.until_stage("pause", step=2)
    assert "set spec.approve to 3" in story.status.message


def test_a_paused_release_keeps_what_it_granted_and_goes_no_further() -> None:
    """A person's brake; off, it goes on."""
    story = ReleaseBuilder().routed().steps(25, 50).start().until_stage("shift")
    story.cluster.change_release(paused=True)
    story.rest()
    for _ in range(100):
        story.pass_time()
        assert not story.decide()
    assert story.cluster.routes[ROUTE].shares["web"].weight == 25
    assert "set spec.paused to false" in story.plan.reason
    story.cluster.change_release(paused=False)
    story.to_the_end().assert_only("v2")


def test_a_lower_weight_in_a_later_step_takes_no_pod_away() -> None:
    """Pods only ever become more until the end."""
    story = ReleaseBuilder().routed().steps(100, 25).start().to_the_end()
    assert [hold.surge for hold in story.did(act.SetHold)] == [4]
    assert weights(story) == [0, 100, 25, 100, 0, None]


def test_a_weight_of_0_deploys_without_releasing() -> None:
    """A smoke test in production, without users."""
    story = ReleaseBuilder().routed().steps(0, UNTIL_APPROVED).start().until_stage("pause")
    assert story.status.weight.asked == 0
    assert not story.status.granted
    assert len(story.cluster.pods("v2")) == 1


# Shapes


def test_without_routes_the_share_is_the_share_of_pods() -> None:
    """The Service is opened for both versions, then pinned to the new one, then free."""
    story = ReleaseBuilder().replicas(9).service().steps(10, 25).start().to_the_end()
    assert [hold.surge for hold in story.did(act.SetHold)] == [1, 3, 9]
    assert [pin.hash for pin in story.did(act.SetPin)] == ["h-v1", None, "h-v2", None]
    assert not story.did(act.ExposeCanary)
    story.assert_only("v2")


def test_without_any_service_a_release_is_made_of_pods_alone() -> None:
    """A worker that nobody calls."""
    story = ReleaseBuilder().steps(50).start().to_the_end()
    assert not story.did(act.SetPin)
    assert not story.did(act.SetSplit)
    story.assert_only("v2")


def test_a_service_that_other_workloads_share_is_not_pinned() -> None:
    """Their pods would lose their traffic."""
    story = ReleaseBuilder().routed().service("all", shared=True).start().to_the_end()
    assert {pin.service for pin in story.did(act.SetPin)} == {"web"}
    story.assert_only("v2")


def test_a_service_without_a_route_stays_pinned_until_the_promotion() -> None:
    """Its clients see the new version only when everybody does."""
    story = ReleaseBuilder().routed().service("admin").start().to_the_end()
    pins = [pin.hash for pin in story.did(act.SetPin) if pin.service == "admin"]
    assert pins == ["h-v1", "h-v2", None]
    assert {made.root for made in story.did(act.ExposeCanary)} == {"web"}


def test_two_services_behind_one_route_are_split_together() -> None:
    """One release, one weight."""
    story = ReleaseBuilder().routed("web", "api").start().to_the_end()
    assert all(set(split.shares) in (set(), {"web", "api"}) for split in story.did(act.SetSplit))
    story.assert_only("v2")


def test_a_service_that_turns_up_in_mid_release_is_pinned_as_well() -> None:
    """Also if admission did not see it."""
    story = ReleaseBuilder().routed().start().until_stage("shift")
    late = ReleaseBuilder().service("late").start(version=None).cluster.services["late"]
    story.cluster.services["late"] = late
    story.rest()
    assert late.hash == "h-v1"
    story.to_the_end().assert_only("v2")


def test_a_deleted_canary_service_is_made_again() -> None:
    """A route names it."""
    story = ReleaseBuilder().routed().start().until_stage("shift")
    story.rules.lossy = True
    del story.cluster.canaries["web-canary"]
    story.decide()
    assert "web-canary" in story.cluster.canaries
    story.to_the_end().assert_only("v2")


def test_a_pin_that_somebody_removed_comes_back() -> None:
    """Whatever passed the webhook by."""
    story = ReleaseBuilder().routed().start().until_stage("shift")
    story.cluster.services["web"].hash = None
    story.decide()
    assert story.cluster.services["web"].hash == "h-v1"


def test_finished_releases_over_the_limit_are_forgotten_the_oldest_first() -> None:
    """History does not grow without end."""
    story = ReleaseBuilder().steps().settle(0).drain(0).history(2).start()
    for version in ("v3", "v4", "v5"):
        story.to_the_end().cluster.apply(version)
    story.to_the_end()
    versions = [release.spec.version for release in story.cluster.finished]
    assert versions == ["v4", "v5"]
