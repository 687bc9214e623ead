"""The demo ends well only if everything that it promises was so."""

from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

import lab.demo.__main__ as program
from lab.cluster import Lab
from lab.demo.script import Broken
from lab.demo.state import Command
from lab.demo.story import Act, Share, tell
from lab.demo.verdict import verdict
from lab.probe import Report
from tests.lab.demo_stories import NOW, answers, halfway, pod, release, story
from webhook.objects.release import Phase

WEIGHTS = (25, 50, 75, 100)
NEVER = Broken.NEVER_READY


def test_a_story_in_which_all_was_well_leaves_nothing_to_say() -> None:
    """v2 went out, v3 was held back, nobody lost a request."""
    assert verdict(story(), WEIGHTS, NEVER) == []


@pytest.mark.parametrize(
    ("version", "change", "said"),
    [
        ("v1", {"failed": 1}, "v1: 1 of 6000 requests failed"),
        ("v1", {"requests": 0}, "v1: no request was made"),
        ("v2", {"outcome": "Aborted", "message": "why"}, "v2 ended Aborted, not Succeeded: why"),
        ("v2", {"outcome": ""}, "v2 had no Release"),
        ("v2", {"rollout": Command("", (), 1)}, "exited with 1, not 0"),
        ("v2", {"failed": 3}, "v2: 3 of 6000 requests failed"),
        ("v2", {"requests": 0}, "v2: no request was made"),
        ("v2", {"strangers": ("shop-x",)}, "not made by kube's own controller: shop-x"),
        ("v2", {"serving": {"v1": 0.01, "v2": 0.99}}, "v2 answered 99.0% of the requests"),
        ("v2", {"serving": {}}, "v2 answered 0.0% of the requests"),
        ("v2", {"shares": ()}, "went through the weights (), not (25, 50, 75, 100)"),
        ("v3", {"outcome": "Succeeded"}, "v3 ended Succeeded, not Aborted"),
        ("v3", {"outcome": "Scaling"}, "v3 ended Scaling, not Aborted"),
        ("v3", {"rollout": Command("", (), 0)}, "exited with 0, not 1"),
        ("v3", {"failed": 1}, "v3: 1 of 6000 requests failed"),
        ("v3", {"requests": 0}, "v3: no request was made"),
        ("v3", {"answers": 2}, "answered 2 requests"),
        ("v3", {"serving": {"v2": 0.5, "v3": 0.5}}, "v2 answered 50.0% of the requests"),
        ("v3", {"strangers": ("shop-y",)}, "not made by kube's own controller: shop-y"),
    ],
)
def test_each_broken_promise_is_named(version: str, change: dict[str, Any], said: str) -> None:
    """One thing that was not so is enough, and it is told."""
    (sentence,) = verdict(story(version, **change), WEIGHTS, NEVER)
    assert said in sentence


def test_a_share_far_from_what_a_step_asked_for_is_named() -> None:
    """Steps that nobody could see in the traffic are no steps."""
    shares = (Share(25, 0.5, 400), Share(50, 0.5, 0), Share(75, 0.7, 400), Share(100, 1.0, 400))
    wrong = verdict(story("v2", shares=shares), WEIGHTS, NEVER)
    assert wrong == [
        "v2 at 25 %: its measured share was 50.0%",
        "v2 at 50 %: no request was measured",
    ]


def test_a_demo_that_was_left_early_is_not_good() -> None:
    """All three versions must have been applied."""
    whole = story()
    early = replace(whole, chapters=whole.chapters[:2])
    assert verdict(early, WEIGHTS, NEVER) == ["not all of v1, v2 and v3 were applied"]


def test_a_version_that_answers_errors_may_fail_its_own_share_only() -> None:
    """With errors asked for, v3's own errors are allowed, and must be there."""
    own = {"shares": (Share(25, 0.0, 100),), "failed": 300, "failed_of": {"v3": 290, "": 10}}
    assert verdict(story("v3", **own), WEIGHTS, Broken.ERRORS) == []
    (none,) = verdict(story("v3"), WEIGHTS, Broken.ERRORS)
    assert "none was seen" in none
    others = {**own, "failed_of": {"v3": 290, "v2": 10}}
    (sentence,) = verdict(story("v3", **others), WEIGHTS, Broken.ERRORS)
    assert "{'v2': 10}" in sentence
    (sentence,) = verdict(story("v3", **{**own, "failed": 1600}), WEIGHTS, Broken.ERRORS)
    assert "1600 of 6000 requests failed: more than 25 %" in sentence


def test_the_program_exits_with_1_and_says_what_was_not_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A pipeline that runs the demo learns of a broken promise, and where the logs are."""

    class NoLab:
        folder = tmp_path

        def __enter__(self) -> "NoLab":
            return self

        def __exit__(self, *_: object) -> None: ...

    bad = story("v2", failed=7)
    monkeypatch.setattr(Lab, "start", lambda **_: NoLab())
    monkeypatch.setattr(program, "play", lambda *_: (bad, []))
    result = CliRunner().invoke(program.main, [])
    assert result.exit_code == 1
    assert "v2: 7 of 6000 requests failed" in result.output
    assert str(tmp_path / "logs") in result.output
    assert "Aborted" in result.output, "the summary is shown all the same"


def test_the_story_is_told_from_what_was_seen() -> None:
    """Requests, shares, failures and pods are those of the act's own time."""
    up = [
        halfway(at=NOW + n / 4, release=release(asked=asked, phase=phase, stage=stage))
        for n, (asked, phase, stage) in enumerate(
            [(0, Phase.SCALING, "scale")] * 4
            + [(50, Phase.SHIFTING, "shift")] * 4
            + [(50, Phase.WAITING, "pause")] * 4
            + [(100, Phase.PROMOTING, "shift")] * 2
            + [(100, Phase.SUCCEEDED, "")] * 6
        )
    ]
    report = Report(
        tuple(
            [
                *answers("v1", NOW - 5, 2, status=500),  # before the act
                *answers("v1", NOW, 3),
                *answers("v2", NOW + 1.5, 1.5),
                *answers("", NOW + 2, 0.05, status=503),
                *answers("v2", NOW + 3, 2),
            ]
        )
    )
    act = Act("v2", NOW, NOW + 5, Command("kubectl rollout status", (), 0))
    told = tell([act], up, report, {"shop-v1"}).of("v2")
    assert told is not None
    assert (told.outcome, told.seconds) == ("Succeeded", 3.5)
    assert (told.requests, told.failed, told.failed_of) == (655, 5, {"": 5})
    assert [share.asked for share in told.shares] == [50, 100]
    assert told.shares[0].measured == pytest.approx(75 / 155)
    assert told.shares[1].measured == 1.0
    assert told.serving == {"v2": 1.0}
    assert told.strangers == ("d", "e"), "their ReplicaSet is not known"


def test_a_pod_that_somebody_else_made_is_a_stranger() -> None:
    """An owner is easily written; the field manager that created it tells who it was."""
    forged = replace(pod("x", "v2"), made_by="slipway-reconciler")
    state = halfway(pods=(pod("a", "v1"), forged))
    act = Act("v2", NOW, NOW + 1, Command("", (), 0))
    told = tell([act], [state], Report(()), {"shop-v1", "shop-v2"}).of("v2")
    assert told is not None
    assert told.strangers == ("x",)
    assert told.serving == {}, "no answer at all is not a share of all"


def test_weights_on_the_way_back_are_no_steps() -> None:
    """A rollback's weight 0 after 25 is not a step of the plan."""
    states = [
        halfway(at=NOW, release=release(asked=25, phase=Phase.WAITING, stage="pause")),
        halfway(at=NOW + 1, release=release(asked=25, phase=Phase.WAITING, stage="pause")),
        halfway(
            at=NOW + 2,
            release=release(phase=Phase.ROLLING_BACK, stage="retreat", outcome=Phase.ABORTED),
        ),
    ]
    act = Act("v2", NOW, NOW + 3, Command("", (), 1))
    told = tell([act], states, Report(tuple(answers("v1", NOW, 3))), ()).of("v2")
    assert told is not None
    assert [(share.asked, share.measured) for share in told.shares] == [(25, 0.0)]
    assert told.outcome == "RollingBack"


def test_errors_count_for_the_share_of_the_version_that_answers_them() -> None:
    """A version that fails every request has its share of the traffic all the same."""
    states = [
        halfway(at=NOW + n, release=release("v3", "v2", asked=25, phase=Phase.WAITING))
        for n in range(3)
    ]
    report = Report(tuple([*answers("v2", NOW, 3), *answers("v3", NOW, 3, status=500)]))
    act = Act("v3", NOW, NOW + 3, Command("", (), 1))
    told = tell([act], states, report, ()).of("v3")
    assert told is not None
    assert told.shares[0].measured == pytest.approx(0.5)
    assert told.serving == {"v2": pytest.approx(0.5), "v3": pytest.approx(0.5)}
    assert (told.answers, told.failed_of) == (300, {"v3": 300})
