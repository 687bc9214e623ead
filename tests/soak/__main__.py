"""``make soak``: many releases on a real cluster under load, with pods killed in between."""

import time

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from lab import slipway, traefik
from lab.cluster import Lab
from tests.e2e.conftest import POLICY
from tests.soak.play import Outcome, soak


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--releases", default=1000, show_default=True, help="How many, over all routes.")
@click.option("--seed", default=0, show_default=True, help="What comes in between, and when.")
@click.option(
    "--throttle", default=traefik.QUICK, show_default=True, help="How long Traefik gathers changes."
)
def main(releases: int, seed: int, throttle: str) -> None:
    """Start a lab with Slipway on it, and soak it."""
    values = {"defaultPolicy": {"spec": POLICY}, "configGuard": {"enabled": True}}
    columns = (*Progress.get_default_columns()[:1], BarColumn(), MofNCompleteColumn())
    with Lab.start(throttle=throttle) as lab, Progress(*columns, TimeElapsedColumn()) as progress:
        guard = slipway.install(lab, values)
        task = progress.add_task("releases", total=releases)
        began = time.monotonic()
        outcome = soak(
            lab, releases, seed=seed, told=lambda done: progress.update(task, completed=done)
        )
        crashed = [each.name for each in guard.processes if "Traceback" in each.log]
    _tell(outcome, time.monotonic() - began)
    if crashed:
        raise click.ClickException(f"a traceback in the log of {', '.join(crashed)}")


def _tell(outcome: Outcome, seconds: float) -> None:
    click.echo(
        f"{outcome.releases} releases in {seconds:.0f} s, {outcome.requests} requests, "
        f"{outcome.failed} failed, {len(outcome.shares)} shares inside their interval, "
        "every object as applied"
    )
    for what, count in sorted(outcome.between.items()):
        click.echo(f"  {what or 'nothing in between'}: {count}")


if __name__ == "__main__":
    main()
