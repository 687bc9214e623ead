"""JSON Patch of the changed parts only.

A decision copies on write: what it left alone *is* the request's own part. So the walk goes
only where something changed, and costs what the change costs and not what the object costs.
"""

from typing import Any, Final, TypeAlias, cast

import jsonpatch
import orjson

Json: TypeAlias = Any
Operation: TypeAlias = dict[str, Any]

_ABSENT: Final = object()


def diff(before: Json, after: Json) -> list[Operation]:
    """Return the RFC 6902 operations that turn ``before`` into ``after``; none if they are equal.

    Equal means equal as JSON: ``true`` is not ``1``. Raises RecursionError for values nested
    deeper than Python's stack.
    """
    if before is after:
        return []
    operations: list[Operation] = []
    _walk(before, after, "", operations)
    return operations


def _walk(before: Json, after: Json, path: str, operations: list[Operation]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        _walk_dict(before, after, path, operations)
    elif isinstance(before, list) and isinstance(after, list):
        _walk_list(before, after, path, operations)
    elif type(before) is not type(after) or before != after:
        operations.append({"op": "replace", "path": path, "value": after})


def _walk_dict(
    before: dict[str, Json], after: dict[str, Json], path: str, operations: list[Operation]
) -> None:
    kept = len(after)
    for key, new in after.items():
        old = before.get(key, _ABSENT)
        if new is old:
            continue
        where = f"{path}/{_escape(key)}"
        if old is _ABSENT:
            kept -= 1
            operations.append({"op": "add", "path": where, "value": new})
        else:
            _walk(old, new, where, operations)
    if kept != len(before):
        operations += [
            {"op": "remove", "path": f"{path}/{_escape(key)}"} for key in before if key not in after
        ]


def _walk_list(
    before: list[Json], after: list[Json], path: str, operations: list[Operation]
) -> None:
    if len(before) == len(after):
        changes: list[Operation] = []
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            if old is not new:
                _walk(old, new, f"{path}/{index}", changes)
    else:
        changes = [_below(path, change) for change in _list_changes(before, after)]
    whole = {"op": "replace", "path": path, "value": after}
    if len(before) != len(after) and not changes:
        operations.append(whole)
    elif changes:
        operations += changes if _size(changes) <= _size([whole]) else [whole]


def _list_changes(before: list[Json], after: list[Json]) -> list[Operation]:
    """The library's patch, if it does what it says; empty if not.

    jsonpatch 1.47 joins an add and a remove of equal values to a move, and can take the wrong
    index when other entries changed before it. A wrong patch is worse than a long one.
    """
    patch = jsonpatch.make_patch(before, after)
    try:
        right = patch.apply(before) == after
    except jsonpatch.JsonPatchException:
        right = False
    return list(patch.patch) if right else []


def _below(path: str, change: Operation) -> Operation:
    """Move an operation on a list to where the list stands in the object."""
    moved = dict(change, path=path + cast("str", change["path"]))
    if "from" in change:
        moved["from"] = path + cast("str", change["from"])
    return moved


def _size(operations: list[Operation]) -> int:
    return len(orjson.dumps(operations))


def _escape(key: str) -> str:
    # The tilde first, since what stands for a slash has one too.
    return key.replace("~", "~0").replace("/", "~1")
