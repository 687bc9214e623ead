"""What of each kind of object is kept in memory. Kinds that are not named here are kept whole."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from webhook import names
from webhook.cluster.kinds import (
    CONFIGMAPS,
    ENDPOINTSLICES,
    PODS,
    REPLICASETS,
    SECRETS,
    Kind,
    Object,
)
from webhook.projection.config import digest_of, live_digest

Trim: TypeAlias = Callable[[Object], Object]
"""Returns the part of an object to keep; never changes the object it is given."""

_POD_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "labels",
    "ownerReferences",
    "deletionTimestamp",
    "creationTimestamp",
)
_CONTENTS_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "ownerReferences",
)
_CONDITION: Final = ("type", "status", "reason", "lastTransitionTime")


def trim_managed_fields(obj: Object) -> Object:
    """Keep everything but ``metadata.managedFields``, often half of an object."""
    metadata = obj.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return obj
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**obj, "metadata": kept}


def trim_pod(obj: Object) -> Object:
    """Keep who a pod is, whose it is, where it runs, and how it fares."""
    metadata, spec, status = (obj.get(part) or {} for part in ("metadata", "spec", "status"))
    slim = _only(metadata, _POD_METADATA)
    annotations = metadata.get("annotations") or {}
    ours = {key: value for key, value in annotations.items() if key.startswith(names.PREFIX)}
    if ours:
        slim["annotations"] = ours
    kept = _only(status, ("phase", "podIP", "hostIP", "startTime"))
    for key, trim in (("conditions", _condition), ("containerStatuses", _container)):
        if key in status:
            kept[key] = [trim(part) for part in status[key] or ()]
    return _head(obj) | {"metadata": slim, "spec": _only(spec, ("nodeName",)), "status": kept}


def trim_replicaset(obj: Object) -> Object:
    """Keep the metadata, the size, the selector, the whole template and the status."""
    return _head(obj) | {
        "metadata": trim_managed_fields(obj).get("metadata") or {},
        "spec": _only(obj.get("spec") or {}, ("replicas", "selector", "template")),
        "status": obj.get("status") or {},
    }


def trim_endpointslice(obj: Object) -> Object:
    """Keep the ports, and of each endpoint its addresses, conditions and pod."""
    kept = _head(obj) | _only(obj, ("addressType", "ports"))
    kept["metadata"] = trim_managed_fields(obj).get("metadata") or {}
    kept["endpoints"] = [
        _only(endpoint, ("addresses", "conditions", "targetRef"))
        for endpoint in obj.get("endpoints") or ()
    ]
    return kept


def trim_contents(obj: Object) -> Object:
    """Keep of a ConfigMap or Secret whose it is, and of its contents only the digests."""
    metadata = obj["metadata"]
    slim = _only(metadata, _CONTENTS_METADATA)
    if names.SNAPSHOT_OF in (metadata.get("labels") or {}):
        slim["labels"] = _only(metadata["labels"], (names.SNAPSHOT_OF,))
    return _head(obj) | {
        "metadata": slim,
        "digest": digest_of(obj),
        "liveDigest": live_digest(obj),
    }


TRIMS: Final[Mapping[Kind, Trim]] = {
    PODS: trim_pod,
    REPLICASETS: trim_replicaset,
    ENDPOINTSLICES: trim_endpointslice,
    CONFIGMAPS: trim_contents,
    SECRETS: trim_contents,
}


def trim_for(kind: Kind) -> Trim:
    """Return how objects of ``kind`` are trimmed."""
    return TRIMS.get(kind, trim_managed_fields)


def _head(obj: Object) -> Object:
    return _only(obj, ("apiVersion", "kind"))


def _only(part: Mapping[str, Any], keys: Iterable[str]) -> Object:
    return {key: part[key] for key in keys if key in part}


def _condition(condition: Object) -> Object:
    return _only(condition, _CONDITION)


def _container(status: Object) -> Object:
    kept = _only(status, ("name", "ready", "restartCount"))
    waiting = (status.get("state") or {}).get("waiting")
    if waiting is not None:
        kept["state"] = {"waiting": _only(waiting, ("reason",))}
    return kept
