"""Labs start, stand side by side, and leave nothing behind, however they end."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from lab import registry, requirements
from lab.cluster import Lab
from lab.processes import poll_until

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
START_AND_WAIT = (
    "import time\n"
    "from lab.cluster import Lab\n"
    "with Lab.start() as lab:\n"
    "    print(lab.id, lab.network.holder.pid, flush=True)\n"
    "    time.sleep(600)\n"
)
START_AND_LOOK = (
    "from lab.cluster import Lab\n"
    "with Lab.start() as lab:\n"
    "    print(lab.kubectl('get', 'nodes', '-o', 'name').stdout)\n"
)


@pytest.fixture(autouse=True)
def _possible() -> None:
    requirements.require(requirements.missing())


def test_a_lab_that_ends_leaves_no_process_and_no_namespace() -> None:
    """Every program that carries the lab's mark is gone, and so is the network."""
    with Lab.start() as lab:
        namespace = _namespace_of(lab.network.holder.pid)
        marked = registry.processes_of(lab.id)
        assert len(marked) >= 6
        assert lab.kubectl("get", "nodes", "-o", "name").stdout == "node/lab\n"
    assert registry.processes_of(lab.id) == []
    assert not _in_namespace(namespace)
    assert not lab.folder.exists()


def test_two_labs_run_side_by_side() -> None:
    """Same ports, same addresses, other clusters: what is made in one is not in the other."""
    labs: list[Lab] = []
    threads = [threading.Thread(target=lambda: labs.append(Lab.start())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        first, second = labs
        name = first.namespace("only-here")
        assert first.find("namespaces", name) is not None
        assert second.find("namespaces", name) is None
        assert first.network.ports != second.network.ports
    finally:
        for lab in labs:
            lab.stop()
    assert not any(registry.processes_of(lab.id) for lab in labs)


def test_killing_the_parent_of_a_lab_leaves_nothing_behind() -> None:
    """The owner dies by SIGKILL; the kernel ends the rest."""
    with _python(START_AND_WAIT) as owner:
        assert owner.stdout is not None
        lab, holder = owner.stdout.readline().split()
        namespace = _namespace_of(int(holder))
        assert registry.processes_of(lab)
        owner.kill()
        owner.wait()
    poll_until(lambda: not registry.processes_of(lab), 5, "the lab's programs to end")
    poll_until(lambda: not _in_namespace(namespace), 5, "the namespace to be empty")
    assert lab in registry.collect_garbage()
    assert not (registry.root() / lab).exists()


def test_an_interrupted_lab_ends_in_order() -> None:
    """Ctrl-C ends a lab as its end does: programs and files are gone."""
    with _python(START_AND_WAIT) as owner:
        assert owner.stdout is not None
        lab, _ = owner.stdout.readline().split()
        owner.send_signal(signal.SIGINT)
        owner.wait(30)
    assert not registry.processes_of(lab)


def test_a_lab_needs_no_root() -> None:
    """Inside a user namespace, without any right on the machine, the same lab comes up."""
    nobody = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
    as_nobody = nobody if os.geteuid() == 0 else ()
    done = subprocess.run([*as_nobody, "unshare", "-rn", "true"], capture_output=True, check=False)
    if done.returncode:
        requirements.require(f"no user namespaces here: {done.stderr.decode().strip()}")
    with _python(START_AND_LOOK, *as_nobody) as owner:
        assert owner.stdout is not None
        output = owner.stdout.read()
        assert owner.wait(60) == 0, output
    assert output.strip() == "node/lab"


def test_a_lab_is_kept_in_the_background_and_used_from_the_command_line() -> None:
    """`up --keep`, `status`, `exec` and `down` are enough for a person at a prompt."""
    up = _cli("up", "--keep", "--throttle=100ms")
    lab = up.split()[1]
    assert f"export KUBECONFIG={registry.root() / lab / 'kubeconfig'}" in up
    try:
        assert lab in _cli("status")
        nodes = _cli("exec", "--lab", lab, "--", "kubectl", "get", "nodes", "-o", "name")
        assert nodes == "node/lab\n"
    finally:
        assert "has ended" in _cli("down", lab)
    assert not registry.processes_of(lab)
    assert lab not in _cli("status")


def _python(code: str, *prefix: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def _cli(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lab", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _namespace_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


def _in_namespace(namespace: str) -> list[int]:
    found = []
    for pid in psutil.pids():
        try:
            if os.readlink(f"/proc/{pid}/ns/net") == namespace:
                found.append(pid)
        except OSError:
            continue
    return found
