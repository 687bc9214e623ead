"""`Release`: one guarded rollout of one Deployment, and all that must survive a crash."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import msgspec

from webhook import names
from webhook.objects.policy import Traffic
from webhook.objects.steps import HeaderRoute, MirrorRoute
from webhook.objects.strategy import Promotion, Strategy


class Phase(StrEnum):
    """Where a release stands; `webhook.release.phases` says how it moves on."""

    PENDING = "Pending"
    SCALING = "Scaling"
    SHIFTING = "Shifting"
    WAITING = "Waiting"
    PROMOTING = "Promoting"
    CLEANING = "Cleaning"
    ROLLING_BACK = "RollingBack"
    SUCCEEDED = "Succeeded"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"

    @property
    def finished(self) -> bool:
        """Whether nothing more happens to the release."""
        return self in _FINISHED


_FINISHED = frozenset({Phase.SUCCEEDED, Phase.ABORTED, Phase.SUPERSEDED, Phase.ROLLED_BACK})


class _Camel(msgspec.Struct, frozen=True, rename="camel", omit_defaults=False):
    pass


class DeploymentRef(_Camel, frozen=True):
    """The Deployment that is released."""

    name: str
    uid: str


class PolicyRef(_Camel, frozen=True):
    """The policy in force when the release began."""

    kind: str
    name: str


class StableRef(_Camel, frozen=True):
    """What is returned to: the last fully released revision."""

    hash: str
    """``pod-template-hash`` of its ReplicaSet."""
    version: str
    revision: str


class Result(_Camel, frozen=True):
    """What an analysis of one step came to, as its runner or a pipeline writes it down."""

    name: str
    """The template that the step names, or ``pre-promotion`` and ``post-promotion``'s."""
    step: int
    """Index of the step that waits for it, from 0."""
    phase: Literal["Running", "Successful", "Failed", "Inconclusive", "Error"]
    message: str = ""


class Decision(_Camel, frozen=True):
    """Who changed a field that people may change, noted at admission from ``userInfo``."""

    field: str
    value: Any
    user: str
    at: str
    """RFC 3339."""


class ReleaseSpec(_Camel, frozen=True):
    """The resolved plan as a snapshot, and the fields that people may change."""

    deployment: DeploymentRef
    policy: PolicyRef
    version: str
    revision: str
    pod_labels: dict[str, str]
    """Labels of the new pods: a Service that selects them belongs to the release."""
    stable: StableRef
    strategy: Strategy
    traffic: Traffic
    progress_deadline_seconds: int
    promotion: Promotion = "Automatic"
    on_shared_service: Literal["Allow", "Deny"] = "Allow"
    on_unsupported_step: Literal["Deny", "Skip"] = "Deny"
    paused: bool = False
    abort: bool = False
    approve: int = 0
    """How many steps are approved: a pause without duration at step i ends at i + 1."""
    skip: int = 0
    """How many steps are not waited for: those with an index below it are passed at once."""
    promote: bool = False
    """Pass every step, pause and analysis that is left."""
    retry: bool = False
    """Of an aborted Release: try its version again."""
    results: tuple[Result, ...] = ()


class Weight(_Camel, frozen=True):
    """Traffic for the new version, in percent."""

    asked: int = 0
    """What the routes carry."""
    measured: str = ""
    """What the pods' counters showed at the end of the settle time, with one decimal."""
    requests: int = 0
    """How many requests that rests on."""
    proof: Literal["", "Proved", "Unproved"] = ""
    """Whether it is what was asked for, as far as chance allows; empty before it is known."""
    message: str = ""
    """Why it is unproved."""


class Condition(_Camel, frozen=True):
    """``metav1.Condition``."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime


class Routing(_Camel, frozen=True):
    """What routes send to the canary Services beside the weight."""

    headers: tuple[HeaderRoute, ...] = ()
    mirrors: tuple[MirrorRoute, ...] = ()
    preview: str = ""
    """A host name."""


Feature: TypeAlias = Literal["headers", "mirrors", "preview"]
"""What a step may ask of a route beside a weight; as the fields of `Routing` are called."""


class SharedOut(_Camel, frozen=True):
    """A root Service and the canary Service beside it."""

    root: str
    canary: str


class ReleaseStatus(_Camel, frozen=True):
    """How far the release is, and what it wants now; with the objects, enough after a crash."""

    phase: Phase = Phase.PENDING
    stage: str = ""
    """The part of the phase; the stages of each phase stand in `webhook.release.phases`."""
    step: int = 0
    """Index of the present step, from 0; equals ``steps`` after the last one."""
    steps: int = 0
    weight: Weight = Weight()
    """Share of traffic that the new version was granted, in percent."""
    split: int | None = None
    """Percent that routes send to the canary Services; absent while routes are the user's own."""
    routing: Routing = Routing()
    skipped: tuple[Feature, ...] = ()
    """What not every route can carry, and the policy lets be left out."""
    hold: str = ""
    """``Gate``, ``Step``, ``Halt``, ``Aborted``, or empty once the hold is lifted."""
    canary_hash: str = ""
    canary_replicas: int = 0
    """How many new pods are wanted."""
    ready_canary: int = 0
    """How many of them were ready when last recorded."""
    replicas: int = 0
    """The Deployment's replicas for which pods were asked."""
    unavailable: int = 0
    """So many stable pods the hold lets go, to stay within the budget."""
    retired: int = 0
    """So many stable pods have left, or are leaving, their Services."""
    fenced: bool = False
    """Services take only pods that are labelled as serving."""
    root_hash: str = ""
    """The ReplicaSet that the user's Services are pinned to; empty while they are not."""
    exposed: tuple[SharedOut, ...] = ()
    """Canary Services of this release."""
    stage_since: datetime | None = None
    """When what the present stage asks for was first seen in effect."""
    scaling_since: datetime | None = None
    """When the last pod got ready, or pods were asked for: the progress deadline counts on it."""
    traffic_left_at: datetime | None = None
    """When the pods that will go were known to be without traffic: the drain counts from here."""
    granted: bool = False
    """Whether the new version ever had traffic."""
    stays: bool = False
    """It keeps all traffic, though another version is wanted: no released pod came back."""
    outcome: Phase | None = None
    """Where a rollback leads: Aborted, Superseded or RolledBack."""
    reason: str = ""
    """One CamelCase word for tools."""
    message: str = ""
    """The same in a sentence, with what to do."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    notes: tuple[str, ...] = ()
    """What people should know of its Services and routes."""
    decisions: tuple[Decision, ...] = ()
    """Who approved, paused, skipped, promoted or aborted, and when."""
    observed_generation: int = 0


class Release(msgspec.Struct, frozen=True):
    """A Release object: name, spec, status."""

    name: str
    namespace: str
    spec: ReleaseSpec
    status: ReleaseStatus
    generation: int = 0
    decisions: tuple[Decision, ...] = ()


def read_release(obj: Mapping[str, Any]) -> Release:
    """Read a Release; raises msgspec.ValidationError where it is not one of ours."""
    meta = obj["metadata"]
    return Release(
        name=meta["name"],
        namespace=meta["namespace"],
        spec=msgspec.convert(obj.get("spec"), ReleaseSpec),
        status=msgspec.convert(obj.get("status") or {}, ReleaseStatus),
        generation=meta.get("generation", 0),
        decisions=read_decisions(meta.get("annotations") or {}),
    )


def read_decisions(annotations: Mapping[str, Any]) -> tuple[Decision, ...]:
    """What admission noted of people's changes; empty where nothing readable is noted."""
    text = annotations.get(names.DECISIONS)
    try:
        return msgspec.json.decode(text, type=tuple[Decision, ...]) if text else ()
    except (msgspec.DecodeError, TypeError):
        return ()
