"""The rules that must never break, for any release and whatever comes in between."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from release_builder import UNTIL_APPROVED, ReleaseBuilder, Story

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

TESTERS = HeaderRoute("testers", (HeaderMatch("x-tester", StringMatch(exact="yes")),))
SMOKE = AnalysisStep((TemplateRef("smoke"),))
SHAPES = ["route", "service", "mixed", "two roots", "two routes", "shared", "nothing"]
STEPS = st.lists(
    st.one_of(
        st.integers(0, 100),
        st.just(timedelta(seconds=20)),
        st.just(UNTIL_APPROVED),
        st.sampled_from(
            [
                Step(set_canary_scale=CanaryScale(replicas=2)),
                Step(set_canary_scale=CanaryScale(percent=0)),
                Step(set_canary_scale=CanaryScale(match_traffic_weight=True)),
                Step(set_header_route=TESTERS),
                Step(set_header_route=HeaderRoute(TESTERS.name)),
                Step(set_mirror_route=MirrorRoute("copy", percentage=50)),
                Step(analysis=SMOKE),
            ]
        ),
    ),
    max_size=5,
)
GREEN = st.fixed_dictionaries(
    {},
    optional={
        "preview": st.just(Preview("next.example", TESTERS)),
        "preview_replica_count": st.integers(1, 3),
        "auto_promotion_enabled": st.booleans(),
        "auto_promotion_seconds": st.just(20),
        "pre_promotion_analysis": st.just(SMOKE),
        "post_promotion_analysis": st.just(SMOKE),
        "scale_down_delay_seconds": st.sampled_from([0, 40]),
    },
)
KINDS = [
    "abort",
    "v3",
    "back",
    "unready",
    "vanish",
    "stable pod dies",
    "pause",
    "unpause",
    "delete release",
    "delete route",
    "retry",
    "skip",
    "promote",
    "fails",
    "inconclusive",
]


@dataclass(frozen=True)
class Case:
    """A release and what comes in between, by number of seconds passed or slept over."""

    shape: str
    replicas: int
    steps: list[int | timedelta | str | Step]
    green: dict[str, Any] | None
    extra: int | None
    manual: bool
    drain: int
    seed: int | None
    events: list[tuple[int, str]]


CASES = st.builds(
    Case,
    shape=st.sampled_from(SHAPES),
    replicas=st.integers(1, 6),
    steps=STEPS,
    green=st.one_of(st.none(), st.none(), GREEN),
    extra=st.one_of(st.none(), st.integers(1, 3)),
    manual=st.booleans(),
    drain=st.sampled_from([0, 1, 10, 30]),
    seed=st.one_of(st.none(), st.integers(0, 1000)),
    events=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(KINDS)), max_size=4),
)


def build(case: Case) -> Story:
    """The story of a case, right after v2 was applied."""
    release = ReleaseBuilder().replicas(case.replicas).steps(*case.steps).drain(case.drain)
    release.spec(promotion="Manual" if case.manual else "Automatic")
    if case.green is not None:
        release.blue_green(**case.green)
    elif case.extra is not None:
        release.extra_pods(case.extra)
    match case.shape:
        case "route":
            release.routed()
        case "service":
            release.service()
        case "mixed":
            release.routed().service("admin")
        case "two roots":
            release.routed("web", "api")
        case "two routes":
            release.routed().routed("api", "web")
        case "shared":
            release.routed().service("all", shared=True)
    if case.seed is not None:
        release.crashing(case.seed)
    return release.start()


def disturb(story: Story, what: str) -> None:  # noqa: C901, PLR0912 one row an interruption
    """One thing that comes in between."""
    cluster = story.cluster
    match what:
        case "abort":
            cluster.change_release(abort=True)
        case "v3":
            cluster.apply("v3")
        case "back":
            cluster.apply("v1")
        case "unready" | "vanish" if _on_its_way(story):
            story.rules.lossy = True
            (cluster.unready if what == "unready" else cluster.vanish)(cluster.version)
        case "stable pod dies":
            serving = cluster.replicasets[f"h-{story.serving}"].pods
            if sum(pod.ready(cluster.now) for pod in serving) > 1:
                serving.pop(0)
        case "pause" | "unpause":
            cluster.change_release(paused=what == "pause")
        case "delete release":
            story.rules.forget()
            cluster.delete_release()
        case "delete route":
            cluster.delete_route()
        case "retry":
            cluster.retry()
        case "skip":
            cluster.change_release(skip=story.status.step + 1)
        case "promote":
            cluster.change_release(promote=True)
        case "fails" | "inconclusive" if cluster.release:
            story.answer("Failed" if what == "fails" else "Inconclusive")


def _on_its_way(story: Story) -> bool:
    """A new version that is still guarded."""
    guarded = story.cluster.hold is not None and story.status.stage not in ("lift", "clean")
    return guarded and story.cluster.version != story.serving


@settings(max_examples=300, deadline=None)
@given(CASES)
@example(Case("route", 1, [], None, None, False, 0, None, [(1, "abort"), (3, "delete release")]))
def test_every_release_ends_and_no_rule_breaks_on_the_way(case: Case) -> None:
    """Rules 1 to 7 of the design, after every single write and second."""
    story = build(case)
    seconds = 0
    for at, what in sorted(case.events):
        while seconds < at:
            story.rest()
            story.pass_time()
            seconds += 1
        disturb(story, what)
    story.cluster.change_release(paused=False)
    story.to_the_end()
    cluster = story.cluster
    if cluster.hold is None:
        story.assert_only(cluster.version)
    else:
        assert cluster.hold.aborted
        assert cluster.marked_failed
        if cluster.finished:  # a Release that was deleted at its very end tells nothing any more
            assert story.status.phase is Phase.ABORTED
        story.assert_only(story.serving)
