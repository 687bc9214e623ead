"""A hold projected onto a Deployment: new pods get ready but never available.

The native controller then keeps exactly ``surge + unavailable`` new pods beside the old ones
and waits. See docs/design for what was measured.
"""

from typing import Any, Final

from webhook import names
from webhook.objects.intent import Hold, read_intent
from webhook.objects.raw import Object
from webhook.projection.covered import Values, cover, uncover
from webhook.projection.fields import ABSENT, Path, annotate, annotations, read, write

NEVER_AVAILABLE: Final = 2147483646
"""``minReadySeconds`` while held, in seconds: ready pods do not become available."""
NO_DEADLINE: Final = 2147483647
"""``progressDeadlineSeconds`` while held: must exceed minReadySeconds, and means none."""

_PAUSED: Final[Path] = ("spec", "paused")
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
        ("spec", "strategy", "rollingUpdate", "maxUnavailable"): hold.unavailable,
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


def project_hold(users: Object, hold: Hold | None) -> Object:
    """Show a hold on the user's Deployment, or, with None, the Deployment as it is."""
    running = hold is not None and not hold.aborted
    shown = cover(users, shown_by(hold))
    shown = annotate(shown, {names.HOLD: hold.text() if hold else None})
    if not running and read(shown, _TRACK) is ABSENT:
        return shown
    return write(shown, _TRACK, names.TRACK_CANARY if running else ABSENT)


def projected_deployment(obj: Object) -> Object:
    """``obj`` as the webhook would have stored it: equal, unless a write passed without it."""
    return project_hold(users_deployment(obj), hold_of(obj))
