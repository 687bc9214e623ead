"""Child processes that end by their own pid, and never outlive the process that started them."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from lab.errors import StartError, WaitTimeoutError

DIE_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL", "--")
"""Prefix of a command: the kernel kills it when the thread that started it is gone."""

_POLL = 0.02

T = TypeVar("T")

# The kernel ties a child to the *thread* that started it, and threads of a test or of an event
# loop come and go. So one thread, which lives as long as this process, starts all children.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-spawner")


def start(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """``subprocess.Popen`` for a long-lived child; Ctrl-C reaches us and not the child."""
    return _spawner.submit(
        lambda: subprocess.Popen(list(argv), start_new_session=True, **options)
    ).result()


@dataclass(slots=True)
class Process:
    """One running program of a lab; its output goes to ``log``."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id; the same inside and outside of the lab."""
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """Whether it is still running."""
        return self.popen.poll() is None

    def stop(self, grace: float = 5.0) -> int:
        """Ask it to end (SIGTERM), kill it after ``grace`` seconds; return its exit code."""
        if self.alive:
            self.popen.send_signal(signal.SIGTERM)
            try:
                return self.popen.wait(grace)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()

    def kill(self) -> int:
        """End it with no warning (SIGKILL), as a lost node would."""
        self.popen.kill()
        return self.popen.wait()

    def signal(self, number: int) -> None:
        """Send it a signal, e.g. SIGSTOP to freeze it."""
        self.popen.send_signal(number)

    def wait_until(self, ready: Callable[[], object], timeout: float, what: str) -> None:
        """Wait until ``ready()``; StartError with the end of its log if it ends or is late."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.alive:
                raise StartError(self.name, f"ended with {self.popen.returncode}", self.log)
            if time.monotonic() > deadline:
                raise StartError(self.name, f"was not {what} within {timeout:g} s", self.log)
            time.sleep(_POLL)


@dataclass(slots=True)
class Processes:
    """All programs of one lab, ended in reverse order of their start."""

    logs: Path
    enter: tuple[str, ...]
    """Prefix of a command that makes it run inside the lab's namespace."""
    env: Mapping[str, str]
    running: list[Process] = field(default_factory=list)

    def spawn(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program inside the namespace, output appended to ``logs/NAME.log``."""
        log = self.logs / f"{name}.log"
        with log.open("ab") as output:
            popen = start(
                [*self.enter, *DIE_WITH_PARENT, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.env, **(env or {})},
            )
        process = Process(name, popen, log)
        self.running = [known for known in self.running if known.alive]
        self.running.append(process)
        return process

    def close(self) -> None:
        """End everything; whatever does not heed SIGTERM is killed."""
        while self.running:
            self.running.pop().stop()


def poll_until(
    condition: Callable[[], T | Literal[False] | None],
    timeout: float,
    what: str,
    every: float = 0.05,
) -> T:
    """Return the first truthy ``condition()``; WaitTimeoutError after ``timeout`` seconds.

    An AssertionError or LookupError of the condition counts as "not yet", so that a test may
    wait for what it would assert.
    """
    deadline = time.monotonic() + timeout
    last = ""
    while True:
        try:
            value = condition()
            if value:
                return value
            last = repr(value)
        except (AssertionError, LookupError) as error:
            last = str(error) or type(error).__name__
        if time.monotonic() > deadline:
            raise WaitTimeoutError(what, timeout, last)
        time.sleep(every)
