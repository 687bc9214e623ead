"""Where the demo is shown: a live view on a terminal, lines anywhere else."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.live import Live

from lab.demo.lines import lines
from lab.demo.state import State
from lab.demo.view import view


class LiveScreen(AbstractContextManager["LiveScreen"]):
    """One view that is drawn again and again in the same place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Write a sentence above the view."""
        self._console.print(text, style="dim", highlight=False)

    def show(self, state: State) -> None:
        """Draw the view; the first time, begin to."""
        self._live.start()
        self._live.update(view(state), refresh=True)


class LineScreen(AbstractContextManager["LineScreen"]):
    """Plain lines, one for each change, with no control codes."""

    def __init__(self) -> None:
        self._before: State | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Nothing has to be put back."""

    def say(self, text: str) -> None:
        """Write a sentence."""
        click.echo(text)

    def show(self, state: State) -> None:
        """Write what is new."""
        for line in lines(self._before, state):
            click.echo(line)
        self._before = state
