"""Measured values: a table for people, and ``build/bench.json`` for everything else."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

FILE: Final = Path(__file__).parent.parent / "build" / "bench.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value and, where there is one, its goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None


def at_least(name: str, value: float, unit: str, goal: float) -> Row:
    """A value that should not be lower."""
    return Row(name, value, unit, f"≥ {goal:g}", value >= goal)


def at_most(name: str, value: float, unit: str, goal: float) -> Row:
    """A value that should not be higher."""
    return Row(name, value, unit, f"≤ {goal:g}", value <= goal)


def below(name: str, value: float, unit: str, goal: float) -> Row:
    """A value that should be lower."""
    return Row(name, value, unit, f"< {goal:g}", value < goal)


def merge(rows: list[Row], file: Path = FILE) -> None:
    """Write the rows into the file; rows of other benchmarks stay."""
    known = json.loads(file.read_text()) if file.exists() else {}
    known |= {row.name: {"value": round(row.value, 4), "unit": row.unit} for row in rows}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def show(title: str, rows: list[Row]) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("goal")
    for row in rows:
        mark = {True: " met", False: " not met", None: ""}[row.met]
        table.add_row(row.name, _number(row.value), row.unit, row.goal + mark)
    Console().print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
