"""Projections that cover single fields: remember what the user asked for, show ours, give back.

The user's part and ours are told apart by value. The API server fills in defaults before
admission, so a covered field that differs from what we projected was set by this write.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from webhook import names
from webhook.projection.fields import ABSENT, Path, annotate, annotations, read, write
from webhook.projection.request import Object

Values: TypeAlias = Mapping[Path, Any]
"""Covered fields with their values; ABSENT for a field that is not there."""


def cover(user: Object, values: Values) -> Object:
    """Show ``values`` in place of the user's, which are remembered in an annotation."""
    if not values:
        return annotate(user, {names.ORIGINAL: None})
    remembered = {".".join(path): _plain(read(user, path)) for path in values}
    text = json.dumps(remembered, sort_keys=True, separators=(",", ":"))
    shown = annotate(user, {names.ORIGINAL: text})
    for path, value in values.items():
        shown = write(shown, path, value)
    return shown


def uncover(new: Object, shown: Values, old: Object | None, old_shown: Values) -> Object:
    """The user's object behind ``new``.

    ``shown`` and ``old_shown`` are what the intent found in ``new`` and ``old`` projects. A
    field holds the user's own value unless it equals what was projected there: by the stored
    object's intent or, for an object that a projection has passed already (another webhook
    made the API server ask again; an exported manifest), by the intent it carries itself.
    """
    mine, stored = _remembered(new), _remembered(old)
    user = new
    for path in {**shown, **old_shown}:
        key = ".".join(path)
        value = read(new, path)
        if key in mine and path in shown and value == shown[path]:
            user = write(user, path, _value(mine[key]))
        elif key in stored and path in old_shown and value == old_shown[path]:
            user = write(user, path, _value(stored[key]))
    return user


def _remembered(obj: Object | None) -> Mapping[str, Any]:
    text = annotations(obj).get(names.ORIGINAL) if obj else None
    if not isinstance(text, str):
        return {}
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def _value(plain: Any) -> Any:
    return ABSENT if plain is None else plain
