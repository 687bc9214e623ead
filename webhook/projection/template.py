"""The pod template: the user's part of it, and the few keys that Slipway adds on a real change."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from webhook import names
from webhook.objects.raw import Object
from webhook.projection.config import config_version, may_name_copies
from webhook.projection.fields import ABSENT, annotations, read, update

_LABELS = ("metadata", "labels")
_ANNOTATIONS = ("metadata", "annotations")
_VERSION_LABEL = (*_LABELS, names.VERSION_LABEL)
_NOT_LABEL = re.compile(r"[^A-Za-z0-9._-]")


class Keys(msgspec.Struct, frozen=True):
    """Slipway's own keys in a pod template."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


_NONE: Final = Keys()


class Stable(msgspec.Struct, frozen=True):
    """What was released when a hold began: enough to know it again and to return to it."""

    revision: str
    version: str
    keys: Keys

    def text(self) -> str:
        """The annotation's value."""
        return msgspec.json.encode(self).decode()


def own_keys(template: Mapping[str, Any]) -> Keys:
    """Slipway's keys in ``template``."""
    metadata = template.get("metadata")
    if not isinstance(metadata, dict):
        return _NONE
    labels, annotations = _ours(metadata.get("labels")), _ours(metadata.get("annotations"))
    return Keys(labels, annotations) if labels or annotations else _NONE


def users_template(template: Object) -> Object:
    """``template`` without Slipway's keys; the same object if it has none."""
    return _without(template, own_keys(template))


def with_keys(users: Object, keys: Keys) -> Object:
    """The user's template with exactly these keys of ours."""
    return update(update(users, _LABELS, keys.labels), _ANNOTATIONS, keys.annotations)


def _without(template: Object, keys: Keys) -> Object:
    if not (keys.labels or keys.annotations):
        return template
    template = update(template, _LABELS, dict.fromkeys(keys.labels, ABSENT))
    return update(template, _ANNOTATIONS, dict.fromkeys(keys.annotations, ABSENT))


def revision_of(users: Mapping[str, Any]) -> str:
    """A digest of the user's template: 10 hexadecimal digits of SHA-256 over its sorted JSON."""
    return _digest(_json(users))


def revision_and_version(users: Object) -> tuple[str, str]:
    """The template's digest (`revision_of`), and the version that people know.

    That is ``app.kubernetes.io/version``, else the image's tag; of an image named by digest only,
    the first 12 digits; ``latest`` where nothing is said. A template that names snapshots of its
    config says so as a build does in a semantic version: ``v2+config.3fa2c1``.
    """
    text = _json(users)
    return _digest(text), _version(users, text)


def _json(users: Mapping[str, Any]) -> bytes:
    return orjson.dumps(users, option=orjson.OPT_SORT_KEYS)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:10]


def _version(users: Object, text: bytes) -> str:
    said = _said_version(users)
    config = config_version(users) if may_name_copies(text) else ""
    return f"{said}+config.{config}" if config else said


def _said_version(users: Mapping[str, Any]) -> str:
    labelled = read(users, _VERSION_LABEL)
    if isinstance(labelled, str) and labelled:
        return labelled
    containers = read(users, ("spec", "containers"))
    if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
        return "unknown"
    return _tag(str(containers[0].get("image") or ""))


def keys_for(users: Object) -> Keys:
    """The keys to inject into a template that really changed."""
    revision, version = revision_and_version(users)
    return Keys(
        labels={names.VERSION: label_value(version)},
        annotations={names.VERSION: version, names.REVISION: revision},
    )


def stable_from(template: Object) -> Stable:
    """What to remember of the template that is being replaced."""
    keys = own_keys(template)
    revision, version = revision_and_version(_without(template, keys))
    return Stable(revision, version, keys)


def stable_of(obj: Object) -> Stable | None:
    """What was released when the present hold began."""
    text = annotations(obj).get(names.STABLE)
    if not isinstance(text, str):
        return None
    try:
        return msgspec.json.decode(text, type=Stable)
    except (msgspec.DecodeError, ValueError):
        return None


def label_value(text: str) -> str:
    """``text`` made a valid label value: at most 63 of ``[A-Za-z0-9._-]``, ends alphanumeric."""
    return _NOT_LABEL.sub("-", text)[:63].strip("._-") or "unknown"


def _tag(image: str) -> str:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if tag:
        return tag
    return digest.partition(":")[2][:12] or "latest"


def _ours(values: Any) -> dict[str, str]:
    if not isinstance(values, dict):  # not Mapping: on the hot path its check is ten times slower
        return {}
    return {key: value for key, value in values.items() if key.startswith(names.PREFIX)}
