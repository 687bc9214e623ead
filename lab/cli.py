"""``python -m lab``: real Kubernetes clusters on this machine, without containers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import psutil

from lab import binaries, network, registry
from lab.cluster import Lab
from lab.errors import LabError

_UP_WITHIN = 3600.0  # seconds: the first start may have to build the programs


@click.group(
    help=__doc__,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Start, look at, use and end labs."""


@main.command()
@click.option("--keep", is_flag=True, help="Leave the lab running in the background.")
@click.option(
    "--throttle",
    default="2s",
    show_default=True,
    help="How long Traefik gathers changes before they go live.",
)
@click.option(
    "--assets",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with kube-apiserver, etcd, ... to prefer (default: $KUBEBUILDER_ASSETS).",
)
def up(keep: bool, throttle: str, assets: Path | None) -> None:
    """Start a cluster: etcd, API server, controllers, one node, Traefik.

    The first time, the programs are built from Go modules, which takes some minutes. Without
    --keep the lab ends with this command (Ctrl-C).
    """
    if keep:
        _up_in_background(throttle, assets)
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    began = time.monotonic()
    with Lab.start(throttle=throttle, assets=assets) as lab:
        click.echo(_welcome(registry.pick(lab.id), time.monotonic() - began))
        try:
            signal.pause()
        except KeyboardInterrupt:
            click.echo(f"ending lab {lab.id}")


@main.command()
@click.argument("lab", required=False)
def down(lab: str | None) -> None:
    """End a lab (the only one, or the one named)."""
    entry = registry.pick(lab)
    owner = psutil.Process(entry.owner)
    owner.send_signal(signal.SIGTERM)
    try:
        owner.wait(30)
    except psutil.TimeoutExpired:
        owner.kill()
        owner.wait(5)
    registry.collect_garbage()
    click.echo(f"lab {entry.id} has ended")


@main.command()
def status() -> None:
    """List the labs of this user and their programs."""
    running = [entry for entry in registry.entries() if entry.alive]
    for entry in running:
        click.echo(f"{entry.id}  owner {entry.owner}  {entry.folder}")
        for process in registry.processes_of(entry.id):
            click.echo(f"    {process.pid:>7}  {process.name()}")
    if not running:
        click.echo("no lab is running; start one with `python -m lab up`")


@main.command()
def gc() -> None:
    """Remove what is left of labs whose owner is gone."""
    removed = registry.collect_garbage()
    click.echo(f"removed {', '.join(removed)}" if removed else "nothing to remove")


@main.command("binaries")
def find_binaries() -> None:
    """Find the programs of a cluster, or build them: some minutes, once."""
    found = binaries.find()
    for name, path in found.programs.items():
        click.echo(f"{name}\t{path}")


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--lab", help="Which lab, if there are several.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(lab: str | None, command: Sequence[str]) -> None:
    """Run a command inside a lab's network, e.g. `exec -- kubectl get pods -A`.

    KUBECONFIG is set, and kubectl and helm of the lab come first on PATH.
    """
    entry = registry.pick(lab)
    programs = str(binaries.find().programs["kubectl"].parent)
    env = os.environ | {
        "KUBECONFIG": str(entry.folder / "pki" / "admin.kubeconfig"),
        "PATH": os.pathsep.join((programs, os.environ.get("PATH", ""))),
    }
    done = subprocess.run([*network.entry(entry.holder), *command], env=env, check=False)
    raise SystemExit(done.returncode)


def run() -> None:
    """The entry point: errors of the lab are told in one line, without a traceback."""
    try:
        main()
    except LabError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


def _up_in_background(throttle: str, assets: Path | None) -> None:
    registry.root().mkdir(mode=0o700, exist_ok=True)
    log = registry.root() / "up.log"
    known = {entry.id for entry in registry.entries()}
    argv = [sys.executable, "-m", "lab", "up", f"--throttle={throttle}"]
    argv += [f"--assets={assets}"] if assets else []
    began = time.monotonic()
    with log.open("wb") as output:
        owner = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    while time.monotonic() - began < _UP_WITHIN:
        for entry in registry.entries():
            if entry.id not in known and entry.owner == owner.pid:
                click.echo(_welcome(entry, time.monotonic() - began))
                return
        if owner.poll() is not None:
            raise LabError(f"the lab did not start: {log.read_text().strip()}")
        time.sleep(0.1)


def _welcome(entry: registry.Entry, seconds: float) -> str:
    ports = entry.ports
    return "\n".join(
        (
            f"lab {entry.id} is up after {seconds:.1f} s; logs in {entry.folder / 'logs'}",
            "",
            f"  export KUBECONFIG={entry.folder / 'kubeconfig'}",
            "  kubectl get pods -A                          # from this machine",
            f"  curl -H 'Host: NAME' http://127.0.0.1:{ports['web']}/     # through Traefik",
            f"  python -m lab exec --lab {entry.id} -- kubectl get pods -A  # inside its network",
            f"  python -m lab down {entry.id}",
        )
    )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
