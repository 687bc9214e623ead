"""Programs are found, or built once for each set of pins."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import binaries
from lab.errors import BuildError, ProgramMissingError

GO = """#!/bin/sh
# Stands in for Go: notes each build, and makes empty programs and a module with one CRD.
case "$1" in
build)
    echo built >> "{notes}"; sleep 0.2; cd "$3"
    touch server kube-apiserver kube-controller-manager kubectl helm;;
list)
    mkdir -p "{module}/config/crd/standard"; touch "{module}/config/crd/standard/a.yaml"
    echo "{module}";;
esac
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "go.mod").write_text("require (\n\tk8s.io/kubernetes v1.37.2\n)\n")
    (folder / "go.sum").write_text("sums\n")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    notes = tmp_path / "builds"
    program = tmp_path / "path" / "go"
    program.parent.mkdir()
    program.write_text(GO.format(notes=notes, module=tmp_path / "module"))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return lambda: len(notes.read_text().splitlines()) if notes.exists() else 0


def test_programs_are_built_once_and_then_found(modules: Path, go: Callable[[], int]) -> None:
    """The second search needs no Go."""
    found = binaries.find(modules=modules)
    assert binaries.find(modules=modules) == found
    assert go() == 1
    assert all(path.exists() for path in found.programs.values())
    assert found["etcd"].endswith("/etcd")
    assert [crd.name for crd in found.gateway_crds.iterdir()] == ["a.yaml"]


def test_callers_at_the_same_time_build_once(modules: Path, go: Callable[[], int]) -> None:
    """Tests that run in parallel on a fresh machine wait for one build."""
    callers = [threading.Thread(target=binaries.find, args=(None, modules)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert go() == 1


def test_another_pin_means_another_build(modules: Path, go: Callable[[], int]) -> None:
    """A changed go.sum is another folder, and the old one stays."""
    first = binaries.find(modules=modules)
    (modules / "go.sum").write_text("other sums\n")
    second = binaries.find(modules=modules)
    assert go() == 2
    assert first.gateway_crds != second.gateway_crds
    assert first.programs["kubectl"].exists()


def test_a_folder_of_the_users_own_programs_comes_first(
    modules: Path, go: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What KUBEBUILDER_ASSETS holds is used; what it lacks comes from the cache."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "kube-apiserver").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    found = binaries.find(modules=modules)
    assert found["kube-apiserver"] == str(assets / "kube-apiserver")
    assert found.programs["helm"].parent != assets
    assert go() == 1


def test_without_go_the_user_is_told_what_to_do(
    modules: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error names both ways out: a Go toolchain, or a folder with the programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissingError, match=r"Go toolchain.*KUBEBUILDER_ASSETS"):
        binaries.find(modules=modules)
    reason = binaries.missing(modules)
    assert reason is not None
    assert "no Go" in reason


def test_a_failed_build_leaves_nothing_that_looks_like_one(
    modules: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try starts anew."""
    broken = tmp_path / "broken" / "go"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho proxy unreachable >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BuildError, match="proxy unreachable"):
        binaries.find(modules=modules)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_the_version_is_read_from_the_pins(modules: Path) -> None:
    """go.mod is the only place that names the version of Kubernetes."""
    assert binaries.kubernetes_version(modules) == ("v1.37.2", "1", "37")
    version, major, _ = binaries.kubernetes_version()
    assert version.startswith(f"v{major}.")
