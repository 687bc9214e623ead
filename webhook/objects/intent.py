"""Intent: what the reconciler decided, written as JSON into one annotation of an object.

``term`` is the ``leaseTransitions`` of the Lease under which it was decided; the webhook
refuses an older one (fencing). 0 stands for a decision made at admission.
"""

from math import ceil
from typing import Literal, TypeVar

import msgspec

from webhook.objects.steps import HeaderRoute, MirrorRoute

T = TypeVar("T", bound="Intent")


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What all intents share."""

    term: int = 0

    def text(self) -> str:
        """The annotation's value; the same intent gives the same text."""
        return msgspec.json.encode(self, order="deterministic").decode()


class Hold(Intent, frozen=True, kw_only=True):
    """How a Deployment's rollout is held back."""

    mode: Literal["Gate", "Step", "Halt"]
    """``Gate``: paused, no new pod. ``Step``: surge and unavailable as given, so that
    exactly surge + unavailable new pods exist. ``Halt``: as ``Step``, but paused."""
    surge: int = 0
    unavailable: int = 0
    of: int = 0
    """The replicas that ``unavailable`` was meant for; 0 where they are not known."""
    aborted: bool = False
    """The version was taken back; it stays held until a person tries again."""

    @property
    def new_pods(self) -> int:
        """How many pods of the new version this hold allows."""
        return 0 if self.mode == "Gate" else self.surge + self.unavailable

    @property
    def share(self) -> int | None:
        """``unavailable`` in percent of `of`; None unless that says exactly the same.

        Never a multiple of 5: a number that users write themselves could not be told from ours.
        """
        if not 0 < self.unavailable < self.of:
            return None
        shares = range(ceil(100 * self.unavailable / self.of), 100)
        exact = (share for share in shares if self.of * share // 100 == self.unavailable)
        return next((share for share in exact if share % 5), None)

    def unavailable_of(self, replicas: int) -> int:
        """How many stable pods may go of so many replicas."""
        return self.unavailable if self.share is None else replicas * self.share // 100


class Pin(Intent, frozen=True, kw_only=True):
    """Which of the pods that its user's selector takes in a Service selects."""

    hash: str = ""
    """Those of one ReplicaSet, by ``pod-template-hash``; empty for those of all."""
    fenced: bool = False
    """Of these only the ones that are labelled as serving, so that single pods can leave."""


class Sticky(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cookie that brings a user back to the version which answered first."""

    cookie: str
    """Its name."""
    seconds: int
    """How long the browser keeps it."""
    value: str = "canary"
    """What it says. One for each release: a cookie outlives the release that set it."""


class Share(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of one Service's traffic that goes to its canary Service."""

    canary: str
    """Name of the canary Service, in the same namespace as the root Service."""
    weight: int
    """Percent, 0 to 100."""
    headers: tuple[HeaderRoute, ...] = ()
    """Requests that go to the canary Service whatever the weight."""
    mirrors: tuple[MirrorRoute, ...] = ()
    """Requests of which the canary Service gets a copy."""
    sticky: Sticky | None = None
    preview: str = ""
    """A host name under which everything goes to the canary Service."""


Feature = Literal["mirror", "cookie"]
"""What not every router can: copies of requests; a cookie set by one backend only."""


class Split(Intent, frozen=True, kw_only=True, omit_defaults=True):
    """How a route divides the traffic of each Service, keyed by the Service's name."""

    shares: dict[str, Share]
    features: tuple[Feature, ...] = ()
    """What every Gateway of the route is known to do. Only the reconciler knows, so a split that
    was decided at admission shows neither mirrors nor cookies."""


class Snapshots(Intent, frozen=True, kw_only=True, omit_defaults=True):
    """Which contents a Deployment's template shows; keyed as ``ConfigMap/web``."""

    shown: dict[str, str] = {}
    """Digest of the snapshot that the template names."""
    seen: dict[str, str] = {}
    """Digest of the contents that were known when this was decided, where they are others than
    those shown. Only contents that are neither are news."""

    def knew(self, key: str) -> str:
        """The contents that this decision took into account; empty if it knew of none."""
        return self.seen.get(key) or self.shown.get(key, "")


def read_intent(kind: type[T], text: object) -> T | None:
    """Read an annotation's value; None where it is absent or is not one of ours."""
    if not isinstance(text, str):
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, ValueError):
        return None
