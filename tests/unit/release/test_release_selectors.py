"""A Service whose user changed its selector with the pods' labels: it leaves the old pods out."""

from release_builder import UNTIL_APPROVED, ReleaseBuilder, Story

from webhook.objects.release import Phase
from webhook.release import actions as act


def moved() -> ReleaseBuilder:
    """The Service takes in pods of v2 and v3, and none of v1."""
    return ReleaseBuilder().service(only=("v2", "v3")).steps(50, UNTIL_APPROVED)


def test_a_service_that_leaves_the_old_pods_out_does_not_stop_the_release() -> None:
    """It is not pinned, since then it would offer nobody; the new pods have it for themselves."""
    story = moved().start().until_stage("pause")
    assert "does not select the pods of v1" in " ".join(story.status.notes)
    story.cluster.change_release(approve=2)
    story.to_the_end()
    assert not [pin for pin in story.did(act.SetPin) if pin.hash]
    story.assert_only("v2")


def test_new_pods_stay_as_long_as_a_service_selects_nobody_else() -> None:
    """Aborted, the release waits for the Service to be changed back, and says so."""
    story = moved().start().until_stage("pause")
    story.cluster.change_release(abort=True)
    story.until_stage("recover")
    assert "Service web selects new pods only" in story.plan.reason
    assert "they stay until it selects the released ones" in " ".join(story.status.notes)
    there = story.cluster.pods("v2")
    for _ in range(120):
        story.rest()
        story.pass_time()
    assert story.cluster.pods("v2") == there
    assert story.status.stage == "recover"

    service_back(story)
    story.to_the_end()
    assert story.status.phase is Phase.ABORTED
    story.assert_only("v1")


def service_back(story: Story) -> None:
    """Its user applies the Service as it was, which takes in no pod of v2."""
    story.cluster.services["web"].only = frozenset({"h-v1"})
    story.pass_time()


def test_a_newer_version_does_not_wait_for_such_a_service() -> None:
    """v3 repairs what is wrong with v2: its pods take over, after those of v2 have gone."""
    story = moved().start().until_stage("pause")
    story.rules.lossy = True
    story.cluster.apply("v3")
    story.until(lambda s: s.cluster.release is not None and s.cluster.release.spec.version == "v3")
    story.until_stage("pause")
    story.cluster.change_release(approve=2)
    story.to_the_end()
    story.assert_only("v3")


def test_the_old_manifests_end_such_a_release() -> None:
    """Deployment and Service as before: the old pods serve at once, and the new ones go."""
    story = moved().start().until_stage("pause")
    story.cluster.apply("v1")
    service_back(story)
    story.to_the_end()
    assert story.status.phase is Phase.ROLLED_BACK
    story.assert_only("v1")
