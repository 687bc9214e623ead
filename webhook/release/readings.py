"""What was read off the objects of the last decision, for the next one."""

from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

Asked = TypeVarTuple("Asked")
T = TypeVar("T")


class Readings:
    """The last answer of each pure function, with what it was asked.

    From one decision to the next most of what is around a Deployment stays as it is. Equal
    questions have equal answers, so this changes nothing but the time that a decision takes.
    """

    def __init__(self) -> None:
        self._last: dict[Callable[..., Any], tuple[tuple[Any, ...], Any]] = {}

    def of(self, read: Callable[[*Asked], T], *asked: *Asked) -> T:
        """``read(*asked)``, not read again where the last question was the same."""
        before = self._last.get(read)
        if before is not None and before[0] == asked:
            known: T = before[1]
            return known
        answer = read(*asked)
        self._last[read] = asked, answer
        return answer
