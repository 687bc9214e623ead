"""The ConfigMaps and Secrets that a pod template uses, and their snapshots.

A snapshot is an immutable copy, named by the original and a digest of its contents. A template
that names snapshots says with nothing else what its pods read; put back to the plain names it is
the user's own, and nothing has to be remembered for that.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from webhook import names
from webhook.objects.intent import Snapshots, read_intent
from webhook.objects.raw import Object
from webhook.projection.fields import Path, annotations

CONFIGMAP: Final = "ConfigMap"
SECRET: Final = "Secret"  # noqa: S105 the name of a kind
UNCOPIED: Final = ""
"""In place of a digest: this object is never copied, pods read it itself."""

_DIGITS: Final = 10
_LONGEST: Final = 253
_MARK: Final = b".slipway-"
_NAME: Final = re.compile(rf"(.+)\.slipway-([0-9a-f]{{{_DIGITS}}})")
_EACH: Final = "*"
_OF_TOKENS: Final = "kubernetes.io/service-account-token"

_IN_CONTAINERS: Final[tuple[tuple[str, Path], ...]] = (
    (CONFIGMAP, ("env", _EACH, "valueFrom", "configMapKeyRef", "name")),
    (SECRET, ("env", _EACH, "valueFrom", "secretKeyRef", "name")),
    (CONFIGMAP, ("envFrom", _EACH, "configMapRef", "name")),
    (SECRET, ("envFrom", _EACH, "secretRef", "name")),
)
_PLACES: Final[tuple[tuple[str, Path], ...]] = (
    (CONFIGMAP, ("spec", "volumes", _EACH, "configMap", "name")),
    (SECRET, ("spec", "volumes", _EACH, "secret", "secretName")),
    (CONFIGMAP, ("spec", "volumes", _EACH, "projected", "sources", _EACH, "configMap", "name")),
    (SECRET, ("spec", "volumes", _EACH, "projected", "sources", _EACH, "secret", "name")),
    *(
        (kind, ("spec", containers, _EACH, *path))
        for containers in ("containers", "initContainers")
        for kind, path in _IN_CONTAINERS
    ),
)
"""Everything in a pod's spec that names a ConfigMap or Secret whose contents its containers get."""


class Ref(NamedTuple):
    """One ConfigMap or Secret in the Deployment's namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


# Names


def snapshot_name(name: str, digest: str) -> str:
    """The name of the snapshot of an object with these contents."""
    return f"{name}.slipway-{digest}"


def source_of(name: str) -> tuple[str, str]:
    """The original's name and the digest; of a name that is no snapshot's, itself and nothing."""
    found = _NAME.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def can_be_copied(name: str) -> bool:
    """Whether the name leaves room for that of a snapshot; it must be readable from it again."""
    return len(name) + len(snapshot_name("", "0" * _DIGITS)) <= _LONGEST


def live_digest(obj: Mapping[str, Any]) -> str:
    """The digest by which an original's contents are known; `UNCOPIED` if it is to be read live.

    A token of a ServiceAccount is filled in by the cluster for each object anew.
    """
    live = annotations(obj).get(names.LIVE) == "true" or obj.get("type") == _OF_TOKENS
    return UNCOPIED if live or not can_be_copied(obj["metadata"]["name"]) else digest_of(obj)


def digest_of(obj: Mapping[str, Any]) -> str:
    """A digest of an object's contents: 10 hexadecimal digits of SHA-256."""
    contents = {key: obj[key] for key in ("type", "data", "binaryData") if obj.get(key)}
    text = orjson.dumps(contents, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


# Templates


def references(template: Object) -> tuple[Ref, ...]:
    """What a template names, originals and snapshots as they stand there, each once, in order."""
    found: dict[Ref, None] = {}

    def note(ref: Ref) -> str:
        found[ref] = None
        return ref.name

    _renamed(template, note)
    return tuple(found)


def plain(template: Object) -> Object:
    """The template with originals in place of snapshots; the same object if it names none."""
    if not may_name_copies(orjson.dumps(template)):
        return template
    return _renamed(template, lambda ref: source_of(ref.name)[0])


def shown(template: Object, digests: Mapping[str, str]) -> Object:
    """The template with snapshots in place of the originals for which there is a digest."""

    def name(ref: Ref) -> str:
        digest = digests.get(str(ref))
        return snapshot_name(ref.name, digest) if digest else ref.name

    return _renamed(template, name)


def digests_in(template: Object) -> dict[str, str]:
    """By original: the digest of the snapshot that the template names."""
    if not may_name_copies(orjson.dumps(template)):
        return {}
    found = ((ref.kind, *source_of(ref.name)) for ref in references(template))
    return {str(Ref(kind, name)): digest for kind, name, digest in found if digest}


def settled(asked: Object, kept: Object) -> Object:
    """``kept`` if the two are the same but for plain names where ``kept`` has snapshots."""
    if asked == kept:
        return kept
    digests = digests_in(kept)
    return kept if digests and shown(asked, digests) == kept else asked


def config_version(template: Object) -> str:
    """A short mark of all contents that a template names; empty if it names no snapshot."""
    found = digests_in(template)
    if not found:
        return ""
    text = "".join(f"{key}={digest};" for key, digest in sorted(found.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def snapshots_of(obj: Mapping[str, Any] | None) -> Snapshots | None:
    """What was decided about a Deployment's contents; None if nothing was."""
    return read_intent(Snapshots, annotations(obj).get(names.CONFIG)) if obj else None


def may_name_copies(text: bytes) -> bool:
    """A quick no for nearly all templates, from their JSON.

    Twenty times faster than to look at every place.
    """
    return _MARK in text


def _renamed(template: Object, name_for: Callable[[Ref], str]) -> Object:
    for kind, path in _PLACES:
        template = _rename(template, kind, path, name_for)
    return template


def _rename(node: Any, kind: str, path: Path, name_for: Callable[[Ref], str]) -> Any:
    """Copies only what is on the way to a name that changes."""
    if not path:
        if not isinstance(node, str) or not node:
            return node
        name = name_for(Ref(kind, node))
        return node if name == node else name
    head, rest = path[0], path[1:]
    if head == _EACH:
        if not isinstance(node, list):
            return node
        items = [_rename(item, kind, rest, name_for) for item in node]
        return items if any(a is not b for a, b in zip(items, node, strict=True)) else node
    if not isinstance(node, dict) or head not in node:
        return node
    child = _rename(node[head], kind, rest, name_for)
    return node if child is node[head] else {**node, head: child}
