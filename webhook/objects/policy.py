"""`ClusterReleasePolicy` and `ReleasePolicy`: what the platform team decides once for all.

Every field has a default, so ``spec: {}`` is a whole policy. Unknown fields are refused.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from webhook.objects.duration import parse_duration
from webhook.objects.selector import LabelSelector
from webhook.objects.steps import (
    AnalysisStep,
    CanaryScale,
    HeaderMatch,
    HeaderRoute,
    MirrorRoute,
    Pause,
    RequestMatch,
    Step,
    StringMatch,
    TemplateRef,
)
from webhook.objects.strategy import (
    BlueGreen,
    Canary,
    Nothing,
    Preview,
    Promotion,
    Stickiness,
    Strategy,
)


class PolicyError(ValueError):
    """A policy's spec can't be read; the message names the field and what would be right."""


class RouteSelector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names routes; what is left out is any."""

    kind: str = ""
    namespace: str = ""
    name: str = ""

    def selects(self, kind: str, namespace: str, name: str) -> bool:
        """Whether it means this route."""
        pairs = ((self.kind, kind), (self.namespace, namespace), (self.name, name))
        return all(wanted in ("", found) for wanted, found in pairs)


class Routes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of the routes that lead to a Service are divided between the versions."""

    include: tuple[RouteSelector, ...] = ()
    """Empty: all that are found."""
    exclude: tuple[RouteSelector, ...] = ()
    """Requests of these stay with the released version until the promotion."""

    def divides(self, kind: str, namespace: str, name: str) -> bool:
        """Whether a route is one of them."""
        route = (kind, namespace, name)
        wanted = not self.include or any(each.selects(*route) for each in self.include)
        return wanted and not any(each.selects(*route) for each in self.exclude)


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long traffic takes to follow a change, and to leave a pod; and by which routes."""

    settle: str = "5s"
    """From a route reported as programmed until it is taken as live."""
    drain: str = "30s"
    """From the proof that traffic left until a pod or Service may go."""
    routes: Routes = Routes()

    def __post_init__(self) -> None:
        parse_duration(self.settle)
        parse_duration(self.drain)


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Which Deployments the policy is for; empty selectors match everything."""

    namespace_selector: LabelSelector = LabelSelector()
    object_selector: LabelSelector = LabelSelector()


class Guardrails(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a release may not do."""

    on_unguardable: Literal["Allow", "Deny"] = "Allow"
    """A change that can't be held (Recreate): let it pass with a warning, or refuse it."""
    on_shared_service: Literal["Allow", "Deny"] = "Allow"
    """A Service that also serves other workloads' pods can't be pinned: let new pods have its
    requests as soon as they are ready, or end the release before there are any."""
    on_unsupported_step: Literal["Deny", "Skip"] = "Deny"
    """A header, mirror or preview route that one of the routes can't carry: end the release before
    any traffic has moved, or go on without it."""


class RollbackWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Going back to one of the last released revisions takes no steps and no analysis."""

    revisions: int = 0

    def __post_init__(self) -> None:
        if self.revisions < 0:
            raise ValueError("rollbackWindow.revisions is below 0")


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Whether ConfigMaps and Secrets that a template uses are a part of its version."""

    guard: bool = False
    """True: a change of their contents starts a release; pods of a version keep what it had."""


class PolicySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """``spec`` of both policy kinds."""

    match: Match = Match()
    strategy: Strategy = Strategy(canary=Canary())
    traffic: Traffic = Traffic()
    promotion: Promotion = "Automatic"
    """Whether the move to all users waits for an approval, in any strategy."""
    rollback_window: RollbackWindow = RollbackWindow()
    config: Config = Config()
    analysis: Nothing = Nothing()
    guardrails: Guardrails = Guardrails()
    progress_deadline: str | None = None
    """How long new pods may take to get ready; default: the Deployment's own deadline."""
    revision_history_limit: int = 10
    """How many finished Releases are kept for each Deployment."""

    def __post_init__(self) -> None:
        if self.progress_deadline is not None:
            parse_duration(self.progress_deadline)
        if self.revision_history_limit < 0:
            raise ValueError("revisionHistoryLimit is below 0")


class Policy(msgspec.Struct, frozen=True):
    """A policy with where it came from."""

    kind: str
    name: str
    namespace: str | None
    spec: PolicySpec


def read_policy(obj: Mapping[str, Any]) -> Policy:
    """Read a policy object; raises PolicyError with the nearest right name for a wrong one."""
    meta = obj.get("metadata") or {}
    try:
        spec = msgspec.convert(obj.get("spec") or {}, PolicySpec)
    except (msgspec.ValidationError, ValueError) as error:
        what = f"{obj.get('kind', 'policy')} {meta.get('name', '?')}"
        raise PolicyError(f"{what}: spec: {_explain(str(error))}") from error
    return Policy(
        kind=str(obj.get("kind")),
        name=str(meta.get("name", "")),
        namespace=meta.get("namespace"),
        spec=spec,
    )


_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


def _explain(message: str) -> str:
    found = _UNKNOWN.search(message)
    if not found:
        return message
    near = difflib.get_close_matches(found[1], _field_names(), n=1)
    return message + (f"; did you mean `{near[0]}`?" if near else "")


def _field_names() -> list[str]:
    structs = (
        PolicySpec, Match, Strategy, Canary, BlueGreen, Preview, Stickiness, Step, Pause,
        CanaryScale, HeaderRoute, HeaderMatch, StringMatch, MirrorRoute, RequestMatch,
        AnalysisStep, TemplateRef, Traffic, Routes, RouteSelector, Guardrails,
        RollbackWindow, Config, LabelSelector,
    )  # fmt: skip
    return sorted({f.encode_name for s in structs for f in msgspec.structs.fields(s)})
