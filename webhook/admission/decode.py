"""A review as far as a decision may read it; the rest stays bytes.

Managed fields and status are half of an ordinary object, and no decision looks into them.
"""

import gc
from typing import Any, Final, TypedDict

import msgspec
import orjson


class _Metadata(TypedDict, total=False):
    """``ObjectMeta``, the same for every kind."""

    name: Any
    generateName: Any
    namespace: Any
    selfLink: Any
    uid: Any
    resourceVersion: Any
    generation: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    deletionGracePeriodSeconds: Any
    labels: Any
    annotations: Any
    ownerReferences: Any
    finalizers: Any
    managedFields: msgspec.Raw


class _Object(TypedDict, total=False):
    """What the kinds in the webhook's rules are made of."""

    apiVersion: Any
    kind: Any
    metadata: _Metadata
    spec: Any
    status: msgspec.Raw


class _User(TypedDict, total=False):
    username: Any


class _Request(TypedDict, total=False):
    uid: Any
    kind: Any
    namespace: Any
    name: Any
    operation: Any
    subResource: Any
    userInfo: _User
    object: _Object | None
    oldObject: _Object | None
    dryRun: Any
    options: Any


class _Review(TypedDict, total=False):
    apiVersion: Any
    kind: Any
    request: _Request


_READABLE: Final = msgspec.json.Decoder(_Review)


def decode(body: bytes) -> Any:
    """Return a review, typed no further than JSON; raises `orjson.JSONDecodeError`.

    Without the garbage collector: JSON has no cycles, and a body of a million lists would send
    it through all of them time and again.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return _READABLE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return orjson.loads(body)  # of another shape, which is for others to judge, or no JSON
    finally:
        if collects:
            gc.enable()
