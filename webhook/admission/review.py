"""AdmissionReview v1: hostile bytes in, a `Request` out; an `Outcome` in, bytes out."""

import re
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import orjson
from msgspec.structs import replace

from webhook import names
from webhook.admission.decode import decode
from webhook.mutation.request import Request
from webhook.objects.raw import Object

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
UID_LENGTH: Final = 256
"""Longest uid that is echoed; real ones have 36 characters."""
WARNING_LENGTH: Final = 256
WARNINGS: Final = 16
"""The API server passes on 4096 characters of warnings in all."""
MESSAGE_LENGTH: Final = 2048

_NOTHING: Final[dict[str, Any]] = {}
_TEXTS: Final = attrgetter(
    "operation", "kind", "group", "namespace", "name", "username", "field_manager"
)
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
_AUDIT_KEY: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_NOT_AUDIT_KEY: Final = re.compile(r"[^A-Za-z0-9_.]+")


class BadEnvelopeError(ValueError):
    """The body is no AdmissionReview v1 with a uid, so no review can be answered."""


class BadRequestError(ValueError):
    """The review can be answered, but its request is not in the shape the API promises."""


class Envelope(NamedTuple):
    """A review that can be answered; what it asks for is still unread."""

    uid: str
    request: dict[str, Any]


def open_envelope(body: bytes) -> Envelope:
    """Decode a review as far as it takes to answer it; raises `BadEnvelopeError`."""
    try:
        review = decode(body)
    except orjson.JSONDecodeError as error:
        raise BadEnvelopeError(f"the body is not JSON: {_plain(str(error), 200)}") from None
    if not isinstance(review, dict):
        raise BadEnvelopeError("the body is not a JSON object; send an AdmissionReview")
    if review.get("kind") != KIND:
        raise BadEnvelopeError(f"kind is not {KIND}")
    if review.get("apiVersion") != API_VERSION:
        raise BadEnvelopeError(f"apiVersion is not {API_VERSION}")
    request = review.get("request")
    if not isinstance(request, dict):
        raise BadEnvelopeError("request is missing or not an object")
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= UID_LENGTH:
        raise BadEnvelopeError("request.uid is missing, empty, too long or not a string")
    return Envelope(uid, request)


def read_request(envelope: Envelope) -> Request:
    """Type the parts of a CREATE or UPDATE that a decision may use; raises `BadRequestError`."""
    raw = envelope.request
    kind, user, options = raw.get("kind"), raw.get("userInfo"), raw.get("options") or _NOTHING
    if not (isinstance(kind, dict) and isinstance(user, dict) and isinstance(options, dict)):
        raise BadRequestError("request.kind, userInfo or options is not an object")
    request = Request(
        uid=envelope.uid,
        operation=raw.get("operation", ""),
        kind=kind.get("kind", ""),
        group=kind.get("group", ""),
        namespace=raw.get("namespace", ""),
        name=raw.get("name", ""),
        object=_object(raw, "object"),
        old=_object(raw, "oldObject") if raw.get("operation") == "UPDATE" else None,
        username=user.get("username", ""),
        field_manager=options.get("fieldManager", ""),
        dry_run=raw.get("dryRun") is True,
    )
    for text in _TEXTS(request):
        if type(text) is not str:
            raise BadRequestError("request has a name, kind or user that is not a string")
    if request.group == names.GROUP:
        return _with_status(request)
    return request


def _with_status(request: Request) -> Request:
    """Of our own kinds the status matters too: how far a release is."""
    old = {**request.old, **_status(request.old)} if request.old else None
    return replace(request, object={**request.object, **_status(request.object)}, old=old)


def _status(obj: Object) -> Object:
    status = obj.get("status")
    if not isinstance(status, msgspec.Raw):
        return {}
    try:
        return {"status": orjson.loads(bytes(status))}
    except orjson.JSONDecodeError as error:
        raise BadRequestError("request.object.status is not JSON") from error


def _object(holder: dict[str, Any], key: str) -> Object:
    value = holder.get(key)
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        raise BadRequestError(f"request.{key} is missing or has no metadata")
    return value


def allow(
    uid: str,
    patch: Sequence[Mapping[str, Any]] = (),
    warnings: Sequence[str] = (),
    audit: Mapping[str, str] | None = None,
) -> bytes:
    """Write an allowed review; patch and patchType are both there or neither."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = b2a_base64(orjson.dumps(patch), newline=False).decode("ascii")
    return _write(response, warnings, audit)


def deny(
    uid: str,
    reason: str,
    warnings: Sequence[str] = (),
    audit: Mapping[str, str] | None = None,
) -> bytes:
    """Write a denied review; kubectl shows the reason to whoever made the write."""
    status = {"code": 403, "reason": "Forbidden", "message": _plain(reason, MESSAGE_LENGTH)}
    return _write({"uid": uid, "allowed": False, "status": status}, warnings, audit)


def _write(
    response: dict[str, Any], warnings: Sequence[str], audit: Mapping[str, str] | None
) -> bytes:
    if warnings:
        response["warnings"] = [_plain(text, WARNING_LENGTH) for text in warnings[:WARNINGS]]
    if audit:
        # The API server puts the webhook's name and a slash before each key.
        response["auditAnnotations"] = {_audit_key(key): str(value) for key, value in audit.items()}
    return orjson.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response})


@lru_cache(maxsize=64)
def _audit_key(key: str) -> str:
    """Return a key that the API server takes; the decision has but a few."""
    if _AUDIT_KEY.fullmatch(key):
        return key
    return _NOT_AUDIT_KEY.sub("-", key)[:63].strip("-_.") or "unnamed"


def _plain(text: str, length: int) -> str:
    """Return text of one line and at most this many characters."""
    if not text.isprintable():
        text = _UNPRINTABLE.sub(" ", text)
    return text if len(text) <= length else text[: length - 1] + "…"
