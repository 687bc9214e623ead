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


def read(obj: Mapping[str, Any], path: Path) -> Any:
    """The value at ``path``, or ABSENT."""
    here: Any = obj
    for key in path:
        if not isinstance(here, dict) or key not in here:
            return ABSENT
        here = here[key]
    return here


def write(obj: Object, path: Path, value: Any) -> Object:
    """``obj`` with ``value`` at ``path``; ABSENT removes it and every mapping left empty.

    A mapping that was empty before stays. The same object comes back if nothing changes.
    """
    present = read(obj, path)
    if present == value and type(present) is type(value):
        return obj
    return _remove(obj, path) if value is ABSENT else _set(obj, path, value)


def _set(obj: Object, path: Path, value: Any) -> Object:
    head, rest = path[0], path[1:]
    if not rest:
        return {**obj, head: value}
    child = obj.get(head)
    return {**obj, head: _set(child if isinstance(child, dict) else {}, rest, value)}


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
    for key, value in changes.items():
        obj = write(obj, ("metadata", "annotations", key), ABSENT if value is None else value)
    return obj
