"""One server on one core, one load generator on another, and what came of it."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import psutil

HERE: Final = Path(__file__).parent
SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
CONNECTIONS: Final = 8
_START_SECONDS: Final = 30


class Load(msgspec.Struct, frozen=True):
    """What the load generator saw in one run; times in microseconds."""

    reviews: int
    failed: int
    errors: list[str]
    per_second: float
    p50_us: float
    p99_us: float
    busy_fraction: float
    """CPU time of the generator over wall time: near 1 it was the bottleneck."""
    tls: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run, with the CPU time that the server spent on each review."""

    load: Load
    cpu_us: float


class BenchError(RuntimeError):
    """A benchmark could not be run, or its answers were wrong."""


def build_generator(folder: Path) -> Path:
    """Compile the load generator; needs Go."""
    program = folder / "loadgen"
    subprocess.run(["go", "build", "-o", program, "."], cwd=HERE / "loadgen", check=True)
    return program


@dataclass(frozen=True, slots=True)
class Server:
    """A running server under test."""

    name: str
    process: psutil.Process
    port: int
    generator: Path

    def load(self, review: Path, *, seconds: float, rate: float = 0, warmup: float = 0.3) -> Run:
        """Send one recorded review again and again; ``rate`` 0 is as fast as answers come.

        Raises BenchError if any review fails, or the generator itself was too slow.
        """
        before = self._cpu()
        done = subprocess.run(
            [
                *("taskset", "--cpu-list", str(LOAD_CORE), self.generator),
                *("-address", f"127.0.0.1:{self.port}", "-conns", str(CONNECTIONS)),
                *("-rate", f"{rate:.0f}", "-duration", f"{seconds}s", "-warmup", f"{warmup}s"),
                review,
            ],
            capture_output=True,
            check=True,
        )
        load = msgspec.json.decode(done.stdout, type=Load)
        if load.failed or not load.reviews:
            raise BenchError(f"{self.name}, {review.stem}: {load.failed} failed: {load.errors}")
        measured = seconds / (seconds + warmup)
        return Run(load, (self._cpu() - before) * measured * 1e6 / load.reviews)

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def server(module: str, generator: Path) -> Iterator[Server]:
    """Start ``python -m bench.MODULE`` on its core, and end it afterwards."""
    argv = [sys.executable, "-m", f"bench.{module}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:
        try:
            yield Server(module, psutil.Process(process.pid), _port(process), generator)
        finally:
            process.terminate()
            process.wait(_START_SECONDS)


def _port(process: subprocess.Popen[str]) -> int:
    if process.stdout is None:
        raise BenchError("the server has no output")
    for line in process.stdout:  # its log may come first
        if line.strip().isdigit():
            return int(line)
    raise BenchError(f"the server ended with {process.wait()} before it listened")


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]
