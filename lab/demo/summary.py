"""The table at the end, and the picture of the demo."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from lab.demo.state import State
from lab.demo.story import Chapter, Story
from lab.demo.view import colour, view
from webhook.objects.release import Phase

_WIDTH: Final = 100
_FONT_FROM_ELSEWHERE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_GOOD: Final = frozenset({"", Phase.SUCCEEDED})


def summary(story: Story) -> RenderableType:
    """One row for each version that was applied."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("version")
    table.add_column("outcome", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("requests", justify="right")
    table.add_column("failed", justify="right")
    table.add_column("asked → measured", no_wrap=True)
    table.add_column("then serving", no_wrap=True)
    table.add_column("rollout status", justify="right")
    for number, chapter in enumerate(story.chapters, 1):
        table.add_row(*_row(chapter), end_section=number < len(story.chapters))
    return table


def poster(states: Sequence[State]) -> State | None:
    """The most telling moment: half of the traffic at v2, seen for a while."""
    halfway = [
        state
        for state in states
        if state.release
        and state.release.status.weight.asked == 50
        and state.release.status.phase is Phase.WAITING
    ]
    return halfway[len(halfway) // 2] if halfway else None


def write_picture(path: Path, moment: State, story: Story) -> None:
    """Draw the live view of a moment and the summary as an SVG that loads nothing from afar."""
    console = Console(
        record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(view(moment))
    console.print()
    console.print(summary(story))
    svg = console.export_svg(title="make demo", unique_id="slipway-demo")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_FONT_FROM_ELSEWHERE.sub("", svg), encoding="utf-8")


def _row(chapter: Chapter) -> tuple[Text | str, ...]:
    outcome = chapter.outcome or "not held"
    code = chapter.rollout.code
    return (
        Text(chapter.version, style=f"bold {colour(chapter.version)}"),
        Text(outcome, style="green" if chapter.outcome in _GOOD else "red"),
        f"{chapter.seconds:.1f} s",
        str(chapter.requests),
        Text(str(chapter.failed), style="bold red" if chapter.failed else "bold green"),
        "\n".join(f"{share.asked:>3} → {share.measured * 100:5.1f} %" for share in chapter.shares)
        or "–",
        ", ".join(f"{version} {share:.0%}" for version, share in chapter.serving.items()) or "–",
        f"exit {code}",
    )
