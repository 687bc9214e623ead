"""``python -m lab.demo``: a real cluster, Slipway on it, and two releases shown live.

v1 serves a steady load. v2 goes out in steps. v3 is broken: it is held back, and v2 serves on.
The exit code is 0 only if that is what happened, with no failed request.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from lab import binaries
from lab.cluster import Lab
from lab.demo.screen import LineScreen, LiveScreen
from lab.demo.script import THROTTLE, WEIGHTS, Broken, Options, Route, play
from lab.demo.story import Story
from lab.demo.summary import poster, summary, write_picture
from lab.demo.verdict import verdict
from lab.errors import LabError

_PLAIN_WIDTH = 120
_INTERRUPTED = 130


class NotAsPromisedError(LabError):
    """The demo ran to its end, and not everything was as it should be."""

    def __init__(self, story: Story, wrong: list[str], logs: Path) -> None:
        found = "\n".join(f"  - {sentence}" for sentence in wrong)
        self.story = story
        super().__init__(f"this was not so:\n{found}\nThe logs are in {logs}")


@click.command(
    help=__doc__,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--route",
    type=click.Choice([route.value for route in Route]),
    default=Route.HTTPROUTE.value,
    show_default=True,
    help="How requests get to the application; ingress is in the dialect of ingress-nginx.",
)
@click.option(
    "--broken",
    type=click.Choice([broken.value for broken in Broken]),
    default=Broken.NEVER_READY.value,
    show_default=True,
    help="What is wrong with v3. With errors, the requests that it answers while it has weight "
    "fail, and no others may.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=20),
    default=200,
    show_default=True,
    help="Requests a second.",
)
@click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the live view at 50 % and the summary into this file.",
)
def main(route: str, broken: str, rate: float, svg: Path | None) -> None:
    """Run the demo."""
    signal.signal(signal.SIGTERM, _interrupt)
    options = Options(Route(route), Broken(broken), rate)
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    try:
        story = _run(options, svg, console)
    except KeyboardInterrupt:
        click.echo("interrupted; the cluster has ended", err=True)
        raise SystemExit(_INTERRUPTED) from None
    except NotAsPromisedError as error:
        console.print(summary(error.story))
        click.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    except LabError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    console.print(summary(story))
    console.print(
        f"v2 went out in steps and v3 was held back: {story.report.total} requests, "
        f"{story.report.failed} failed."
    )


def _run(options: Options, svg: Path | None, console: Console) -> Story:
    """Play on a cluster of its own; raises NotAsPromisedError, or another LabError."""
    plain = not sys.stdout.isatty() or console.is_dumb_terminal
    with LineScreen() if plain else LiveScreen(console) as screen:
        if not binaries.cache_folder().exists():
            screen.say("building the cluster's programs; once, and it takes some minutes")
        screen.say("starting etcd, kube-apiserver, kube-controller-manager, a node and Traefik")
        with _cluster() as lab:
            story, states = play(lab, options, screen)
            moment = poster(states)
            if svg and moment:
                write_picture(svg, moment, story)
            if wrong := verdict(story, (*WEIGHTS, 100), options.broken):
                raise NotAsPromisedError(story, wrong, lab.folder / "logs")
    return story


@contextmanager
def _cluster() -> Iterator[Lab]:
    """A lab whose files stay after an error, for its logs, but not after Ctrl-C."""
    interrupt: KeyboardInterrupt | None = None
    with Lab.start(throttle=THROTTLE) as lab:
        try:
            yield lab
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt:
        raise interrupt


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
