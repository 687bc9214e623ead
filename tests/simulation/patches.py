"""Patches on raw objects, as far as Slipway and its users send them. Objects are never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch

Object = dict[str, Any]


class TestFailed(Exception):
    """The ``test`` of a JSON patch did not hold, or the patch does not fit the object."""


def merged(obj: Any, patch: Mapping[str, Any]) -> Object:
    """RFC 7396: null removes; what is not named is shared with ``obj``."""
    out: Object = dict(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping):
            out[key] = merged(out.get(key), value)
        else:
            out[key] = value
    return out


def strategic(obj: Object, patch: Mapping[str, Any]) -> Object:
    """A strategic merge where only ``status.conditions`` is a list: merged by ``type``."""
    status = patch.get("status") or {}
    conditions = status.get("conditions")
    out = merged(obj, {**patch, "status": {k: v for k, v in status.items() if k != "conditions"}})
    if conditions:
        named = {each["type"] for each in conditions}
        kept = [
            c for c in (obj.get("status") or {}).get("conditions", ()) if c["type"] not in named
        ]
        out["status"] = {**out["status"], "conditions": [*kept, *conditions]}
    return out


def json_patched(obj: Object, operations: Sequence[Any]) -> Object:
    """RFC 6902; raises TestFailed."""
    try:
        made: Object = jsonpatch.apply_patch(obj, list(operations))
    except jsonpatch.JsonPatchException as error:
        raise TestFailed(str(error)) from error
    return made


def with_meta(obj: Object, **changes: Any) -> Object:
    """The object with fields of its metadata set, or, where None, taken away."""
    meta = {**obj["metadata"], **changes}
    return {**obj, "metadata": {k: v for k, v in meta.items() if v is not None}}


def with_spec(obj: Object, **changes: Any) -> Object:
    """The object with fields of its spec set, or, where None, taken away."""
    spec = {**obj["spec"], **changes}
    return {**obj, "spec": {k: v for k, v in spec.items() if v is not None}}


def with_status(obj: Object, **changes: Any) -> Object:
    """The object with fields of its status set."""
    return {**obj, "status": {**(obj.get("status") or {}), **changes}}
