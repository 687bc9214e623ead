"""What a write to a Deployment starts, keeps, ends or is refused."""

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projection_fakes import ADA, NOW, POLICY, SLIPWAY, FakeWorld, Server, bare, note, request

from tests.strategies import Object, deployment, deployments, route, routes, service
from webhook import names
from webhook.mutation.mutate import mutate
from webhook.objects.intent import Hold, Intent, Pin, Share, Split
from webhook.objects.policy import Guardrails
from webhook.projection.deployment import hold_of
from webhook.projection.diff import diff
from webhook.projection.fields import ABSENT, annotate, read, write
from webhook.projection.template import revision_of, stable_of

STEP = Hold(mode="Step", surge=2)
DENIES = FakeWorld(
    policy=msgspec.structs.replace(
        POLICY,
        spec=msgspec.structs.replace(POLICY.spec, guardrails=Guardrails(on_unguardable="Deny")),
    )
)


def released() -> Server:
    """A Deployment at v1 that no release is about."""
    return Server().create(deployment("web:v1"))


def test_a_changed_template_is_held_before_any_new_pod_exists() -> None:
    """``paused`` and the gate are there from the first moment, and who did it is written down."""
    server = released().put(deployment("web:v2"))
    assert hold_of(server.stored) == Hold(mode="Gate")
    assert read(server.stored, ("spec", "paused")) is True
    assert read(server.stored, ("metadata", "labels", names.TRACK)) == "canary"
    assert note(server.stored, names.VERSION) == "v2"
    assert note(server.stored, names.APPLIED_BY) == ADA
    assert note(server.stored, names.APPLIED_AT) == "2026-10-01T12:00:00+00:00"
    assert note(server.stored, names.GUARDED_BY) == "ClusterReleasePolicy/default"
    assert "release of v2 starts" in server.outcome.warnings[0]
    assert server.outcome.audit["decision"] == "held"


def test_the_version_that_serves_is_remembered_when_a_hold_begins() -> None:
    """It is what is returned to."""
    server = released().put(deployment("web:v2"))
    stable = stable_of(server.stored)
    assert stable is not None
    assert (stable.version, stable.revision) == (
        "v1", revision_of(deployment("web:v1")["spec"]["template"])
    )  # fmt: skip


def test_the_track_label_is_on_the_deployment_and_never_in_the_template() -> None:
    """A label in the template would make other pods of the same version."""
    server = released().put(deployment("web:v2"))
    assert names.TRACK not in server.stored["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Hold(mode="Gate"), Hold(mode="Gate")),
        (STEP, Hold(mode="Halt", surge=2)),
        (Hold(mode="Halt", surge=3), Hold(mode="Halt", surge=3)),
        (Hold(mode="Gate", aborted=True), Hold(mode="Gate")),
    ],
)
def test_a_third_version_in_mid_release_changes_no_pod_until_traffic_moved(
    before: Hold, after: Hold
) -> None:
    """The rollout stands still, with all its pods, and the stable version stays known."""
    server = released().put(deployment("web:v2")).intend(hold=before)
    stable = note(server.stored, names.STABLE)
    server.put(deployment("web:v3"))
    assert hold_of(server.stored) == after
    assert note(server.stored, names.STABLE) == stable
    assert "replaces the release in progress" in server.outcome.warnings[0]


def test_applying_the_version_that_goes_back_says_that_it_goes_back() -> None:
    """The template is still shown, so that the write can't be told from one that repeats it."""
    server = released().put(deployment("web:v2")).intend(hold=STEP).put(deployment("web:v1"))
    server.put(deepcopy(server.stored))
    assert "on its way back to v1" in server.outcome.warnings[0]


def test_applying_an_aborted_version_again_starts_nothing() -> None:
    """A GitOps tool that syncs every minute does not retry what was taken back."""
    server = released().put(deployment("web:v2")).intend(hold=Hold(mode="Gate", aborted=True))
    before = deepcopy(server.stored)
    server.put(deployment("web:v2"))
    assert server.stored == before


def test_rollout_resume_tries_an_aborted_version_again() -> None:
    """The native verb, told apart by its field manager."""
    server = released().put(deployment("web:v2")).intend(hold=Hold(mode="Gate", aborted=True))
    resumed = write(server.stored, ("spec", "paused"), ABSENT)
    server.put(resumed, field_manager="kubectl-client-side-apply")
    assert hold_of(server.stored) == Hold(mode="Gate", aborted=True)
    server.put(resumed, field_manager=names.KUBECTL_ROLLOUT)
    assert hold_of(server.stored) == Hold(mode="Gate")
    assert "tried again" in server.outcome.warnings[0]
    assert read(server.lift().stored, ("spec", "paused")) is not True


def test_rollout_resume_in_a_running_release_lifts_nothing() -> None:
    """Only Slipway ends a hold."""
    server = released().put(deployment("web:v2"))
    before = deepcopy(server.stored)
    server.put(
        write(server.stored, ("spec", "paused"), ABSENT), field_manager=names.KUBECTL_ROLLOUT
    )
    assert server.stored == before


UNGUARDABLE = {
    "the new strategy is Recreate": ({}, {"strategy": {"type": "Recreate"}}),
    "no replica serves": ({"replicas": 0}, {}),
    "no replica is to serve": ({}, {"replicas": 0}),
}


@pytest.mark.parametrize(("old", "new"), UNGUARDABLE.values(), ids=UNGUARDABLE.keys())
def test_a_change_that_cannot_be_held_passes_with_a_warning(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    """It goes out as it always did, marked with its version."""
    server = Server().create(deployment("web:v1", **old))
    server.put(deployment("web:v2", **new))
    assert hold_of(server.stored) is None
    assert "goes out unguarded" in server.outcome.warnings[0]
    assert bare(server.stored) == deployment("web:v2", **new)


@pytest.mark.parametrize(("old", "new"), UNGUARDABLE.values(), ids=UNGUARDABLE.keys())
def test_a_policy_can_deny_a_change_that_cannot_be_held(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    """The refusal names the object, the reason and the policy, and changes nothing."""
    server = Server(DENIES).create(deployment("web:v1", **old))
    before = server.stored
    server.put(deployment("web:v2", **new))
    denied = server.outcome.denied or ""
    assert "shop/web" in denied
    assert "ClusterReleasePolicy default denies" in denied
    assert server.stored is before


def test_a_recreate_deployment_may_change_anything_but_its_template() -> None:
    """A denial is about releases only."""
    server = Server(DENIES).create(deployment("web:v1"))
    server.put(deployment("web:v1", strategy={"type": "Recreate"}))
    assert server.outcome.denied is None


# Unmanaged


@settings(max_examples=20, deadline=None)
@given(deployments(), deployments())
def test_an_unmanaged_deployment_is_not_touched(old: Object, new: Object) -> None:
    """The answer is the request's very object, so no patch is even looked for."""
    world = FakeWorld(policy=None)
    assert mutate(request(new), world, NOW).object is new
    out = mutate(request(new, old), world, NOW)
    assert out.object is new
    assert (out.denied, out.warnings) == (None, ())


@settings(max_examples=20, deadline=None)
@given(routes(), routes())
def test_a_route_that_no_release_is_about_is_not_touched(old: Object, new: Object) -> None:
    """Neither on CREATE nor on UPDATE."""
    assert mutate(request(new), FakeWorld(), NOW).object is new
    assert mutate(request(new, old), FakeWorld(), NOW).object is new


def test_a_service_that_no_release_is_about_is_not_touched() -> None:
    """Neither on CREATE nor on UPDATE."""
    new, old = service(), service(type="NodePort")
    assert mutate(request(new), FakeWorld(), NOW).object is new
    assert mutate(request(new, old), FakeWorld(), NOW).object is new


def test_a_kind_that_slipway_does_not_know_is_not_touched() -> None:
    """Whatever a webhook configuration sends."""
    thing = {"kind": "Ingress", "metadata": {"name": "x"}}
    assert mutate(request(thing, thing), FakeWorld(), NOW).object is thing


def test_the_parts_that_a_decision_leaves_alone_are_the_requests_own() -> None:
    """So a diff costs what the change costs."""
    server = released()
    new = write(server.stored, ("spec", "template", "spec", "terminationGracePeriodSeconds"), 5)
    out = mutate(request(new, server.stored), FakeWorld(), NOW).object
    assert out["spec"]["template"]["spec"] is new["spec"]["template"]["spec"]
    assert out["spec"]["selector"] is new["spec"]["selector"]
    touched = {change["path"].split("/")[1] for change in diff(new, out)}
    assert touched == {"metadata", "spec"}


# Who may change intent

_INTENTS: dict[str, tuple[Object, str, Intent, Intent]] = {
    "hold": (deployment(), names.HOLD, STEP, Hold(mode="Step", surge=9)),
    "pin": (service(), names.PIN, Pin(hash="aaa"), Pin(hash="bbb")),
    "split": (
        route([{"name": "web", "kind": "Service", "group": "", "port": 80, "weight": 1}]),
        names.SPLIT,
        Split(shares={"web": Share("web-canary", 10)}),
        Split(shares={"web": Share("web-canary", 100)}),
    ),
}
_EACH = pytest.mark.parametrize("kind", _INTENTS)


@_EACH
def test_a_spoofed_intent_is_ignored_on_create(kind: str) -> None:
    """Nobody but Slipway holds, pins or splits."""
    obj, key, intent, _ = _INTENTS[kind]
    server = Server(FakeWorld(policy=None)).create(annotate(obj, {key: intent.text()}))
    assert server.stored == obj


@_EACH
def test_a_spoofed_intent_is_ignored_on_update(kind: str) -> None:
    """A user can neither start, nor change, nor end what Slipway decided."""
    obj, key, intent, other = _INTENTS[kind]
    server = Server().create(obj)
    before = deepcopy(server.stored)
    server.put(annotate(server.stored, {key: intent.text()}))
    assert server.stored == before
    server.intend(**{kind: intent})
    before = deepcopy(server.stored)
    server.put(annotate(server.stored, {key: other.text()}))
    assert server.stored == before
    server.put(annotate(server.stored, {key: None}))
    assert server.stored == before


@_EACH
@pytest.mark.parametrize("text", ["", "{}", "null", '{"spec.paused":1}', "no json", "[1]"])
def test_spoofed_memory_is_ignored(kind: str, text: str) -> None:
    """What a user writes into the remembered originals is put back, readable or not."""
    obj, _, intent, _ = _INTENTS[kind]
    server = Server().create(obj).intend(**{kind: intent})
    before = deepcopy(server.stored)
    server.put(annotate(server.stored, {names.ORIGINAL: text}))
    assert server.stored == before


@_EACH
@pytest.mark.parametrize(
    ("username", "field_manager"), [(ADA, names.FIELD_MANAGER), (SLIPWAY, "kubectl-edit")]
)
def test_user_name_and_field_manager_together_are_slipways_identity(
    kind: str, username: str, field_manager: str
) -> None:
    """Out of a cluster Slipway may run as the person at the keyboard."""
    obj, key, intent, _ = _INTENTS[kind]
    server = Server().create(obj)
    before = deepcopy(server.stored)
    spoofed = annotate(server.stored, {key: intent.text()})
    server.put(spoofed, username=username, field_manager=field_manager)
    assert server.stored == before


def test_a_spoofed_stable_version_is_ignored() -> None:
    """The rollback target is Slipway's to know."""
    server = released().put(deployment("web:v2"))
    before = deepcopy(server.stored)
    for text in (None, "{}", '{"revision":"x","version":"y","keys":{}}'):
        server.put(annotate(server.stored, {names.STABLE: text}))
        assert server.stored == before


@_EACH
def test_intent_of_an_older_leader_is_denied(kind: str) -> None:
    """A leader that was paused and wakes up can't undo what its successor decided."""
    obj, _, intent, other = _INTENTS[kind]
    newer = msgspec.structs.replace(intent, term=7)
    server = Server().create(obj).intend(**{kind: newer})
    before = deepcopy(server.stored)
    server.intend(**{kind: msgspec.structs.replace(other, term=6)})
    assert "older leader" in (server.outcome.denied or "")
    assert server.stored == before
    server.intend(**{kind: msgspec.structs.replace(other, term=8)})
    assert server.outcome.denied is None


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30))
def test_an_intent_annotation_that_is_no_intent_holds_nothing(text: str) -> None:
    """Hostile or broken text never raises."""
    obj = annotate(deployment(), {names.HOLD: text, names.ORIGINAL: text, names.STABLE: text})
    out = mutate(request(obj, obj), FakeWorld(), NOW)
    assert out.denied is None
