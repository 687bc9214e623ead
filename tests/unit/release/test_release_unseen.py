"""What happened while no webhook saw it, or no reconciler: the next decision mends it."""

from dataclasses import replace

from release_builder import UNTIL_APPROVED, ReleaseBuilder

from webhook.objects.intent import Hold
from webhook.objects.release import Phase
from webhook.projection.template import Keys, Stable
from webhook.release import actions as act
from webhook.release.converge import converge
from webhook.release.plan import plan


def test_a_hold_without_a_released_version_is_lifted() -> None:
    """There is nothing to protect."""
    story = ReleaseBuilder().service().start()
    story.cluster.stable = None
    seen = replace(story.cluster.observed(), serving=None, serves_more=False)
    assert plan(seen, story.cluster.now).actions == (act.LiftHold(),)


def test_a_hold_that_lost_what_was_released_protects_what_serves() -> None:
    """A write without the webhook took all annotations away, and the reconciler held it again."""
    story = ReleaseBuilder().service().start()
    story.cluster.stable, story.cluster.hold = None, Hold(mode="Gate", term=3)
    seen = story.cluster.observed()
    assert seen.serving is not None
    assert plan(seen, story.cluster.now).actions == (act.Protect(seen.serving),)


def test_a_change_that_was_held_while_slipway_was_down_is_taken_up() -> None:
    """The API server's own policy held it; what served then is what is returned to."""
    story = ReleaseBuilder().routed().start(version=None)
    seen, serving = story.cluster.observed(), Stable(revision="r-v1", version="v1", keys=Keys())
    held = replace(seen.deployment, held_by_policy=True)
    waiting = plan(replace(seen, deployment=held, serving=serving), story.cluster.now)
    assert waiting.actions == (act.TakeUp(serving),)


def test_a_change_that_was_held_in_mid_release_while_slipway_was_down_is_taken_up_first() -> None:
    """The pause is the API server's and not the user's, and pods stay as they are until then."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, 50).start().until_stage("pause")
    seen = story.cluster.observed()
    held = replace(seen.deployment, held_by_policy=True, paused_by_user=True)
    waiting = plan(replace(seen, deployment=held), story.cluster.now)
    assert waiting.actions == (act.TakeUp(seen.deployment.stable),)


def test_a_version_that_was_aborted_and_resumed_without_a_webhook_is_tried_again() -> None:
    """`kubectl rollout resume` passed unseen: its hold says paused, and the Deployment is not."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, 50).start().until_stage("pause")
    story.cluster.change_release(abort=True)
    story.to_the_end()
    seen = story.cluster.observed()
    resumed = replace(seen, deployment=replace(seen.deployment, projected=False))
    assert plan(seen, story.cluster.now).actions == ()
    assert plan(resumed, story.cluster.now).actions == (act.SetHold("Gate"),)


def test_on_the_way_back_no_weight_comes_again() -> None:
    """A Service that was made anew, or a write without the webhook, took the split off a route."""
    story = ReleaseBuilder().routed().start().until_stage("repin", Phase.PROMOTING)
    story.cluster.apply("v3")
    story.until_stage("repin", Phase.ROLLING_BACK)
    for route in story.cluster.routes.values():
        route.shares = {}
    seen, release = story.cluster.observed(), story.release
    assert release.status.split == 100
    assert not [a for a in converge(seen, release, release.status) if isinstance(a, act.SetSplit)]


def test_labels_go_before_the_hold_that_leads_to_them() -> None:
    """Whoever crashes between the two finds the rest again."""
    story = ReleaseBuilder().routed().steps(25, UNTIL_APPROVED, 50).start().until_stage("pause")
    story.cluster.delete_release()
    story.cluster.policy = None
    for route in story.cluster.routes.values():
        route.shares = {}
    actions = plan(story.cluster.observed(), story.cluster.now).actions
    assert {act.LabelPod, act.LiftHold} <= {type(action) for action in actions}
    assert isinstance(actions[-1], act.LiftHold)
