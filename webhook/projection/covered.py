"""Projections that cover single fields: remember what the user asked for, show ours, give back.

The user's part and ours are told apart by value. The API server fills in defaults before
admission, so a covered field that differs from what we projected was set by this write.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson
from jsonpointer import JsonPointer

from webhook import names
from webhook.objects.raw import Object
from webhook.projection.fields import ABSENT, Path, annotate, annotations, read, write

_POINTER: Final = re.compile(r"(/([^~/]|~[01])+)+")

Values: TypeAlias = Mapping[Path, Any]
"""Covered fields with their values; ABSENT for a field that is not there."""


def cover(user: Object, values: Values, notes: Mapping[str, str | None]) -> Object:
    """Show ``values`` in place of the user's, and set (or with None remove) ``notes`` beside.

    An annotation remembers both for each field: what the user wants, and what is shown. It
    describes the object as it is, so it stays right whatever becomes of the intent.
    """
    if not values:
        return annotate(user, {names.ORIGINAL: None, **notes})
    remembered = {
        _pointer(path): {"user": _plain(read(user, path)), "shown": _plain(value)}
        for path, value in values.items()
    }
    text = orjson.dumps(remembered, option=orjson.OPT_SORT_KEYS).decode()
    shown = annotate(user, {names.ORIGINAL: text, **notes})
    for path, value in values.items():
        shown = write(shown, path, value)
    return shown


def uncover(new: Object, old: Object | None = None) -> Object:
    """The user's object behind ``new``.

    A field holds the user's own value unless it equals what the annotation says is shown: that
    of ``new`` itself (read from the cluster, passed by us already, an exported manifest), or
    that of the stored ``old`` where the write dropped it.
    """
    mine, stored = _remembered(new), _remembered(old)
    if not (mine or stored):
        return new
    if mine and old and annotations(new)[names.ORIGINAL] != annotations(old).get(names.ORIGINAL):
        stored = {}  # this write was answered by us already: what it remembers is the whole truth
    user = new
    for key in {**mine, **stored}:
        path = _path(key)
        value = read(new, path)
        for memory in (mine.get(key), stored.get(key)):
            if memory is not None and value == _value(memory.get("shown")):
                user = write(user, path, _value(memory.get("user")))
                break
    return user


def shown_in(obj: Object | None, path: Path) -> Any:
    """What a projection shows at ``path`` of an object; ABSENT where none covers it."""
    memory = _remembered(obj).get(_pointer(path))
    return ABSENT if memory is None else _value(memory.get("shown"))


def _remembered(obj: Object | None) -> Mapping[str, Mapping[str, Any]]:
    """By field: ``user`` and ``shown``; what is not readable counts as nothing."""
    text = annotations(obj).get(names.ORIGINAL) if obj else None
    if not isinstance(text, str):
        return {}
    try:
        values = orjson.loads(text)
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, dict) and _POINTER.fullmatch(key)
    }


@lru_cache(maxsize=256)
def _pointer(path: Path) -> str:
    """The field's name in the memory: a JSON Pointer (RFC 6901)."""
    return str(JsonPointer.from_parts(path).path)


@lru_cache(maxsize=256)
def _path(pointer: str) -> Path:
    """The field of that name; raises JsonPointerException for what is not a pointer."""
    return tuple(JsonPointer(pointer).parts)


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def _value(plain: Any) -> Any:
    return ABSENT if plain is None else plain
