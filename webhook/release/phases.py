"""The one table of phases: what may follow what. A missing cell raises.

docs/phases.md says the same in sentences.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from webhook.objects.release import Phase


class Turn(StrEnum):
    """What can happen to a release."""

    MOVE = "Move"
    """The step asks for pods, weight or routes that are not there yet."""
    MORE = "More"
    """The step's weight is not reached: the budget for pods lets it grow in portions."""
    WAIT = "Wait"
    """The step waits for time, a person or a result."""
    PROMOTE = "Promote"
    """No step is left."""
    SCALED = "Scaled"
    """The step's pods are ready and can be reached."""
    PROMOTED = "Promoted"
    CLEANED = "Cleaned"
    LOST = "Lost"
    """No new pod is ready though it has traffic; nothing says that the version is bad."""
    ABORT = "Abort"
    SUPERSEDE = "Supersede"
    """The user's template is a third one."""
    RETURN = "Return"
    """The user's template is the released one again."""
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    RETURNED = "Returned"


class IllegalTurn(Exception):
    """A turn that the table does not know in this phase: a bug in the engine."""

    def __init__(self, phase: Phase, turn: Turn) -> None:
        super().__init__(f"a release in phase {phase} can't take the turn {turn}")


_NEXT_STEP: Final = {
    Turn.MOVE: Phase.SCALING,
    Turn.WAIT: Phase.WAITING,
    Turn.PROMOTE: Phase.PROMOTING,
}
_TAKEN_BACK: Final = {
    Turn.ABORT: Phase.ROLLING_BACK,
    Turn.SUPERSEDE: Phase.ROLLING_BACK,
    Turn.RETURN: Phase.ROLLING_BACK,
}
_ENDED: Final = {
    Turn.ABORTED: Phase.ABORTED,
    Turn.SUPERSEDED: Phase.SUPERSEDED,
    Turn.RETURNED: Phase.ROLLED_BACK,
}

TABLE: Final[Mapping[Phase, Mapping[Turn, Phase]]] = {
    Phase.PENDING: {**_NEXT_STEP, **_TAKEN_BACK},
    Phase.SCALING: {Turn.SCALED: Phase.SHIFTING, **_NEXT_STEP, **_TAKEN_BACK},
    Phase.SHIFTING: {
        **_NEXT_STEP,
        **_TAKEN_BACK,
        Turn.MORE: Phase.SCALING,
        Turn.LOST: Phase.SCALING,
    },
    Phase.WAITING: {**_NEXT_STEP, **_TAKEN_BACK, Turn.LOST: Phase.SCALING},
    Phase.PROMOTING: {Turn.PROMOTED: Phase.CLEANING, **_TAKEN_BACK},
    Phase.CLEANING: {Turn.CLEANED: Phase.SUCCEEDED},
    Phase.ROLLING_BACK: _ENDED,
    Phase.SUCCEEDED: {},
    Phase.ABORTED: {},
    Phase.SUPERSEDED: {},
    Phase.ROLLED_BACK: {},
}


def after(phase: Phase, turn: Turn) -> Phase:
    """The phase that follows; raises IllegalTurn where the table has no cell."""
    try:
        return TABLE[phase][turn]
    except KeyError:
        raise IllegalTurn(phase, turn) from None
