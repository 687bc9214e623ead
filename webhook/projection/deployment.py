"""A hold projected onto a Deployment: new pods get ready but never available.

The native controller then keeps exactly ``surge + unavailable`` new pods beside the old ones
and waits. See docs/design for what was measured.
"""

from typing import Any, Final

from webhook import names
from webhook.objects.intent import Hold, read_intent
from webhook.objects.raw import Object
from webhook.projection.covered import Values, cover, shown_in, uncover
from webhook.projection.fields import ABSENT, Path, annotations, read, write
from webhook.projection.template import revision_of, stable_of, users_template

NEVER_AVAILABLE: Final = 2147483646
"""``minReadySeconds`` while held, in seconds: ready pods do not become available."""
NO_DEADLINE: Final = 2147483647
"""``progressDeadlineSeconds`` while held: must exceed minReadySeconds, and means none."""

_PAUSED: Final[Path] = ("spec", "paused")
_TEMPLATE: Final[Path] = ("spec", "template")
_TRACK: Final[Path] = ("metadata", "labels", names.TRACK)


def hold_of(obj: Object | None) -> Hold | None:
    """The hold on a Deployment, None if it is not held."""
    return read_intent(Hold, annotations(obj).get(names.HOLD)) if obj else None


def shown_by(hold: Hold | None) -> Values:
    """The fields that a hold covers, with what it shows in them."""
    if hold is None:
        return {}
    if hold.mode == "Gate":
        return {_PAUSED: True}
    step: dict[Path, Any] = {
        ("spec", "minReadySeconds"): NEVER_AVAILABLE,
        ("spec", "progressDeadlineSeconds"): NO_DEADLINE,
        ("spec", "strategy", "type"): "RollingUpdate",
        ("spec", "strategy", "rollingUpdate", "maxSurge"): hold.surge,
        # As a share: scaled down behind our back, a Deployment keeps stable pods.
        ("spec", "strategy", "rollingUpdate", "maxUnavailable"): (
            hold.unavailable if hold.share is None else f"{hold.share}%"
        ),
    }
    return {**step, _PAUSED: True} if hold.mode == "Halt" else step


def users_deployment(new: Object, old: Object | None = None) -> Object:
    """The Deployment as its user wants it, behind whatever hold is shown in ``new``.

    The template keeps Slipway's keys; see `template.users_template`.
    """
    users = uncover(new, old)
    if read(users, ("spec", "strategy", "type")) == "Recreate":
        # A merge patch to Recreate in a hold leaves what is shown beside it, which is not valid.
        return write(users, ("spec", "strategy", "rollingUpdate"), ABSENT)
    return users


def returning(users: Object, hold: Hold | None) -> bool:
    """Whether the user went back to the released template while new pods are held.

    Shown the released template, the Deployment controller takes its ReplicaSet for the new one,
    finds it complete, and deletes the new pods at once, whatever traffic they have.
    """
    if hold is None or hold.new_pods == 0:
        return False
    stable = stable_of(users)
    if stable is None:
        return False
    return revision_of(users_template(read(users, _TEMPLATE))) == stable.revision


def _template_shown(new: Object | None, old: Object | None) -> Object | None:
    """The template that the held pods are made from, where the user wants another one."""
    for obj in (new, old):
        shown = shown_in(obj, _TEMPLATE)
        if isinstance(shown, dict):
            return shown
    kept = read(old, _TEMPLATE) if old else None
    return kept if isinstance(kept, dict) else None


def project_hold(
    users: Object, hold: Hold | None, new: Object | None = None, old: Object | None = None
) -> Object:
    """Show a hold on the user's Deployment, or, with None, the Deployment as it is.

    The template that ``new`` and ``old`` show, the write and what was stored, stays in place of
    the user's as long as the user is `returning`.
    """
    running = hold is not None and not hold.aborted
    values = shown_by(hold)
    if returning(users, hold) and (template := _template_shown(new, old)) is not None:
        values = {**values, _TEMPLATE: template}
    shown = cover(users, values, {names.HOLD: hold.text() if hold else None})
    if not running and read(shown, _TRACK) is ABSENT:
        return shown
    return write(shown, _TRACK, names.TRACK_CANARY if running else ABSENT)


def projected_deployment(obj: Object) -> Object:
    """``obj`` as the webhook would have stored it: equal, unless a write passed without it."""
    return project_hold(users_deployment(obj), hold_of(obj), obj)


def without_policys_pause(obj: Object, hold: Hold) -> str | None:
    """The memory by which the pause that the admission policy set is not the user's wish."""
    return _memory(obj, hold, paused=ABSENT)


def with_users_pause(obj: Object) -> str | None:
    """The memory by which the pause that an aborted hold shows is the user's own wish."""
    return _memory(obj, hold_of(obj), paused=True)


def _memory(obj: Object, hold: Hold | None, *, paused: object) -> str | None:
    """What is remembered of the user's fields under a hold, if this were their pause."""
    users = write(users_deployment(obj), _PAUSED, paused)
    remembered: str | None = annotations(project_hold(users, hold, obj)).get(names.ORIGINAL)
    return remembered
