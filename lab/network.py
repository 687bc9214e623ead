"""A network namespace of its own for each lab: no port of one meets a port of another.

The namespace has no name. It lives as long as processes are in it, so it cannot be left behind.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import processes
from lab.errors import NetworkError, ProgramMissingError

POD_NETWORK: Final = "10.244.0.0/16"
"""Addresses of pods. All of it is local to the namespace: any address can be listened on."""
SERVICE_NETWORK: Final = "10.96.0.0/16"
"""Addresses of Services. Nothing listens there: there is no kube-proxy."""

_NEEDED: Final = {
    "ip": "install iproute2",
    "unshare": "install util-linux",
    "nsenter": "install util-linux",
    "setpriv": "install util-linux",
}


@dataclass(frozen=True, slots=True)
class Network:
    """One namespace, held by one process of ours."""

    holder: subprocess.Popen[bytes]
    door: Path
    """A Unix socket; see `connect`."""
    ports: Mapping[int, int]
    """Ports on 127.0.0.1: inside the namespace to the one outside that leads to it."""

    @property
    def enter(self) -> tuple[str, ...]:
        """Prefix of a command that makes it run inside."""
        return entry(self.holder.pid)

    def connect(self, host: str, port: int, timeout: float = 10.0) -> socket.socket:
        """Open a connection to an address inside, from this process, which is outside."""
        return connect(self.door, host, port, timeout)

    def close(self) -> None:
        """End the holder; the namespace goes with the last process in it."""
        if self.holder.stdin:
            with contextlib.suppress(OSError):
                self.holder.stdin.close()
        try:
            self.holder.wait(2)
        except subprocess.TimeoutExpired:
            self.holder.kill()
            self.holder.wait()
        if self.holder.stdout:
            self.holder.stdout.close()


def start(folder: Path, env: Mapping[str, str], forwards: Sequence[int] = ()) -> Network:
    """Make a namespace: as root plainly, else inside a user namespace.

    Each port of ``forwards`` gets a listening port on 127.0.0.1 outside, chosen by the kernel.
    Raises NetworkError, ProgramMissingError.
    """
    for program, advice in _NEEDED.items():
        if shutil.which(program, path=env.get("PATH")) is None:
            raise ProgramMissingError(program, advice)
    listeners = {port: socket.create_server(("127.0.0.1", 0)) for port in forwards}
    door = folder / "door"
    arguments = [f"--forward={sock.fileno()}:{port}" for port, sock in listeners.items()]
    python = [sys.executable, "-I", "-S", str(Path(__file__).with_name("holder.py"))]
    with (folder / "holder.log").open("ab") as log:
        holder = processes.start(
            [*_unshare(), *processes.DIE_WITH_PARENT, *python, f"--door={door}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=env,
            pass_fds=[sock.fileno() for sock in listeners.values()],
        )
    ports = {port: sock.getsockname()[1] for port, sock in listeners.items()}
    for sock in listeners.values():
        sock.close()
    network = Network(holder, door, ports)
    if holder.stdout is None or holder.stdout.readline() != b"ready\n":
        network.close()
        raise NetworkError((folder / "holder.log").read_text(errors="replace"))
    return network


def entry(holder: int) -> tuple[str, ...]:
    """Prefix of a command that makes it run in the namespace that process ``holder`` holds."""
    user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
    return ("nsenter", f"--target={holder}", "--net", *user, "--")


def connect(door: Path, host: str, port: int, timeout: float = 10.0) -> socket.socket:
    """Open a connection to an address inside a lab by its door."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    try:
        sock.connect(str(door))
        sock.sendall(f"{host} {port}\n".encode())
    except OSError:
        sock.close()
        raise
    return sock


def missing() -> str | None:
    """Why a namespace cannot be made here, or None if it can."""
    for program, advice in _NEEDED.items():
        if shutil.which(program) is None:
            return f"{program} was not found: {advice}"
    done = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no rights for a network namespace: {done.stderr.strip()}"
    return None


def _unshare() -> tuple[str, ...]:
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", "--net", *user, "--")
