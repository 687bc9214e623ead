"""Labs know each other by what the kernel says, and by nothing that a person can set."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from lab import registry

OWN_AND_WAIT = (
    "import sys\n"
    "from lab import registry\n"
    "print(registry.new_folder().name, flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lab of this machine is touched."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_lab_is_kept_when_the_machines_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start times of processes move with the clock; a lab's owner is still its owner."""
    with _owner() as owner:
        lab = _lab_of(owner)
        began = psutil.boot_time()
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: began + 1)
        assert registry.collect_garbage() == []
        assert (registry.root() / lab).exists()
        owner.kill()


def test_a_lab_whose_owner_was_killed_is_cleared_away() -> None:
    """The lock ends with the process, however it ends."""
    with _owner() as owner:
        lab = _lab_of(owner)
        owner.kill()
    assert registry.collect_garbage() == [lab]
    assert not (registry.root() / lab).exists()


def _owner() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OWN_AND_WAIT],
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _lab_of(owner: subprocess.Popen[str]) -> str:
    assert owner.stdout is not None
    return owner.stdout.readline().strip()
