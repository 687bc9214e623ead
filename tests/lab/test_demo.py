"""The demo on a real cluster, as a pipeline without a terminal runs it."""

import signal
import subprocess
import sys

import pytest

from lab import registry, requirements

pytestmark = pytest.mark.e2e

_LONGEST = 300  # seconds


def test_the_demo_shows_a_good_release_and_one_that_is_held_back() -> None:
    """Exit code 0 means: v2 went out, v3 did not, and no request failed."""
    demo = _start()
    out, errors = demo.communicate(timeout=_LONGEST)
    assert demo.returncode == 0, out + errors
    assert "\x1b" not in out
    assert "v2 Waiting/pause" in out
    assert "v2 Succeeded" in out
    assert 'error: deployment "shop" exceeded its progress deadline' in out
    assert "v3 Aborted" in out
    assert " 0 failed." in out.splitlines()[-1]
    assert _labs_of(demo) == []


def test_ctrl_c_ends_the_demo_and_its_cluster() -> None:
    """Interrupted in the middle of an act, it leaves nothing behind."""
    demo = _start()
    assert demo.stdout is not None
    lines = iter(demo.stdout.readline, "")
    assert any("$ kubectl apply" in line for line in lines), demo.stderr
    (lab,) = _labs_of(demo)
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130, errors
    assert errors.strip() == "interrupted; the cluster has ended"
    assert _labs_of(demo) == []
    assert registry.processes_of(lab) == []


def _start() -> subprocess.Popen[str]:
    requirements.require(requirements.missing())
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _labs_of(demo: subprocess.Popen[str]) -> list[str]:
    return [entry.id for entry in registry.entries() if entry.owner == demo.pid]
