"""How many reviews one process answers on one core, and how fast.

Rounds of all servers alternate, so that a noisy minute of the machine hits them all; each value
is the median of the rounds. Ratios are of CPU time per review, which suffers less from
neighbours than the clock does.
"""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.measure import HERE, Run, build_generator, median, server
from bench.results import Row, at_least, below, show

SERVERS: Final = ("webhook", "obvious", "bare")
REVIEWS: Final = ("small", "medium-annotate", "medium-release", "large-annotate", "large-release")
"""Recorded ones: a Service's CREATE, and UPDATEs of a Deployment that leave its template alone
(``annotate``: most do) or start a release."""
HEADLINES: Final = {"no_patch": "medium-annotate", "patch": "medium-release"}
"""The 6.5 kB UPDATEs of the goals: one that is let through as it is, as most are, and one that
gets a patch, since it starts a release."""


@dataclass(slots=True)
class Results:
    """All runs, by server and review."""

    runs: dict[tuple[str, str], list[Run]] = field(default_factory=lambda: defaultdict(list))
    half_load: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """The webhook with each headline at half of its greatest rate, in an open loop."""

    def rate(self, name: str, review: str) -> float:
        """Reviews per second by the clock."""
        return median([run.load.per_second for run in self.runs[name, review]])

    def cpu(self, name: str, review: str) -> float:
        """Microseconds of the server's CPU time for a review."""
        return median([run.cpu_us for run in self.runs[name, review]])

    def ratio(self, name: str, review: str) -> float:
        """How many times the CPU time of the webhook another server needs."""
        return self.cpu(name, review) / self.cpu("webhook", review)

    def latency(self, review: str) -> tuple[float, float]:
        """Median and 99th percentile of the webhook under full load, in milliseconds."""
        loads = [run.load for run in self.runs["webhook", review]]
        p50, p99 = [load.p50_us for load in loads], [load.p99_us for load in loads]
        return median(p50) / 1000, median(p99) / 1000

    def rows(self) -> list[Row]:
        """Everything, for machines."""
        rows = self.goals()
        for name, review in self.runs:
            rows.append(Row(f"{name}.{review}.rate", self.rate(name, review), "reviews/s"))
            rows.append(Row(f"{name}.{review}.cpu", self.cpu(name, review), "µs/review"))
        for review in REVIEWS:
            p50, p99 = self.latency(review)
            rows.append(Row(f"webhook.{review}.p50", p50, "ms"))
            rows.append(Row(f"webhook.{review}.p99", p99, "ms"))
            rows += [
                Row(f"webhook_to_{name}.{review}", self.ratio(name, review), "times")
                for name in SERVERS[1:]
            ]
        return rows

    def goals(self) -> list[Row]:
        """What was aimed at, for both headlines."""
        busiest = max(run.load.busy_fraction for runs in self.runs.values() for run in runs)
        rows = [row for headline in HEADLINES for row in self._goals_of(headline)]
        return [*rows, below("generator_busy", busiest, "of its core", 0.95)]

    def _goals_of(self, headline: str) -> list[Row]:
        review = HEADLINES[headline]
        loads = [run.load for run in self.half_load[headline]]
        p50, p99 = median([load.p50_us for load in loads]), median([load.p99_us for load in loads])
        rate = self.rate("webhook", review)
        return [
            at_least(f"reviews_per_second.{headline}", rate, "reviews/s", 8000),
            Row(f"reviews_per_cpu_second.{headline}", 1e6 / self.cpu("webhook", review), "1/CPU s"),
            at_least(f"webhook_to_obvious.{headline}", self.ratio("obvious", review), "times", 4),
            at_least(f"webhook_to_bare.{headline}", self.ratio("bare", review), "times", 0.6),
            Row(f"half_load.{headline}.rate", median([load.per_second for load in loads]), "1/s"),
            Row(f"half_load.{headline}.p50", p50 / 1000, "ms"),
            below(f"half_load.{headline}.p99", p99 / 1000, "ms", 5),
        ]

    def show(self) -> None:
        """Print both tables."""
        table = Table(title="One process, one core, TLS 1.3, keep-alive", title_justify="left")
        for column in ("review", "bytes", "server", "reviews/s", "CPU µs", "CPU ÷ webhook's"):
            table.add_column(column, justify="left" if column in ("review", "server") else "right")
        table.add_column("p50 / p99 ms", justify="right")
        for review in REVIEWS:
            for name in SERVERS:
                first = name == "webhook"
                table.add_row(
                    review if first else "",
                    f"{file_of(review).stat().st_size:,}" if first else "",
                    name,
                    f"{self.rate(name, review):,.0f}",
                    f"{self.cpu(name, review):,.0f}",
                    f"{self.ratio(name, review):.2f}",
                    "{:.2f} / {:.2f}".format(*self.latency(review)) if first else "",
                    end_section=name == SERVERS[-1],
                )
        Console(width=max(100, Console().width)).print(table)
        show("Goals, for 6.5 kB UPDATEs that need no patch and that get one", self.goals())


def measure(rounds: int, seconds: float) -> Results:
    """Measure all servers on all recorded reviews; raises BenchError if one answers wrongly."""
    results = Results()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        generator = build_generator(Path(folder))
        running = {name: stack.enter_context(server(name, generator)) for name in SERVERS}
        for review in REVIEWS:
            for _ in range(rounds):
                for name in SERVERS:
                    run = running[name].load(file_of(review), seconds=seconds)
                    results.runs[name, review].append(run)
        for headline, review in HEADLINES.items():
            half = results.rate("webhook", review) / 2
            for _ in range(rounds):
                run = running["webhook"].load(file_of(review), seconds=seconds, rate=half)
                results.half_load[headline].append(run)
    return results


def file_of(review: str) -> Path:
    """The file of a recorded review."""
    return HERE / "reviews" / f"{review}.json"
