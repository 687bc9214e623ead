"""Who may change intent: Slipway's own identity, and of its leaders only the newest."""

from collections.abc import Mapping

from webhook import names
from webhook.mutation.request import Request
from webhook.mutation.world import World
from webhook.objects.intent import Hold, Intent, Pin, Snapshots, Split, read_intent
from webhook.objects.raw import Object
from webhook.projection.fields import annotate, annotations

_KINDS: Mapping[str, type[Intent]] = {
    names.HOLD: Hold,
    names.PIN: Pin,
    names.SPLIT: Split,
    names.CONFIG: Snapshots,
}


def is_own(request: Request, world: World) -> bool:
    """Whether the write is the reconciler's.

    The field manager is asked for as well, since out of a cluster Slipway may run as the same
    user as the person at the keyboard.
    """
    return request.username == world.identity and request.field_manager == names.FIELD_MANAGER


def carried(obj: Object, old: Object | None, keys: frozenset[str] = names.INTENT_KEYS) -> Object:
    """``obj`` with the stored object's intent, whatever the write said about it.

    ``keys`` are the annotations to carry over, or to take off where they were not stored.
    """
    kept = annotations(old) if old else {}
    here = annotations(obj)
    if keys.isdisjoint(here) and keys.isdisjoint(kept):
        return obj
    changes = {key: kept.get(key) for key in keys if here.get(key) != kept.get(key)}
    return annotate(obj, changes)


def fenced(request: Request) -> str | None:
    """Why this write of intent is refused: a newer leader has decided already."""
    if request.old is None:
        return None
    for key, kind in _KINDS.items():
        new = read_intent(kind, annotations(request.object).get(key))
        old = read_intent(kind, annotations(request.old).get(key))
        if new and old and new != old and new.term < old.term:
            return (
                f"{request.kind} {request.namespace}/{request.name}: {key} was decided in term "
                f"{old.term}; a decision of term {new.term} comes from an older leader"
            )
    return None
