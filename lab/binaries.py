"""Finds the programs of a control plane, or builds them once from pinned Go modules."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from lab import bundle
from lab.errors import BuildError, ProgramMissingError

CONTROL_PLANE: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm")
MODULES: Final = Path(__file__).parent
"""The folder of the go.mod whose ``tool`` lines are the list of programs."""

_BUILT_AS: Final = {"etcd": "server"}
"""Go names a program after its folder; these are the ones that people know by another name."""
_KUBERNETES: Final = re.compile(r"^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\S+)", re.MULTILINE)
_GATEWAY_API: Final = "sigs.k8s.io/gateway-api"


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where each program is.

    ``programs`` maps the names of ``CONTROL_PLANE`` to files; ``gateway_crds`` is a folder of
    the Gateway API's CRDs (standard channel).
    """

    programs: dict[str, Path]
    gateway_crds: Path

    def __getitem__(self, program: str) -> str:
        """The path of one program, as an argument for starting it."""
        return str(self.programs[program])


def find(assets: Path | None = None, modules: Path | None = None) -> Binaries:
    """Return all programs: from ``assets``, a bundle, the cache, else built (minutes, once).

    ``assets`` defaults to the environment's ``KUBEBUILDER_ASSETS``; what that folder lacks comes
    from the bundle that ``SLIPWAY_LAB_BUNDLE`` names (see `lab.bundle`), and what both lack from
    the cache. ``modules`` is the folder with the go.mod that pins the versions (environment
    ``SLIPWAY_LAB_MODULES``). Raises ProgramMissingError without Go, BuildError if Go fails,
    BundleError if the bundle is not what its digest says.
    """
    modules = modules or Path(os.environ.get("SLIPWAY_LAB_MODULES", MODULES))
    given = [assets or _from_environment("KUBEBUILDER_ASSETS"), bundle.fetch(_cache_root())]
    folders = [folder for folder in given if folder is not None]
    programs = {name: path for name in CONTROL_PLANE if (path := _given(folders, name))}
    crds = next((f / "crds" for f in folders if (f / "crds").is_dir()), None)
    if crds is None or len(programs) < len(CONTROL_PLANE):
        built = cache_folder(modules)
        if not built.exists():
            build(modules, built)
        programs = {name: built / "bin" / name for name in CONTROL_PLANE} | programs
        crds = crds or built / "crds"
    return Binaries(programs, crds)


def _given(folders: Sequence[Path], name: str) -> Path | None:
    found = (bundle.program(folder, name) for folder in folders)
    return next((path for path in found if path), None)


def traefik() -> str:
    """The path of Traefik, which a Python package brings into this environment."""
    path = Path(sys.executable).parent / "traefik"
    if not path.exists():
        raise ProgramMissingError("traefik", "run `make install`, which puts it into .venv/bin")
    return str(path)


def missing(modules: Path | None = None) -> str | None:
    """Why the programs cannot be had here, or None if they are there or can be built."""
    modules = modules or Path(os.environ.get("SLIPWAY_LAB_MODULES", MODULES))
    if not cache_folder(modules).exists() and shutil.which("go") is None:
        return "no control-plane programs in the cache, and no Go to build them with"
    if not (Path(sys.executable).parent / "traefik").exists():
        return "no Traefik beside this Python"
    return None


def cache_folder(modules: Path = MODULES) -> Path:
    """The folder of the programs that these pins give; another pin means another folder."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((modules / name).read_bytes())
    return _cache_root() / f"programs-{digest.hexdigest()[:16]}"


def build(modules: Path, into: Path) -> None:
    """Build every ``tool`` of go.mod and copy the CRDs; callers at the same time build once."""
    go = shutil.which("go")
    if go is None:
        raise ProgramMissingError(
            "go",
            "install a Go toolchain (1.26 or newer), or point KUBEBUILDER_ASSETS to a folder with "
            + ", ".join(CONTROL_PLANE),
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    with _locked(into.with_suffix(".lock")):
        if into.exists():
            return
        click.echo(f"building {', '.join(CONTROL_PLANE)}: once, for some minutes", err=True)
        work = Path(tempfile.mkdtemp(prefix="build-", dir=into.parent))
        try:
            _build_programs(go, modules, work / "bin")
            copy_crds(go, modules, work / "crds")
            work.rename(into)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def copy_crds(go: str, modules: Path, into: Path) -> None:
    """Copy the Gateway API's CRDs out of its Go module, so that later runs need no Go."""
    source = _go([go, "list", "-m", "-f", "{{.Dir}}", _GATEWAY_API], modules).strip()
    if not source:
        _go([go, "mod", "download", _GATEWAY_API], modules)
        source = _go([go, "list", "-m", "-f", "{{.Dir}}", _GATEWAY_API], modules).strip()
    into.mkdir(parents=True)
    for crd in sorted(Path(source, "config", "crd", "standard").glob("*.yaml")):
        (into / crd.name).write_bytes(crd.read_bytes())  # the module cache is read-only, ours not


def kubernetes_version(modules: Path = MODULES) -> tuple[str, str, str]:
    """The pinned version of Kubernetes as ``(v1.2.3, 1, 2)``, read from go.mod."""
    found = _KUBERNETES.search((modules / "go.mod").read_text())
    if found is None:
        raise BuildError("reading the version of k8s.io/kubernetes", str(modules / "go.mod"))
    return found[1], found[2], found[3]


def _build_programs(go: str, modules: Path, into: Path) -> None:
    version, major, minor = kubernetes_version(modules)
    package = "k8s.io/component-base/version"
    flags = (
        f"-s -w -X {package}.gitVersion={version}"
        f" -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
    into.mkdir(parents=True)
    _go([go, "build", "-o", f"{into}/", "-trimpath", "-ldflags", flags, "tool"], modules)
    for known, built in _BUILT_AS.items():
        (into / built).rename(into / known)


def _go(argv: list[str], folder: Path) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(" ".join(argv[:3]), done.stdout + done.stderr)
    return done.stdout


def _cache_root() -> Path:
    own = _from_environment("SLIPWAY_CACHE")
    shared = _from_environment("XDG_CACHE_HOME") or Path.home() / ".cache"
    return own or shared / "slipway"


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
