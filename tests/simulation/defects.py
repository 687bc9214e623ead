"""Deliberate defects: each makes the engine wrong in one way that a rule has to notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace as with_fields
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from tests.simulation import webhook as admission
from webhook import names
from webhook.cluster.snapshots import SnapshotKeeper
from webhook.mutation import contents, rollout
from webhook.mutation import mutate as mutation
from webhook.mutation.request import Outcome, Request
from webhook.objects.release import Phase, ReleaseStatus, Weight
from webhook.projection.deployment import hold_of
from webhook.projection.fields import annotate, annotations
from webhook.release import begin, converge, waits
from webhook.release.actions import SetPin
from webhook.release.stages import STAGES, Stage

Defect = Callable[[], AbstractContextManager[Any]]


def _stage(phase: Phase, name: str, **fields: Any) -> AbstractContextManager[Any]:
    """One stage is another one."""
    row = tuple(with_fields(s, **fields) if s.name == name else s for s in STAGES[phase])
    return patch.dict(STAGES, {phase: row})


def _everywhere(name: str, **fields: Any) -> AbstractContextManager[Any]:
    """A stage is another one in every phase that has it."""
    rows = {
        phase: tuple(with_fields(s, **fields) if s.name == name else s for s in row)
        for phase, row in STAGES.items()
    }
    return patch.dict(STAGES, rows)


def _at_once(_at: Any, _status: Any, since: Any) -> Any:
    return since


def _fine(_at: Any, _status: Any) -> None:
    return None


def _pods_before_pins() -> AbstractContextManager[Any]:
    """Services are pinned only once the new pods are there."""
    real = converge._pins

    def late(seen: Any, status: ReleaseStatus) -> Iterator[Any]:
        if status.phase not in (Phase.PENDING, Phase.SCALING):
            yield from real(seen, status)

    return patch.object(converge, "_pins", late)


def _weight_with_selector() -> AbstractContextManager[Any]:
    """At the promotion the routes return in the same breath in which the Services move."""
    real = next(s for s in STAGES[Phase.PROMOTING] if s.name == "repin").enter

    def both(at: Any, status: ReleaseStatus) -> ReleaseStatus:
        moved = real(at, status)
        return replace(moved, split=None if moved.split is None else 0)

    return _stage(Phase.PROMOTING, "repin", enter=both)


def _no_drain() -> AbstractContextManager[Any]:
    """Pods go as soon as the traffic has settled elsewhere."""
    return _everywhere("drain", until=_at_once)


def _no_settle() -> AbstractContextManager[Any]:
    """What a Gateway reports is taken as live."""
    rows = {phase: tuple(_impatient(stage) for stage in row) for phase, row in STAGES.items()}
    return patch.dict(STAGES, rows)


def _impatient(stage: Stage) -> Stage:
    waiting = (waits.settled, waits.left_settled)
    return with_fields(stage, until=_at_once) if stage.until in waiting else stage


def _no_fencing() -> AbstractContextManager[Any]:
    """The webhook lets an older leader's intent pass."""
    return patch.object(mutation, "fenced", lambda _request: None)


def _weight_comes_back() -> AbstractContextManager[Any]:
    """After an abort the weight goes to 0, and grows again."""

    def grow(_at: Any, status: ReleaseStatus) -> ReleaseStatus:
        split = None if status.split is None else 25
        return replace(status, split=split, weight=Weight(asked=25))

    return _stage(Phase.ROLLING_BACK, "drain", enter=grow)


@contextmanager
def _original_is_lost() -> Iterator[None]:
    """A full-object write that has no annotations of ours loses what the user had wanted."""
    real = admission.mutate

    def forgetful(request: Request, *rest: Any) -> Outcome:
        outcome = real(request, *rest)
        dropped = request.old is not None and names.ORIGINAL not in annotations(request.object)
        if not dropped or request.field_manager == names.FIELD_MANAGER:
            return outcome
        return replace(outcome, object=annotate(outcome.object, {names.ORIGINAL: None}))

    with patch.object(admission, "mutate", forgetful):
        yield


@contextmanager
def _intent_is_lost() -> Iterator[None]:
    """A full-object write without our annotations ends the hold, the pin and the split."""
    real = admission.mutate

    def forgetful(request: Request, *rest: Any) -> Outcome:
        old = request.old
        if old is None or request.field_manager == names.FIELD_MANAGER:
            return real(request, *rest)
        if names.INTENT_KEYS & annotations(request.object).keys():
            return real(request, *rest)
        return Outcome(object=request.object)

    with patch.object(admission, "mutate", forgetful):
        yield


def _backend_deleted_first() -> AbstractContextManager[Any]:
    """On the way back the canary Service goes before routes have forgotten it."""
    row = {stage.name: stage for stage in STAGES[Phase.ROLLING_BACK]}
    names_ = [n for n in row if n != "unexpose"]
    order = ["unexpose", *names_]
    early = tuple(row[name] for name in order)
    return patch.dict(STAGES, {Phase.ROLLING_BACK: early})


def _pods_before_traffic() -> AbstractContextManager[Any]:
    """On the way back the new pods go first."""
    row = STAGES[Phase.ROLLING_BACK]
    first = tuple(s for s in row if s.name == "withdraw")
    rest = tuple(s for s in row if s.name != "withdraw")
    return patch.dict(STAGES, {Phase.ROLLING_BACK: first + rest})


@contextmanager
def _weight_before_pods() -> Iterator[None]:
    """Weight is given though no new pod is ready or can be reached."""
    with (
        _everywhere("scale", lacks=_fine),
        _everywhere("expose", lacks=_fine),
        _everywhere("name", lacks=_fine),
    ):
        yield


def _lift_at_once() -> AbstractContextManager[Any]:
    """The old pods go as soon as the weight is 100."""
    kept = ("fence", "retire", "scale", "expose", "name", "shift", "lift")
    row = tuple(s for s in STAGES[Phase.PROMOTING] if s.name in kept)
    return patch.dict(STAGES, {Phase.PROMOTING: row})


def _writes_at_rest() -> AbstractContextManager[Any]:
    """At rest a Service is unpinned again and again."""
    return patch.object(
        begin, "_leftovers", lambda seen: tuple(SetPin(root.name, None) for root in seen.roots)
    )


def _copies_of_the_old_version_go() -> AbstractContextManager[Any]:
    """A snapshot goes as soon as the Deployment itself does not name it, whoever still reads it."""

    async def nobody(_keeper: Any, _namespace: str) -> frozenset[Any]:
        return frozenset()

    return patch.object(SnapshotKeeper, "used_in", nobody)


def _contents_are_not_held() -> AbstractContextManager[Any]:
    """Other contents are shown in a template that nothing holds."""
    real = rollout._own

    def lifted(request: Request, old: Any, *rest: Any) -> Any:
        decision = real(request, old, *rest)
        same = hold_of(request.object) == decision.hold
        return decision if same else replace(decision, hold=None)

    return patch.object(rollout, "_own", lifted)


def _pods_read_the_newest() -> AbstractContextManager[Any]:
    """Templates keep their plain names: whoever restarts reads what is there now."""
    return patch.object(contents, "shown", lambda template, _digests: template)


DEFECTS: Mapping[str, Defect] = {
    "new pods are made before Services are pinned": _pods_before_pins,
    "weight and selector change in one write": _weight_with_selector,
    "pods go without a drain": _no_drain,
    "changes are taken as live without settling": _no_settle,
    "an older leader is not fenced off": _no_fencing,
    "weight grows again after an abort": _weight_comes_back,
    "what the user wanted is lost on a replace": _original_is_lost,
    "intent is lost on a replace": _intent_is_lost,
    "a canary Service is deleted while routes name it": _backend_deleted_first,
    "pods are withdrawn before traffic": _pods_before_traffic,
    "weight is given before pods are ready": _weight_before_pods,
    "the hold is lifted before routes return": _lift_at_once,
    "something is written at rest": _writes_at_rest,
    "a snapshot goes while pods of its version live": _copies_of_the_old_version_go,
    "other contents are not held": _contents_are_not_held,
    "pods read contents that are not their version's": _pods_read_the_newest,
}
