"""A pin projected onto a Service: it selects the pods of one ReplicaSet only."""

from typing import Final

from webhook import names
from webhook.objects.intent import Pin, read_intent
from webhook.objects.raw import Object
from webhook.projection.covered import Values, cover, uncover
from webhook.projection.fields import Path, annotations

_HASH: Final[Path] = ("spec", "selector", names.POD_TEMPLATE_HASH)
_SERVES: Final[Path] = ("spec", "selector", names.SERVES)


def pin_of(obj: Object | None) -> Pin | None:
    """The pin on a Service, None if it is not pinned."""
    return read_intent(Pin, annotations(obj).get(names.PIN)) if obj else None


def shown_by(pin: Pin | None) -> Values:
    """The selector keys that a pin covers."""
    if pin is None:
        return {}
    of_one = {_HASH: pin.hash} if pin.hash else {}
    return {**of_one, _SERVES: "true"} if pin.fenced else of_one


def users_service(new: Object, old: Object | None = None) -> Object:
    """The Service as its user wants it, behind whatever pin is shown in ``new``."""
    return uncover(new, old)


def project_pin(users: Object, pin: Pin | None) -> Object:
    """Show a pin on the user's Service, or, with None, the Service as it is."""
    return cover(users, shown_by(pin), {names.PIN: pin.text() if pin else None})


def projected_service(obj: Object) -> Object:
    """``obj`` as the webhook would have stored it: equal, unless a write passed without it."""
    return project_pin(users_service(obj), pin_of(obj))
