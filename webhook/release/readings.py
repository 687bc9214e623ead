"""What was read off the objects of the last decision, for the next one."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, TypeVarTuple

from webhook.objects.raw import Object

Asked = TypeVarTuple("Asked")
T = TypeVar("T")


class Readings:
    """The last answers of pure functions, with what they were asked.

    From one decision to the next most of what is around a Deployment stays as it is. Equal
    questions have equal answers, so this changes nothing but the time that a decision takes.
    """

    def __init__(self) -> None:
        self._last: dict[Callable[..., Any], tuple[tuple[Any, ...], Any]] = {}
        self._each: dict[Callable[..., Any], dict[str, tuple[Object, Any]]] = {}

    def of(self, read: Callable[[*Asked], T], *asked: *Asked) -> T:
        """``read(*asked)``, not read again where the last question was the same."""
        before = self._last.get(read)
        if before is not None and before[0] == asked:
            known: T = before[1]
            return known
        answer = read(*asked)
        self._last[read] = asked, answer
        return answer

    def of_each(self, read: Callable[[Object], T], objects: Iterable[Object]) -> list[T]:
        """``read(obj)`` for each object of one kind; those that are the same are not read again."""
        before = self._each.get(read, {})
        answers = []
        for obj in objects:
            known = before.get(obj["metadata"]["name"])
            answers.append(known if known and known[0] == obj else (obj, read(obj)))
        self._each[read] = {obj["metadata"]["name"]: (obj, answer) for obj, answer in answers}
        return [answer for _, answer in answers]
