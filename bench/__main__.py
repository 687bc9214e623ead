"""``python -m bench``: measure, print a table, and merge the values into build/bench.json."""

import os

import click

from bench import apply_to_pod, many_releases, release_time, reviews_per_second, traffic_step
from bench.measure import LOAD_CORE
from bench.results import FILE, merge, show


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--rounds", default=3, show_default=True, help="Runs of each pair; the median counts."
)
@click.option("--seconds", default=2.0, show_default=True, help="Length of a run.")
@click.option(
    "--only",
    type=click.Choice(["reviews", "apply", "release", "steps", "many"]),
    help="One of them; default: all.",
)
def main(rounds: int, seconds: float, only: str | None) -> None:
    """Run the benchmarks."""
    if (os.cpu_count() or 1) <= LOAD_CORE:
        raise click.ClickException("two cores are needed: one for the server, one for the load")
    click.echo(f"load before: {os.getloadavg()[0]:.2f}, on {os.cpu_count()} cores")
    if only in (None, "reviews"):
        results = reviews_per_second.measure(rounds, seconds)
        merge(results.rows())
        results.show()
    if only in (None, "apply"):
        rows = apply_to_pod.measure(max(rounds, 5))
        merge(rows)
        show("From an apply to the first new pod", rows)
    if only in (None, "release"):
        rows = release_time.measure(rounds)
        merge(rows)
        show("A release of five steps, apart from the waits of its policy", rows)
    if only in (None, "steps"):
        rows = traffic_step.measure(rounds)
        merge(rows)
        show("A traffic step at each router, apart from the settle time of its policy", rows)
    if only in (None, "many"):
        rows = many_releases.measure(rounds)
        merge(rows)
        show("Releases at the same moment in one namespace", rows)
    click.echo(f"merged into {FILE}")


if __name__ == "__main__":
    main()
