"""Which cells of the phase table were used, and that all others raise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from webhook.objects.release import Phase
from webhook.release import phases
from webhook.release.phases import TABLE, IllegalTurn, Turn

Cells = set[tuple[Phase, Turn]]


@contextmanager
def recording() -> Iterator[Cells]:
    """Note each turn that is taken while this is open."""
    reached: Cells = set()
    real = phases.after

    def noted(phase: Phase, turn: Turn) -> Phase:
        follows = real(phase, turn)
        reached.add((phase, turn))
        return follows

    users = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("webhook.release") and getattr(module, "after", None) is real
    ]
    for module in users:
        module.after = noted  # type: ignore[attr-defined]
    try:
        yield reached
    finally:
        for module in users:
            module.after = real  # type: ignore[attr-defined]


def missing(reached: Cells) -> list[str]:
    """Legal cells that were not reached."""
    return [
        f"{phase}/{turn}"
        for phase, row in TABLE.items()
        for turn in row
        if (phase, turn) not in reached
    ]


def illegal_cells_that_pass() -> list[str]:
    """Cells that are not in the table, and yet do not raise."""
    return [
        f"{phase}/{turn}"
        for phase in Phase
        for turn in Turn
        if turn not in TABLE[phase] and not _raises(phase, turn)
    ]


def _raises(phase: Phase, turn: Turn) -> bool:
    try:
        phases.after(phase, turn)
    except IllegalTurn:
        return True
    return False


INTERRUPTIONS = frozenset(
    (
        "autoscaled", "config not guarded", "contents changed at rest",
        "contents changed in mid-release", "contents deleted", "contents made again",
        "contents not read", "contents put back", "disable", "drain",
        "eviction", "eviction refused", "installed again",
        "left paused", "namespace deleted in mid-release", "node back", "node lost",
        "other rules in mid-release", "Recreate at rest", "Recreate in mid-release",
        "RollingUpdate at rest", "two releases at once", "uninstall", "uninstalled",
        "detach again", "snapshot deleted", "snapshot dropped", "upgrade",
        "written without webhook",
    )
)  # fmt: skip
"""What has to take place in ordinary scenarios, by the names in ``World.happened``."""
