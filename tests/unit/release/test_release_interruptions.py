"""What comes in between: a person, a new template, a version that fails, a lost Release."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from release_builder import ROUTE, UNTIL_APPROVED, ReleaseBuilder, Story

from webhook.objects.intent import Hold
from webhook.objects.policy import Guardrails
from webhook.objects.release import Phase, Release
from webhook.objects.steps import HeaderMatch, HeaderRoute, Step, StringMatch
from webhook.release import actions as act
from webhook.release.plan import plan
from webhook.release.retire import retire

MIDDLE = ["protect", "scale", "expose", "name", "shift", "pause", "repin", "return", "drain"]


def routed() -> ReleaseBuilder:
    """A routed Deployment whose release waits for a person in its middle."""
    return ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, 50)


def middle(stage: str) -> Story:
    """A release at a stage."""
    release = routed() if stage == "pause" else ReleaseBuilder().routed()
    story = release.slow_slices(2).start()
    if stage == "protect":
        story.cluster.services["web"].endpoints |= {"someone-else"}
    phase = Phase.PROMOTING if stage == "repin" else None
    return story.until_stage(stage, phase)


def after(story: Story, begin: int) -> list[act.Action]:
    """What was done from a place in the log on, but for records and news."""
    told = (act.Record, act.Announce, act.LabelPod)
    return [action for _, action in story.cluster.log[begin:] if not isinstance(action, told)]


# Abort


@pytest.mark.parametrize("stage", MIDDLE)
def test_an_abort_ends_with_the_released_version_serving_alone(stage: str) -> None:
    """From anywhere; the Deployment stays held and is marked as failed."""
    story = middle(stage)
    story.cluster.change_release(abort=True)
    story.to_the_end()
    assert story.status.phase is Phase.ABORTED
    assert story.status.reason == "AbortRequested"
    assert story.cluster.hold == Hold(mode="Gate", aborted=True)
    assert story.cluster.marked_failed
    story.assert_only("v1")


def test_an_abort_moves_traffic_before_it_removes_pods() -> None:
    """A canary loses its weight first; its pods go only after the drain."""
    story = routed().drain(20).start().until_stage("pause")
    begin = len(story.cluster.log)
    story.cluster.change_release(abort=True)
    began = story.cluster.now
    story.to_the_end()
    first, *_ = after(story, begin)
    assert isinstance(first, act.SetSplit)
    assert first.shares["web"].weight == 0
    gone_at = next(at for at, a in story.cluster.log if isinstance(a, act.ScaleReplicaSet))
    assert gone_at - began >= timedelta(seconds=20)


def test_an_abort_of_a_version_that_never_had_traffic_drains_nothing() -> None:
    """Nobody waits for connections that never were."""
    story = ReleaseBuilder().routed().drain(3000).start().until_stage("scale")
    story.cluster.change_release(abort=True)
    began = story.cluster.now
    story.to_the_end()
    assert story.cluster.now - began < timedelta(seconds=60)


def test_an_abort_after_the_pin_moved_returns_the_pin_while_routes_pass_it_by() -> None:
    """The way back is as careful as the way there."""
    story = ReleaseBuilder().routed().start().until_stage("repin", Phase.PROMOTING)
    begin = len(story.cluster.log)
    story.cluster.change_release(abort=True)
    story.to_the_end()
    moves = [a for a in after(story, begin) if isinstance(a, act.SetPin | act.SetSplit)]
    assert moves[0] == act.SetPin("web", "h-v1")
    assert isinstance(moves[1], act.SetSplit)
    assert moves[1].shares["web"].weight == 0


def test_an_aborted_version_is_tried_again_when_a_person_says_so() -> None:
    """From the first step, as a Release of its own."""
    story = routed().start().until_stage("pause")
    story.cluster.change_release(abort=True)
    story.to_the_end().cluster.retry()
    story.to_the_end().assert_only("v2")
    assert [release.status.phase for release in story.cluster.finished] == [
        Phase.ABORTED, Phase.SUCCEEDED,
    ]  # fmt: skip


def test_a_release_aborted_before_its_first_pod_can_be_tried_again() -> None:
    """The generation is still the same then, and the new Release has another name all the same."""
    story = middle("protect")
    story.cluster.change_release(abort=True)
    story.cluster.tick()
    story.to_the_end().cluster.retry()
    story.to_the_end().assert_only("v2")
    assert len({release.name for release in story.cluster.finished}) == 2


# Failure


def test_a_version_that_never_gets_ready_is_taken_back_at_its_deadline() -> None:
    """It never had traffic; the message says how many pods were ready."""
    story = ReleaseBuilder().routed().broken("v2").start().until_stage("scale")
    story.pass_time()
    story.rest()
    assert story.plan.wake_at == story.status.scaling_since + timedelta(seconds=600)
    story.to_the_end()
    assert story.status.reason == "ProgressDeadlineExceeded"
    assert "0 of 1 new pods were ready after 600 s" in story.status.message
    assert not story.did(act.SetSplit)
    story.assert_only("v1")


def test_the_deadline_does_not_run_while_a_person_holds_the_release() -> None:
    """A pause is not a failure."""
    story = ReleaseBuilder().routed().broken("v2").start().until_stage("scale")
    story.cluster.change_release(paused=True)
    for _ in range(700):
        story.rest()
        story.pass_time()
    assert story.status.phase is Phase.SCALING


def test_a_pod_that_gets_ready_moves_the_deadline() -> None:
    """As long as there is progress there is time."""
    story = ReleaseBuilder().replicas(3).steps(100).start()
    story.cluster.start = timedelta(days=1)
    story.until_stage("scale")
    for _ in range(2):
        story.pass_time()
    for pod, wait in zip(story.cluster.pods("v2"), (500, 500, 500), strict=True):
        story.cluster.now += timedelta(seconds=wait)
        pod.ready_at = story.cluster.now
        story.rest()
        story.pass_time()
    story.cluster.start = timedelta(seconds=2)
    story.to_the_end().assert_only("v2")


@pytest.mark.parametrize("stage", ["shift", "pause", "repin", "return", "drain"])
def test_pods_that_lose_readiness_while_they_have_weight_end_the_release(stage: str) -> None:
    """Weight 0 before anything else is changed."""
    story = middle(stage)
    begin = len(story.cluster.log)
    story.rules.lossy = True
    story.cluster.unready("v2")
    story.to_the_end()
    assert story.status.reason == "CanaryUnready"
    first = after(story, begin)[0]
    assert isinstance(first, act.SetSplit | act.SetPin)
    story.assert_only("v1")


@pytest.mark.parametrize("stage", ["expose", "name"])
def test_pods_that_lose_readiness_before_they_have_weight_never_get_any(stage: str) -> None:
    """The release waits for them, and ends at the deadline."""
    story = middle(stage)
    story.rules.lossy = True
    story.cluster.unready("v2")
    story.to_the_end()
    assert story.status.reason == "ProgressDeadlineExceeded"
    assert not story.status.granted
    story.assert_only("v1")


def test_when_all_new_pods_vanish_the_weight_goes_to_0_first() -> None:
    """A dead node says nothing about the version: with new pods it goes on."""
    story = routed().start().until_stage("pause")
    begin = len(story.cluster.log)
    story.rules.lossy = True
    story.cluster.vanish("v2")
    story.pass_time()
    story.rest()
    first = after(story, begin)[0]
    assert isinstance(first, act.SetSplit)
    assert first.shares["web"].weight == 0
    assert story.status.phase is Phase.SCALING
    assert story.status.weight.asked == 0
    story.to_the_end().assert_only("v2")


def test_without_routes_vanished_pods_close_the_service_first() -> None:
    """By pod count the weight is in the pin."""
    story = ReleaseBuilder().service().steps(25, UNTIL_APPROVED).start().until_stage("pause")
    begin = len(story.cluster.log)
    story.cluster.vanish("v2")
    story.pass_time()
    story.rest()
    assert after(story, begin)[0] == act.SetPin("web", "h-v1")
    story.to_the_end().assert_only("v2")


# Other versions


@pytest.mark.parametrize("stage", [*MIDDLE, "lift"])
def test_a_third_version_takes_the_place_of_the_second(stage: str) -> None:
    """From anywhere, and guarded from its first step."""
    story = middle(stage)
    if stage == "lift":
        story.pass_time()
    story.cluster.apply("v3")
    if stage == "protect":
        story.cluster.tick()
    story.to_the_end()
    first, second = story.cluster.finished
    assert first.status.phase is (Phase.SUCCEEDED if stage == "lift" else Phase.SUPERSEDED)
    assert (second.spec.version, second.status.phase) == ("v3", Phase.SUCCEEDED)
    story.assert_only("v3")


def test_a_version_applied_before_the_controller_saw_the_lifted_hold_ends_no_serving_pod() -> None:
    """To the controller the serving pods are not available then, and such pods go first."""
    story = ReleaseBuilder().routed().start().until_stage("lift")
    story.cluster.apply("v3")
    story.to_the_end().assert_only("v3")


def test_the_hold_of_a_later_version_outlives_the_replicaset_of_the_one_before() -> None:
    """Old pods have ended and their history is gone; what was released serves all the same."""
    story = ReleaseBuilder().routed().start().until_stage("lift")
    story.pass_time()
    story.cluster.apply("v3")
    seen = replace(story.cluster.observed(), stable=None)
    assert seen.deployment.hold is not None
    assert act.LiftHold() not in plan(seen, story.cluster.now).actions


def test_the_rollback_target_stays_the_last_fully_released_version() -> None:
    """v2 was never released, so v3 goes back to v1."""
    story = routed().broken("v3").start().until_stage("pause")
    story.cluster.apply("v3")
    story.to_the_end()
    assert story.cluster.finished[-1].spec.stable.version == "v1"
    story.assert_only("v1")


def test_no_pod_is_replaced_while_the_superseded_version_has_traffic() -> None:
    """Not even where the pin has moved already."""
    story = ReleaseBuilder().replicas(1).routed().steps().start()
    story.until_stage("repin", Phase.PROMOTING).cluster.apply("v3")
    begin = len(story.cluster.log)
    story.to_the_end()
    holds = [a for a in after(story, begin) if isinstance(a, act.SetHold | act.ScaleReplicaSet)]
    assert isinstance(holds[0], act.ScaleReplicaSet), holds


@pytest.mark.parametrize("stage", MIDDLE)
def test_a_return_to_the_released_version_ends_the_release_at_once(stage: str) -> None:
    """No steps on the way back, and nothing is marked as failed."""
    story = middle(stage)
    story.cluster.apply("v1")
    if stage == "protect":
        story.cluster.tick()
    story.to_the_end()
    assert story.status.phase is Phase.ROLLED_BACK
    assert story.cluster.hold is None
    assert not story.cluster.marked_failed
    assert len(story.cluster.finished) == 1
    story.assert_only("v1")


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_version_applied_while_the_pods_of_a_rollback_end_is_guarded(version: str) -> None:
    """The hold that is lifted is the old one, never the new one's."""
    story = routed().start().until_stage("pause")
    story.cluster.apply("v1")
    story.until_stage("settle-up").cluster.apply(version)
    begin = len(story.cluster.log)
    story.to_the_end()
    assert isinstance(after(story, begin)[0], act.SetPin | act.CreateRelease | act.DeleteCanary)
    assert story.status.phase is Phase.SUCCEEDED
    assert len(story.cluster.finished) == 2
    story.assert_only(version)


def test_an_undo_to_the_aborted_versions_predecessor_leaves_nothing_held() -> None:
    """``kubectl rollout undo`` after an abort is the natural thing to do."""
    story = routed().start().until_stage("pause")
    story.cluster.change_release(abort=True)
    story.to_the_end().cluster.apply("v1")
    story.to_the_end().assert_only("v1")
    assert story.cluster.hold is None
    assert len(story.cluster.finished) == 1


# Lost things


@pytest.mark.parametrize("stage", MIDDLE)
def test_a_release_that_was_deleted_is_taken_up_again_at_weight_0(stage: str) -> None:
    """Nobody knows any more what was granted, so nothing is."""
    story = middle(stage)
    story.cluster.delete_release()
    story.rules.forget()
    if stage == "protect":
        story.cluster.tick()
    story.rest()
    route = story.cluster.routes[ROUTE]
    assert all(share.weight == 0 for share in route.shares.values())
    assert story.cluster.services["web"].hash == "h-v1"
    story.to_the_end().assert_only("v2")


def test_an_undo_after_the_release_was_deleted_ends_at_the_released_version() -> None:
    """Two surprises at once; the released version is never marked as failed."""
    story = routed().start().until_stage("pause")
    story.cluster.delete_release()
    story.rules.forget()
    story.cluster.apply("v1")
    story.to_the_end()
    assert story.cluster.hold is None
    assert not story.cluster.marked_failed
    story.assert_only("v1")


def test_a_third_version_after_the_release_was_deleted_never_leaves_a_named_service_empty() -> None:
    """The canary Service that is found stands for pods that are about to go."""
    story = routed().start().until_stage("pause")
    story.cluster.delete_release()
    story.cluster.apply("v3")
    story.to_the_end().assert_only("v3")


@pytest.mark.parametrize("stage", MIDDLE[1:])
def test_a_route_deleted_in_mid_release_stops_nothing(stage: str) -> None:
    """The rest goes on, and nothing is left behind."""
    story = middle(stage)
    story.cluster.delete_route()
    story.to_the_end().assert_only("v2")


def test_a_policy_that_goes_in_mid_release_changes_nothing_for_it() -> None:
    """A release keeps the snapshot that it began with."""
    story = ReleaseBuilder().routed().start().until_stage("shift")
    story.cluster.policy = None
    story.to_the_end().assert_only("v2")
    assert story.status.phase is Phase.SUCCEEDED


def test_without_a_policy_a_held_change_is_given_back() -> None:
    """Nobody guards it, so nobody holds it."""
    story = ReleaseBuilder().service().start()
    story.cluster.policy = None
    story.to_the_end().assert_only("v2")
    assert not story.cluster.finished


def test_a_deployment_deleted_in_mid_release_leaves_nothing_pinned_or_split() -> None:
    """Its Services and routes are their users' own again; what was ours goes with it."""
    seen = routed().start().until_stage("pause").cluster.observed()
    assert retire(seen).actions == (act.SetSplit(ROUTE, {}), act.SetPin("web", None))


def test_a_service_that_is_only_fenced_is_given_back_when_its_deployment_is_deleted() -> None:
    """It names no ReplicaSet, and would find none of the next Deployment's pods."""
    seen = ReleaseBuilder().service().start().cluster.observed()
    (root,) = seen.roots
    fenced = replace(seen, roots=(replace(root, pin=None, fenced=True),))
    assert retire(fenced).actions == (act.SetPin("web", None),)


SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_reconciler_that_dies_between_any_two_writes_ends_where_it_would_have(seed: int) -> None:
    """Crash at any point, restart: the same Releases end in the same way."""

    def ending(build: Callable[[], ReleaseBuilder]) -> list[tuple[str, str, Phase]]:
        story = build().start().until_stage("pause")
        story.cluster.apply("v3")
        story.to_the_end().assert_only("v3")
        return [_summary(release) for release in story.cluster.finished]

    assert ending(lambda: routed().crashing(seed)) == ending(routed)


def _summary(release: Release) -> tuple[str, str, Phase]:
    return release.spec.version, release.spec.stable.version, release.status.phase


@pytest.mark.parametrize("policy", ["Deny", "Skip"])
def test_a_policy_says_what_becomes_of_a_step_that_a_route_cannot_carry(policy: str) -> None:
    """Denied before any traffic, or left out, with the reason."""
    match = (HeaderMatch(header_name="X-Team", header_value=StringMatch(exact="qa")),)
    header = Step(set_header_route=HeaderRoute(name="qa", match=match))
    guardrails = Guardrails(on_unsupported_step=policy)  # type: ignore[arg-type]
    builder = ReleaseBuilder().routed().steps(header, 25).spec(guardrails=guardrails)
    story = builder.start()
    story.cluster.routes[ROUTE].lacks = "it can't carry the header route"
    story.to_the_end()
    ended = story.cluster.finished[-1].status
    if policy == "Deny":
        assert (ended.phase, ended.reason) == (Phase.ABORTED, "Unsupported")
        story.assert_only("v1")
        return
    assert ended.phase is Phase.SUCCEEDED
    assert ended.skipped == ("headers",)
    assert any("left out, as the policy allows: it can't" in note for note in ended.notes)
    assert not any(s.headers for split in story.did(act.SetSplit) for s in split.shares.values())
