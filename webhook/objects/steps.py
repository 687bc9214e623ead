"""The steps of a canary: names and meanings as in Argo Rollouts, which the users know."""

from typing import Any, Literal

import msgspec

from webhook.objects.duration import parse_duration


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Fields in camelCase; unknown ones are refused."""


class _Slim(_Part, frozen=True, omit_defaults=True):
    """As `_Part`; what is not set is not written, so that intents stay short."""


class Pause(_Part, frozen=True):
    """Wait for ``duration``, or, without one, until a person approves."""

    duration: str | None = None

    def __post_init__(self) -> None:
        if self.duration is not None:
            parse_duration(self.duration)


class CanaryScale(_Part, frozen=True):
    """How many new pods there are from here on, whatever the weight: exactly one field is set."""

    replicas: int | None = None
    percent: int | None = None
    """Of the Deployment's replicas, rounded up."""
    weight: int | None = None
    """The same as ``percent``, under the name that Argo Rollouts has for it."""
    match_traffic_weight: bool | None = None
    """True: as many as the weight needs again, which is how a release begins."""

    def __post_init__(self) -> None:
        _exactly_one(self, "setCanaryScale")
        for name, value, most in (
            ("replicas", self.replicas, 100_000),
            ("percent", self.share, 100),
        ):
            _between(f"setCanaryScale.{name}", value, 0, most)
        if self.match_traffic_weight is False:
            raise ValueError("setCanaryScale.matchTrafficWeight can only be true")

    @property
    def share(self) -> int | None:
        """The percentage, under whichever name it was given."""
        return self.percent if self.percent is not None else self.weight


class StringMatch(_Slim, frozen=True):
    """How a text is compared: exactly one field is set. ``regex`` is RE2, of the whole text."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    def __post_init__(self) -> None:
        _exactly_one(self, "a match")


class HeaderMatch(_Slim, frozen=True):
    """A header, or a cookie, with the value that it has to have."""

    header_name: str | None = None
    header_value: StringMatch | None = None
    cookie_name: str | None = None
    cookie_value: StringMatch | None = None

    def __post_init__(self) -> None:
        header = (self.header_name is not None, self.header_value is not None)
        cookie = (self.cookie_name is not None, self.cookie_value is not None)
        if {header, cookie} != {(True, True), (False, False)}:
            raise ValueError(
                "a match has headerName and headerValue, or cookieName and cookieValue"
            )


class HeaderRoute(_Slim, frozen=True):
    """Requests that match any entry go to the new version; with none, the route goes again."""

    name: str
    match: tuple[HeaderMatch, ...] = ()


class RequestMatch(_Slim, frozen=True):
    """A request that meets every condition that is set."""

    method: StringMatch | None = None
    path: StringMatch | None = None
    headers: dict[str, StringMatch] = {}


class MirrorRoute(_Slim, frozen=True):
    """Copies of requests go to the new version, whose answers are thrown away.

    Of requests that match any entry; with none, of all. ``percentage`` 0 takes the route away.
    """

    name: str
    match: tuple[RequestMatch, ...] = ()
    percentage: int = 100

    def __post_init__(self) -> None:
        _between("setMirrorRoute.percentage", self.percentage, 0, 100)


class TemplateRef(_Part, frozen=True):
    """Names an analysis."""

    template_name: str


class AnalysisStep(_Part, frozen=True):
    """Wait until every one of these analyses has a result."""

    templates: tuple[TemplateRef, ...]

    def __post_init__(self) -> None:
        if not self.templates:
            raise ValueError("an analysis names at least one template")


StepKind = Literal[
    "setWeight", "pause", "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "analysis"
]


class Step(_Part, frozen=True):
    """One canary step: exactly one of the fields is set."""

    set_weight: int | None = None
    """Share of traffic for the new version, in percent, 0 to 100."""
    pause: Pause | None = None
    set_canary_scale: CanaryScale | None = None
    set_header_route: HeaderRoute | None = None
    set_mirror_route: MirrorRoute | None = None
    analysis: AnalysisStep | None = None

    def __post_init__(self) -> None:
        _exactly_one(self, "a step")
        _between("setWeight", self.set_weight, 0, 100)

    @property
    def waits(self) -> bool:
        """Whether the step changes nothing and lets time, a person or a result decide."""
        return self.pause is not None or self.analysis is not None


def _exactly_one(part: Any, what: str) -> None:
    if sum(getattr(part, name) is not None for name in part.__struct_fields__) != 1:
        *most, last = part.__struct_encode_fields__
        raise ValueError(f"{what} has exactly one of {', '.join(most)} and {last}")


def _between(what: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise ValueError(f"{what} {value} is not between {least} and {most}")
