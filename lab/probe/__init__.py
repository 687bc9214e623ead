"""Steady load on a URL inside a lab, and what became of every single request."""

from dataclasses import dataclass, field
from pathlib import Path

from lab.probe.report import Answer, Report, decode
from lab.processes import Process

__all__ = ["Answer", "Probe", "Report"]


@dataclass(slots=True)
class Probe:
    """A running probe (``python -m lab.probe`` in the lab's namespace)."""

    process: Process
    out: Path
    rate: float
    """Requests a second."""
    _answers: list[Answer] = field(default_factory=list)
    _read: int = 0

    def report(self) -> Report:
        """What it has seen up to now (a tenth of a second behind)."""
        if self.out.exists():
            with self.out.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            self._answers += decode(whole)
        return Report(tuple(self._answers))

    def stop(self) -> Report:
        """Let what is in flight end, and return the whole report."""
        self.process.stop(grace=10)
        return self.report()
