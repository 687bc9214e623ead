"""How a new version gets its traffic: in steps, in one switch, or unguarded."""

import re
from typing import Literal

import msgspec

from webhook.objects.duration import parse_duration
from webhook.objects.steps import AnalysisStep, HeaderRoute, Step

DEFAULT_STEPS = (Step(set_weight=10), Step(set_weight=25), Step(set_weight=50))

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_AMOUNT = re.compile(r"\d{1,3}%", re.ASCII)


class Stickiness(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A user who saw the new version keeps seeing it while the release runs, by a cookie."""

    cookie_name: str = "slipway-version"
    ttl: str = "24h"
    """How long the browser keeps the cookie."""

    def __post_init__(self) -> None:
        parse_duration(self.ttl)
        if not _TOKEN.fullmatch(self.cookie_name):
            raise ValueError(f"stickiness.cookieName {self.cookie_name!r} is no name of a cookie")


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Traffic in steps; after the last one the release is promoted."""

    steps: tuple[Step, ...] = DEFAULT_STEPS
    max_extra_pods: int | str | None = None
    """Most pods beside the Deployment's replicas, as a number or a percentage of them, rounded
    up, at least 1. Without it the stable side keeps all its pods until the promotion, so that
    an abort overloads nobody; with it the stable side shrinks as traffic leaves it, and an
    abort has to start pods again."""
    stickiness: Stickiness | None = None

    def __post_init__(self) -> None:
        extra = self.max_extra_pods
        if isinstance(extra, str) and (not _AMOUNT.fullmatch(extra) or int(extra[:-1]) == 0):
            raise ValueError(f"maxExtraPods {extra!r} is neither a number nor like 25%")
        if isinstance(extra, int) and extra < 1:
            raise ValueError(f"maxExtraPods {extra} is below 1: new pods need a place")


class Preview(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How people reach the new version before its release, beside the preview Service."""

    host: str | None = None
    """A host name under which routes lead to the new version."""
    header_route: HeaderRoute | None = None
    """Requests of the usual host that lead to the new version."""


class BlueGreen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A full set of new pods, looked at before anybody is sent there, then one switch."""

    preview: Preview = Preview()
    preview_replica_count: int | None = None
    """New pods before the switch is decided; default: as many as the Deployment has."""
    auto_promotion_enabled: bool = True
    """False: the switch waits for an approval."""
    auto_promotion_seconds: int | None = None
    """With ``autoPromotionEnabled: false``: so many seconds later it happens all the same."""
    pre_promotion_analysis: AnalysisStep | None = None
    post_promotion_analysis: AnalysisStep | None = None
    scale_down_delay_seconds: int = 30
    """How long the old pods are kept after the switch, for an instant way back."""

    def __post_init__(self) -> None:
        for name, value in (
            ("previewReplicaCount", self.preview_replica_count),
            ("autoPromotionSeconds", self.auto_promotion_seconds),
            ("scaleDownDelaySeconds", self.scale_down_delay_seconds),
        ):
            if value is not None and value < 0:
                raise ValueError(f"{name} {value} is below 0")
        if self.preview_replica_count == 0:
            raise ValueError("previewReplicaCount 0: there would be nothing to look at")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object without fields: its presence is the choice."""


class Strategy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A union: exactly one of ``canary``, ``blueGreen`` and ``none``."""

    canary: Canary | None = None
    blue_green: BlueGreen | None = None
    none: Nothing | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.canary, self.blue_green, self.none)) != 1:
            raise ValueError("strategy has exactly one of canary, blueGreen and none")


Promotion = Literal["Automatic", "Manual"]
"""``Manual``: the last move, to all users, always waits for an approval (continuous delivery).
``Automatic``: only a failed check or a person stops it (continuous deployment)."""
