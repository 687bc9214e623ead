"""Reading and changing nested fields of an object without touching the object itself.

Every change copies only the mappings on the way to the field; all else is shared, so that
an unchanged part can be known by identity.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from webhook.objects.raw import Object

Path: TypeAlias = tuple[str, ...]


class Absent(Enum):
    """Stands for a field that is not there."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT

_ANNOTATIONS: Final[Path] = ("metadata", "annotations")


def read(obj: Mapping[str, Any], path: Path) -> Any:
    """The value at ``path``, or ABSENT."""
    here: Any = obj
    for key in path:
        if type(here) is not dict:  # isinstance costs three times as much where it is not
            return ABSENT
        here = here.get(key, ABSENT)
    return here


def write(obj: Object, path: Path, value: Any) -> Object:
    """``obj`` with ``value`` at ``path``; ABSENT removes it and every mapping left empty.

    A mapping that was empty before stays. The same object comes back if nothing changes.
    """
    if _same(read(obj, path), value):
        return obj
    return _remove(obj, path) if value is ABSENT else _set(obj, path, value)


def update(obj: Object, path: Path, changes: Mapping[str, Any]) -> Object:
    """``obj`` with entries of the mapping at ``path`` set, or removed where they are ABSENT.

    As a `write` of each, in one copy.
    """
    found = read(obj, path) if changes else ABSENT
    here = found if isinstance(found, dict) else {}
    after: Object | None = None
    for key, value in changes.items():
        if _same(here.get(key, ABSENT), value):
            continue
        after = here.copy() if after is None else after
        if value is ABSENT:
            del after[key]
        else:
            after[key] = value
    if after is None:
        return obj
    return _set(obj, path, after) if after else _remove(obj, path)


def _same(present: Any, value: Any) -> bool:
    return present is value or (type(present) is type(value) and present == value)


def _set(obj: Object, path: Path, value: Any) -> Object:
    made = here = obj.copy()
    for key in path[:-1]:
        child = here.get(key)
        copy: Object = child.copy() if isinstance(child, dict) else {}
        here[key] = copy
        here = copy
    here[path[-1]] = value
    return made


def _remove(obj: Object, path: Path) -> Object:
    head, rest = path[0], path[1:]
    if rest:
        child = _remove(obj[head], rest)
        if child:
            return {**obj, head: child}
    return {key: value for key, value in obj.items() if key != head}


def annotations(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object's annotations, empty if it has none."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def labels(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object's labels, empty if it has none."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotate(obj: Object, changes: Mapping[str, str | None]) -> Object:
    """``obj`` with annotations set, or removed where the value is None."""
    wanted = {key: ABSENT if value is None else value for key, value in changes.items()}
    return update(obj, _ANNOTATIONS, wanted)
