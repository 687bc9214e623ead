"""Writes that are made only while an object is what it was when they were decided."""

from collections.abc import Mapping, Sequence
from typing import Any

from webhook.cluster import errors
from webhook.cluster.client import Client, PatchType
from webhook.cluster.kinds import Kind, Object


async def patch_unless_changed(
    client: Client, kind: Kind, made: Object, changes: Sequence[Mapping[str, Any]]
) -> Object:
    """Apply a JSON Patch to an object as it was read; ``errors.Conflict`` if it is not that now."""
    meta = made["metadata"]
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]}
    try:
        return await client.patch(
            kind, meta["name"], [version, *changes], meta["namespace"], content=PatchType.JSON
        )
    except errors.Invalid as error:  # how the API server says that the test did not hold
        what = f"it was written by somebody else, or is refused: {error.message}"
        raise errors.Conflict(error.call, what) from error
