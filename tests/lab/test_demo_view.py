"""What the demo shows: one live view on a terminal, one line for each change elsewhere."""

import io
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from lab.demo.lines import lines
from lab.demo.meter import Meter
from lab.demo.observer import Watch, newest, read_pod
from lab.demo.progress import marks, wait_of
from lab.demo.screen import LineScreen
from lab.demo.state import Command, State
from lab.demo.summary import poster, summary, write_picture
from lab.demo.view import sparkline, view
from tests.lab.demo_stories import NOW, answers, halfway, release, story
from webhook.objects.release import Phase


def drawn(what: RenderableType, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def row(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.strip("│ ").startswith(start))
    return line.strip("│ ").split()


def test_the_view_shows_pods_shares_release_and_requests_at_a_glance() -> None:
    """Command, phase, reason, step, pods per version, asked and measured, errors."""
    text = drawn(view(halfway()))
    assert "$ kubectl apply -f v2.yaml" in text
    assert "deployment.apps/shop configured" in text
    assert row(text, "release")[:7] == ["release", "shop-2", "v1", "→", "v2", "Waiting", "Paused"]
    assert "25 % · pause 2s · 50 % ·  pause 2s  · 100 %" in text, "the present one stands out"
    assert "v2 has 50 % of the traffic" in text
    assert "pause 1.0 of 2 s" in text
    assert row(text, "v1") == ["v1", "■", "■", "▨", "2/2", "50", "%", "51", "%", "█▄"]
    assert row(text, "v2") == ["v2", "■", "□", "1/2", "50", "%", "49", "%", "▄"]
    assert row(text, "requests")[:7] == ["requests", "12", "345", "a", "second", "200", "failed"]
    assert "1:05" in text


def test_the_view_fits_into_80_columns() -> None:
    """Nothing is wrapped: each line of the view is one line of the terminal."""
    narrow, wide = drawn(view(halfway()), 80), drawn(view(halfway()), 120)
    assert len(narrow.splitlines()) == len(wide.splitlines())
    assert max(len(line) for line in narrow.splitlines()) <= 80


def test_the_view_has_something_to_show_before_anything_is_there() -> None:
    """The first look happens before the first apply."""
    text = drawn(view(State(at=NOW)))
    assert "nothing serves yet" in text
    assert "requests 0" in text


def test_a_failed_command_shows_its_exit_code() -> None:
    """`kubectl rollout status` exits 1 for the version that was held back."""
    command = Command("kubectl rollout status deployment/shop", ("error: exceeded",), 1)
    assert "exit code 1" in drawn(view(halfway(commands=(command,))))


def test_what_a_version_should_have_follows_its_release() -> None:
    """At rest all traffic is asked of whoever serves."""
    alone = halfway(release=None, versions=("v1",))
    assert alone.asked("v1") == 100
    assert (halfway().asked("v1"), halfway().asked("v2")) == (50, 50)
    done = halfway(release=release(asked=100, phase=Phase.SUCCEEDED))
    assert (done.asked("v1"), done.asked("v2")) == (0, 100)
    back = halfway(release=release("v3", "v2", phase=Phase.ABORTED, outcome=Phase.ABORTED))
    assert (back.asked("v1"), back.asked("v2"), back.asked("v3")) == (0, 100, 0)


@pytest.mark.parametrize(
    ("stage", "what", "of"),
    [
        ("scale", "progress deadline", 12),
        ("shift", "settle", 3),
        ("unname", "settle", 3),
        ("drain", "drain", 5),
        ("pause", "pause", 2),
    ],
)
def test_what_takes_a_known_time_is_shown_as_progress(stage: str, what: str, of: float) -> None:
    """Settle, drain, pause and the deadline: how long already, and how long in all."""
    wait = wait_of(release(phase=Phase.WAITING, stage=stage, step=1, since=1.5), NOW)
    assert wait is not None
    assert (wait.what, wait.past, wait.of) == (what, 1.5, of)


def test_no_progress_is_shown_where_nothing_says_when_it_ends() -> None:
    """Not before the change is in effect, not for pods that end, not after the end."""
    assert wait_of(release(phase=Phase.SHIFTING, stage="shift", stage_since=None), NOW) is None
    assert wait_of(release(phase=Phase.PROMOTING, stage="lift"), NOW) is None
    assert wait_of(release(phase=Phase.SUCCEEDED, stage="scale"), NOW) is None


def test_steps_are_done_one_after_the_other_and_none_is_present_on_the_way_back() -> None:
    """The plan with what is done, what is now, and what is still to come."""
    found = marks(release(phase=Phase.SHIFTING, step=2))
    assert [mark.text for mark in found] == ["25 %", "pause 2s", "50 %", "pause 2s", "100 %"]
    assert [mark.done for mark in found] == [True, True, False, False, False]
    assert [mark.now for mark in found] == [False, False, True, False, False]
    assert marks(release(phase=Phase.PROMOTING, step=4))[-1].now
    assert all(mark.done for mark in marks(release(phase=Phase.SUCCEEDED, step=4)))
    back = marks(release(phase=Phase.ROLLING_BACK, step=2, outcome=Phase.ABORTED))
    assert not any(mark.now for mark in back)


def test_a_share_that_is_small_can_still_be_seen() -> None:
    """A bar is empty only if there was nothing."""
    assert sparkline((0.0, 0.01, 0.5, 1.0)) == " ▁▄█"


def test_plain_lines_come_only_with_changes() -> None:
    """A second look at the same state prints nothing; the count of requests is no change."""
    state = halfway()
    later = replace(state, traffic=replace(state.traffic, total=99999), elapsed=66.0)
    (command, output, line) = lines(None, state)
    assert command.endswith("$ kubectl apply -f v2.yaml")
    assert output.strip() == "deployment.apps/shop configured"
    for part in ("1:05", "v2 Waiting/pause step 4 of 4", "v2 50/49%", "v2 1/2", "failed 0"):
        assert part in line
    assert "v1 2/2 (+1 ending)" in line
    assert "Paused: v2 has 50 % of the traffic" in line
    assert lines(state, later) == []
    failed = replace(state, traffic=replace(state.traffic, failed=1))
    assert len(lines(state, failed)) == 1
    assert len(lines(state, halfway(release=release(phase=Phase.PROMOTING)))) == 1


def test_a_command_is_told_when_typed_and_its_end_when_it_ends() -> None:
    """A command that runs for a while is printed once, its output later."""
    running = halfway(commands=(Command("kubectl rollout status"),))
    ended = halfway(commands=(Command("kubectl rollout status", ("error: no",), 1),))
    before = halfway(commands=())
    assert lines(before, running) == [" 1:05 $ kubectl rollout status"]
    assert lines(running, ended) == ["        error: no", "        exit code 1"]
    assert len(lines(before, ended)) == 3


def test_plain_lines_hold_no_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs and pipes get text."""
    with LineScreen() as screen:
        screen.say("starting")
        screen.show(halfway())
    out = capsys.readouterr().out
    assert out.startswith("starting\n")
    assert "\x1b" not in out
    assert out.isprintable() or set(out) - {"\n"} == {c for c in out if c.isprintable()}


def test_the_summary_has_a_row_for_each_version() -> None:
    """Outcome, requests, failures, shares and what rollout status said."""
    text = drawn(summary(story()))
    assert row(text, "v1")[:3] == ["v1", "not", "held"]
    assert row(text, "v2")[:6] == ["v2", "Succeeded", "30.0", "s", "6000", "0"]
    assert "50 →  50.0 %" in text
    assert row(text, "v3")[-2:] == ["exit", "1"]


def test_the_picture_is_of_the_middle_of_the_release_and_loads_nothing(tmp_path: Path) -> None:
    """A valid SVG with the view at 50 % and the summary, and no font from afar."""
    early = halfway(release=release(phase=Phase.SCALING, stage="scale"))
    moments = [halfway(elapsed=float(n)) for n in (1, 2, 3)]
    moment = poster([early, *moments])
    assert moment is moments[1]
    assert poster([early]) is None
    path = tmp_path / "images" / "demo.svg"
    write_picture(path, moment, story())
    text = path.read_text(encoding="utf-8")
    ET.fromstring(text)  # noqa: S314  # our own file
    assert "url(http" not in text.replace('"', "")
    assert "Succeeded" in text


def test_the_meter_tells_the_last_second_and_the_seconds_before() -> None:
    """An error is an answer too: it counts for the share of the version that gave it."""
    meter = Meter()
    meter.add(answers("v1", NOW - 4, 3))
    meter.add(answers("v1", NOW - 1, 1))
    meter.add(answers("v2", NOW - 1, 0.9))
    meter.add(answers("v2", NOW - 1, 0.1, status=500))
    traffic = meter.traffic(NOW + 0.3)
    assert (traffic.total, traffic.failed, traffic.rate) == (500, 10, 200)
    assert traffic.shares == {"v1": 0.5, "v2": 0.5}
    assert traffic.history["v1"] == (1.0, 1.0, 1.0, 0.5)
    assert traffic.history["v2"] == (0.0, 0.0, 0.0, 0.5)
    assert Meter().traffic(NOW).shares == {}


def test_the_newest_release_is_shown() -> None:
    """Of two releases made in the same second, the later generation."""

    def made(name: str, at: str) -> dict[str, Any]:
        spec = {
            "deployment": {"name": "shop", "uid": "1"},
            "policy": {"kind": "ReleasePolicy", "name": "p"},
            "version": name,
            "revision": "r",
            "podLabels": {},
            "stable": {"hash": "h", "version": "v1", "revision": "r"},
            "strategy": {"canary": {}},
            "traffic": {},
            "progressDeadlineSeconds": 1,
        }
        meta = {"name": name, "namespace": "shop", "creationTimestamp": at}
        return {"metadata": meta, "spec": spec}

    same = "2026-01-01T00:00:01Z"
    found = newest([made("shop-9", same), made("shop-10", same), made("shop-11", same[:-2] + "0Z")])
    assert found is not None
    assert found.name == "shop-10"
    assert newest([]) is None


def test_a_pod_is_read_with_its_maker() -> None:
    """The first manager of a pod's fields is who created it; status updates are not."""
    seen = read_pod(
        {
            "metadata": {
                "name": "shop-abc-1",
                "labels": {"slipway.dev/version": "v2"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "shop-abc", "controller": True}],
                "managedFields": [
                    {"manager": "kubelet", "time": "2026-01-01T00:00:00Z", "subresource": "status"},
                    {"manager": "slipway", "time": "2026-01-01T00:00:09Z"},
                    {"manager": "kube-controller-manager", "time": "2026-01-01T00:00:01Z"},
                ],
            },
            "spec": {"containers": [{"image": "shop:v1"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
    )
    assert (seen.version, seen.ready, seen.ending) == ("v2", True, False)
    assert (seen.owner, seen.made_by) == ("shop-abc", "kube-controller-manager")
    bare = read_pod({"metadata": {"name": "x"}, "spec": {"containers": [{"image": "shop:v1"}]}})
    assert (bare.version, bare.owner, bare.made_by) == ("v1", "", "")


def test_whoever_waits_learns_why_nothing_is_seen_any_more() -> None:
    """An API server that is gone ends the demo instead of freezing it."""

    def look() -> State:
        raise ConnectionError("gone")

    with Watch(look, lambda _: None) as watch, pytest.raises(ConnectionError, match="gone"):
        watch.wait(lambda _: True, 5)


def test_waiting_is_over_when_the_condition_is_seen_or_the_time_is_up() -> None:
    """A release that never ends must not hold the demo for ever."""
    numbers = iter(range(1000))
    shown: list[State] = []
    with Watch(lambda: State(at=float(next(numbers))), shown.append) as watch:
        assert watch.wait(lambda state: state.at >= 2, 10)
        assert not watch.wait(lambda state: state.at < 0, 0.3)
    assert shown == watch.states
