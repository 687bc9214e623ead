"""``python -m lab.probe``: steady load on one URL; every answer is kept.

Requests start at a fixed rate whatever happens to those before, half over kept-alive and half
over new connections. A loop that waits for the last answer before it sends the next hides
outages. Ends on SIGTERM or Ctrl-C, after what is in flight, with exit code 1 if any failed.
"""

import asyncio
import signal
from pathlib import Path

import click
import uvloop

from lab.probe.calls import CallGenerator
from lab.probe.generator import Generator, Target
from lab.probe.report import Answer, Report, encode

_FLUSH_EVERY = 0.1  # seconds


@click.command(help=__doc__)
@click.option("--url", required=True, help="Where to send, e.g. http://127.0.0.1:8000/path.")
@click.option("--host", help="The Host header, if it is not the URL's.")
@click.option("--calls", is_flag=True, help="Unary gRPC calls instead of GETs.")
@click.option("--rate", type=float, default=100, show_default=True, help="Requests a second.")
@click.option("--seconds", type=float, help="Stop by itself after so long.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Append each answer as a line of JSON: [start, late, latency, status, version, "
    "error, reused]; times in seconds.",
)
def main(
    url: str, host: str | None, calls: bool, rate: float, seconds: float | None, out: Path | None
) -> None:
    """Run the probe and print its summary."""
    answers: list[Answer] = []
    kind = CallGenerator if calls else Generator
    report = uvloop.run(_run(kind(Target(url, host), rate, answers.append), answers, seconds, out))
    click.echo(str(report))
    raise SystemExit(1 if report.failed else 0)


async def _run(
    load: Generator, answers: list[Answer], seconds: float | None, out: Path | None
) -> Report:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if seconds is not None:
        loop.call_later(seconds, stopped.set)
    generator = asyncio.create_task(load.run(stopped))
    written = 0
    while True:
        done, _ = await asyncio.wait([generator], timeout=_FLUSH_EVERY)
        if out and written < len(answers):
            _append(out, encode(answers[written:]))
            written = len(answers)
        if done:
            await generator
            return Report(tuple(answers))


def _append(out: Path, data: bytes) -> None:
    with out.open("ab") as file:
        file.write(data)


if __name__ == "__main__":
    main()
