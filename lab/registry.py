"""Which labs run on this machine, and the remains of those whose owner is gone."""

import fcntl
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec
import psutil

from lab.errors import NoSuchLabError

MARK: Final = "SLIPWAY_LAB"
"""Environment variable with the lab's id, in every process of a lab."""
_STATE: Final = "state.json"
_OWNER: Final = "owner"

_held: Final[list[IO[str]]] = []
"""The owner files of this process's labs, locked as long as it lives."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One lab as others see it: ``owner`` started it and keeps it, ``holder`` its namespace."""

    id: str
    owner: int
    holder: int
    ports: dict[str, int]
    """Ports on 127.0.0.1 outside, by what they lead to: ``api``, ``web``, ``metrics``."""

    @property
    def folder(self) -> Path:
        """Where its files are: logs, keys, data."""
        return root() / self.id

    @property
    def alive(self) -> bool:
        """Whether its owner still runs (the same process, not one with the same number)."""
        return _owned(self.folder)


def root() -> Path:
    """The folder of all labs of this user."""
    return Path(tempfile.gettempdir()) / f"slipway-labs-{os.geteuid()}"


def new_folder() -> Path:
    """Make the folder of a new lab; its name is the lab's id."""
    root().mkdir(mode=0o700, exist_ok=True)
    name = secrets.token_hex(3)
    hidden = root() / f".{name}"  # until it says who owns it, or another lab may clear it away
    hidden.mkdir(mode=0o700)
    (hidden / "logs").mkdir()
    _hold(hidden / _OWNER)
    return hidden.rename(root() / name)


def register(folder: Path, holder: int, ports: dict[str, int]) -> Entry:
    """Make a lab known to ``status``, ``exec`` and ``down``."""
    entry = Entry(folder.name, os.getpid(), holder, ports)
    written = folder / f"{_STATE}.new"
    written.write_bytes(msgspec.json.encode(entry))
    written.rename(folder / _STATE)
    return entry


def entries() -> list[Entry]:
    """Every lab that was started and not removed, running or not."""
    found = []
    for state in sorted(root().glob(f"*/{_STATE}")) if root().exists() else ():
        with suppress(FileNotFoundError):  # it may end while we look
            found.append(msgspec.json.decode(state.read_bytes(), type=Entry))
    return found


def pick(name: str | None) -> Entry:
    """The running lab of that id; without one, the only one. Raises NoSuchLabError."""
    running = [entry for entry in entries() if entry.alive]
    if name is None and len(running) == 1:
        return running[0]
    for entry in running:
        if entry.id == name:
            return entry
    raise NoSuchLabError(name or f"(one of {len(running)}: name it)")


def collect_garbage() -> list[str]:
    """End what is left of labs whose owner is gone, and remove their folders; return their ids."""
    stale = [folder for folder in _folders() if not _owned(folder)]
    ids = {folder.name for folder in stale}
    if ids:
        _end([process for process in psutil.process_iter() if _mark(process) in ids])
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return sorted(ids)


def processes_of(lab: str) -> list[psutil.Process]:
    """Every running process that carries the mark of a lab."""
    return [process for process in psutil.process_iter() if _mark(process) == lab]


def _folders() -> list[Path]:
    there = root().glob("*/") if root().exists() else ()
    return [folder for folder in there if not folder.name.startswith(".")]


def _hold(file: Path) -> None:
    # A lock and no start time of a process: that is counted from the machine's clock, and each
    # time that the clock is set, every lab would look like one whose owner is gone.
    opened = file.open("w")
    fcntl.flock(opened, fcntl.LOCK_EX)
    _held.append(opened)


def _owned(folder: Path) -> bool:
    try:
        with (folder / _OWNER).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=5)
