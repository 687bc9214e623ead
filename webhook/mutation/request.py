"""What a write asks for, and what becomes of it: the two ends of the pure admission path."""

from collections.abc import Mapping

import msgspec

from webhook.objects.raw import Object


class Request(msgspec.Struct, frozen=True):
    """The parts of an AdmissionReview request that a decision may depend on."""

    uid: str
    operation: str
    """``CREATE`` or ``UPDATE``."""
    kind: str
    group: str
    namespace: str
    name: str
    """Empty on a CREATE with ``generateName``."""
    object: Object
    old: Object | None
    """The stored object on UPDATE, None on CREATE."""
    username: str = ""
    field_manager: str = ""
    """``options.fieldManager`` of the write; `kubectl rollout` and Slipway are told apart by it."""
    dry_run: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """The answer to one write."""

    object: Object
    """What to store. Unchanged parts are the request's own parts (``is``), so a diff is cheap."""
    denied: str | None = None
    """Why the write is refused, in words for the person who made it; None lets it pass."""
    warnings: tuple[str, ...] = ()
    """Shown by kubectl; the server cuts each to 256 characters."""
    audit: Mapping[str, str] = {}
    """Audit annotations: what was decided."""
