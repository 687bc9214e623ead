"""Release objects between the API and the engine: read, write, and leave out what is broken."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import structlog

from webhook import names
from webhook.objects.raw import Object
from webhook.objects.release import Release, ReleaseSpec, ReleaseStatus, read_release
from webhook.release.readings import Readings

log = structlog.get_logger(__name__)


def readable_releases(objects: Iterable[Object], readings: Readings | None = None) -> list[Release]:
    """The Releases that can be read; one that can't is told in the log and left alone."""
    found = (readings or Readings()).of_each(_readable, objects)
    return [release for release in found if release is not None]


def _readable(obj: Object) -> Release | None:
    try:
        return read_release(obj)
    except (msgspec.ValidationError, KeyError) as error:
        meta = obj.get("metadata") or {}
        log.warning(
            "release_unreadable",
            namespace=meta.get("namespace"),
            name=meta.get("name"),
            error=str(error),
        )
        return None


def release_object(namespace: str, name: str, spec: ReleaseSpec, owner: Object) -> Object:
    """A new Release, owned by its Deployment."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Release",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {names.OF_DEPLOYMENT: spec.deployment.name[:63].rstrip("-.")},
            "ownerReferences": [owner],
        },
        "spec": _without_nothing(msgspec.to_builtins(spec)),
    }


def status_patch(status: ReleaseStatus, stored: Mapping[str, Any]) -> Object:
    """A merge patch that makes the stored status equal: what is not set is removed."""
    wanted: dict[str, Any] = _without_nothing(msgspec.to_builtins(status))
    return {**{key: None for key in stored if key not in wanted}, **wanted}


def _without_nothing(value: Any) -> Any:
    """Fields that are None are left out: the API knows absence, not null."""
    if isinstance(value, dict):
        return {k: _without_nothing(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_without_nothing(v) for v in value]
    return value
