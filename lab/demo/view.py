"""The live view: from a `State` to something that rich can draw. Pure."""

from collections.abc import Iterable
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from lab.demo.progress import Wait, marks, wait_of
from lab.demo.state import Command, Pod, State, counted
from webhook.objects.release import Phase, Release

_COLOURS: Final = ("cyan", "green", "magenta")
_PHASES: Final = {
    Phase.SUCCEEDED: "bold green",
    Phase.ABORTED: "bold red",
    Phase.ROLLING_BACK: "bold red",
}
_BARS: Final = " ▁▂▃▄▅▆▇█"
_SHOWN_COMMANDS: Final = 2
_SHOWN_OUTPUT: Final = 4
_BAR: Final = 30


def view(state: State) -> RenderableType:
    """Everything at one glance; 80 columns are enough, 100 are better."""
    return Panel(
        Group(
            _commands(state.commands),
            Rule(style="dim"),
            _release(state.release, state.at),
            Rule(style="dim"),
            _versions(state),
            Text(),
            _requests(state),
        ),
        title="[bold]Slipway[/]",
        subtitle=f"[dim]{clock(state.elapsed)}[/]",
        border_style="blue",
        padding=(0, 1),
    )


def clock(seconds: float) -> str:
    """Minutes and seconds, e.g. ``1:05``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def colour(version: str) -> str:
    """Each version has its own, wherever it is drawn."""
    number = version.lstrip("v")
    return _COLOURS[(int(number) - 1 if number.isdigit() else 0) % len(_COLOURS)]


def sparkline(shares: Iterable[float]) -> str:
    """One block for each share (0..1); anything above 0 can be seen."""
    top = len(_BARS) - 1
    return "".join(_BARS[max(round(share * top), 1 if share > 0 else 0)] for share in shares)


def _commands(commands: tuple[Command, ...]) -> RenderableType:
    lines: list[Text] = []
    for command in commands[-_SHOWN_COMMANDS:]:
        lines.append(Text.assemble(("$ ", "bold blue"), (command.text, "bold"), no_wrap=True))
        for line in command.output[-_SHOWN_OUTPUT:]:
            lines.append(Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis"))
        if command.code:
            lines.append(Text(f"  exit code {command.code}", style="red"))
    return Group(*lines)


def _release(release: Release | None, at: float) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", min_width=8)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    if release is None:
        grid.add_row("release", "none: nothing serves yet that could be protected")
        return grid
    spec, status = release.spec, release.status
    grid.add_row(
        "release",
        Text.assemble(
            (release.name, "bold"),
            "  ",
            (spec.stable.version, colour(spec.stable.version)),
            " → ",
            (spec.version, colour(spec.version)),
            "  ",
            (status.phase, _PHASES.get(status.phase, "bold yellow")),
            (f"  {status.reason}" if status.reason else "", "dim"),
        ),
    )
    grid.add_row("steps", _steps(release))
    grid.add_row("now", Text(status.message or "", overflow="ellipsis", no_wrap=True))
    grid.add_row("", _wait(wait_of(release, at)))
    return grid


def _steps(release: Release) -> Text:
    text = Text()
    for mark in marks(release):
        style = "green" if mark.done else "bold reverse yellow" if mark.now else "dim"
        text.append(f" {mark.text} " if mark.now else mark.text, style)
        text.append(" · ", "dim")
    text.right_crop(3)
    return text


def _wait(wait: Wait | None) -> RenderableType:
    if wait is None:
        return Text(" ")  # keeps the height
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        ProgressBar(total=wait.of, completed=wait.past, width=_BAR, complete_style="yellow"),
        Text(f"{wait.what} {wait.past:.1f} of {wait.of:g} s", style="dim"),
    )
    return grid


def _versions(state: State) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("version")
    table.add_column("pods", min_width=10)
    table.add_column("ready", justify="right")
    table.add_column("asked", justify="right")
    table.add_column("measured", justify="right")
    table.add_column("each second until now", no_wrap=True, overflow="crop")
    for version in state.versions:
        style = colour(version)
        pods = state.pods_of(version)
        share = state.traffic.shares.get(version, 0.0)
        history = state.traffic.history.get(version, ())
        table.add_row(
            Text(version, style=f"bold {style}"),
            _pods(pods, style),
            counted(pods),
            f"{state.asked(version)} %",
            Text(f"{share:.0%}".replace("%", " %"), style=f"bold {style}"),
            Text(sparkline(history), style=style),
        )
    return table


def _pods(pods: tuple[Pod, ...], style: str) -> Text:
    text = Text()
    for pod in pods:
        if pod.ending:
            text.append("▨ ", "dim")
        elif pod.ready:
            text.append("■ ", style)
        else:
            text.append("□ ", "yellow")
    return text


def _requests(state: State) -> Text:
    traffic = state.traffic
    count = f"{traffic.total:,}".replace(",", " ")
    return Text.assemble(
        ("requests ", "dim"),
        (count, "bold"),
        ("  a second ", "dim"),
        f"{traffic.rate:.0f}",
        ("  failed ", "dim"),
        (str(traffic.failed), "bold red" if traffic.failed else "bold green"),
        ("    ■ ready  □ not ready  ▨ ending", "dim"),
    )
