"""What people decide on a Release is noted with their name; nonsense is answered in words."""

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from projection_fakes import ADA, NOW, SLIPWAY, FakeWorld, Server, note, request

from tests.strategies import NAMESPACE, Object
from webhook import names
from webhook.mutation.mutate import mutate
from webhook.objects.release import read_decisions

BOB = "bob@example.com"
STEPS = [
    {"setWeight": 10},
    {"pause": {}},
    {"analysis": {"templates": [{"templateName": "errors"}]}},
]
GOOD = {"name": "errors", "step": 2, "phase": "Successful", "message": "0 of 900 failed"}


def release(strategy: Object | None = None, **status: Any) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Release",
        "metadata": {"name": "web-7", "namespace": NAMESPACE},
        "spec": {
            "deployment": {"name": "web", "uid": "u"},
            "policy": {"kind": "ReleasePolicy", "name": "default"},
            "version": "v2",
            "revision": "r2",
            "podLabels": {"app": "web"},
            "stable": {"hash": "h1", "version": "v1", "revision": "r1"},
            "strategy": strategy or {"canary": {"steps": STEPS}},
            "traffic": {},
            "progressDeadlineSeconds": 600,
        },
        "status": {"phase": "Waiting", "stage": "wait", "steps": 3, **status},
    }


def running(strategy: Object | None = None, **status: Any) -> Server:
    """A Release that Slipway made."""
    made = release(strategy, **status)
    server = Server()
    server.create(made, username=SLIPWAY, field_manager=names.FIELD_MANAGER)
    return server


def sets(server: Server, by: str = ADA, **fields: Any) -> Server:
    """A person changes fields of the spec."""
    changed = deepcopy(server.stored)
    changed["spec"].update(fields)
    return server.put(changed, username=by)


def noted(server: Server) -> list[tuple[str, Any, str]]:
    found = read_decisions(server.stored["metadata"].get("annotations") or {})
    return [(each.field, each.value, each.user) for each in found]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("paused", True, "true"),
        ("abort", True, "true"),
        ("approve", 2, 2),
        ("skip", 1, 1),
        ("promote", True, "true"),
    ],
)
def test_who_changed_a_release_and_when_is_written_down(
    field: str, value: Any, shown: int | str
) -> None:
    """The name is the one that the API server vouches for; the status takes numbers and texts."""
    server = sets(running(), **{field: value})
    (only,) = read_decisions(server.stored["metadata"]["annotations"])
    assert (only.field, only.value, only.user) == (field, shown, ADA)
    assert only.at == "2026-10-01T12:00:00+00:00"
    assert server.outcome.audit == {"decision": field}
    assert not server.outcome.warnings


def test_decisions_of_several_people_stand_in_their_order() -> None:
    """Each field of a write is one decision."""
    server = sets(running(), approve=2)
    sets(server, BOB, paused=True, approve=3)
    assert noted(server) == [("approve", 2, ADA), ("paused", "true", BOB), ("approve", 3, BOB)]


def test_a_write_that_decides_nothing_notes_nothing() -> None:
    """A label, or the same value once more."""
    server = sets(running(), approve=2)
    before = note(server.stored, names.DECISIONS)
    labelled = deepcopy(server.stored)
    labelled["metadata"]["labels"] = {"team": "shop"}
    server.put(labelled, username=BOB)
    sets(server, BOB, approve=2, abort=False)
    assert note(server.stored, names.DECISIONS) == before


@pytest.mark.parametrize("by", [ADA, SLIPWAY])
@pytest.mark.parametrize(
    "forged", [None, "[]", '[{"field":"approve","value":9,"user":"x","at":""}]']
)
def test_nobody_can_forge_or_delete_what_others_decided(by: str, forged: str | None) -> None:
    """Dropped, emptied or made up: the stored note comes back, and the write itself stands."""
    server = sets(running(), approve=1)
    before = note(server.stored, names.DECISIONS)
    changed = deepcopy(server.stored)
    if forged is None:
        del changed["metadata"]["annotations"]
    else:
        changed["metadata"]["annotations"][names.DECISIONS] = forged
    manager = names.FIELD_MANAGER if by == SLIPWAY else "kubectl"
    server.put(changed, username=by, field_manager=manager)
    assert note(server.stored, names.DECISIONS) == before
    changed["spec"]["paused"] = True
    server.put(changed, username=by, field_manager=manager)
    assert noted(server) == [("approve", 1, ADA), ("paused", "true", by)]


def test_only_the_last_50_decisions_are_kept() -> None:
    """An annotation must not grow for ever."""
    server = running()
    for number in range(60):
        sets(server, paused=number % 2 == 0)
    assert len(noted(server)) == 50
    sets(server, BOB, paused=True)
    assert noted(server)[-1] == ("paused", "true", BOB)
    assert len(noted(server)) == 50


def test_a_pipelines_result_is_noted_without_its_text() -> None:
    """Each result once: the text is in the spec, and the note stays short."""
    server = sets(running(), results=[{**GOOD, "phase": "Running"}])
    sets(server, BOB, results=[GOOD])
    assert noted(server) == [
        ("results", "errors of step 2: Running", ADA),
        ("results", "errors of step 2: Successful", BOB),
    ]


def test_a_person_cannot_make_a_release() -> None:
    """Its spec is a snapshot of a policy, and would be no policy's; the answer says what to do."""
    out = mutate(request(release()), FakeWorld(), NOW)
    assert out.denied is not None
    assert "apply the Deployment" in out.denied


def test_a_new_release_carries_no_decisions() -> None:
    """Whatever was written into it."""
    forged = release()
    forged["metadata"]["annotations"] = {names.DECISIONS: "[]", "team": "shop"}
    server = Server().create(forged, username=SLIPWAY, field_manager=names.FIELD_MANAGER)
    assert server.stored["metadata"]["annotations"] == {"team": "shop"}


def refused(server: Server, **fields: Any) -> str:
    before = deepcopy(server.stored)
    sets(server, **fields)
    assert server.stored == before
    assert server.outcome.denied is not None
    return server.outcome.denied


@pytest.mark.parametrize("field", ["approve", "skip"])
def test_more_steps_than_there_are_cannot_be_approved_or_skipped(field: str) -> None:
    """The sentence has both numbers."""
    assert f"spec.{field} is 4, but the release has 3 steps" in refused(running(), **{field: 4})
    assert noted(sets(running(), **{field: 3})) == [(field, 3, ADA)]


def test_steps_that_a_policy_implies_can_be_approved_before_they_are_counted() -> None:
    """An approval before the promotion, and the last weight within a budget, are steps, too."""
    strategy = {"canary": {"steps": STEPS, "maxExtraPods": 1}}
    server = running(strategy, steps=0)
    server.stored["spec"]["promotion"] = "Manual"
    assert "has 5 steps" in refused(server, approve=6)
    assert noted(sets(server, approve=5)) == [("approve", 5, ADA)]


def test_a_blue_green_release_may_be_approved_at_any_step() -> None:
    """Its steps are not written in the policy."""
    server = running({"blueGreen": {"autoPromotionEnabled": False}})
    assert noted(sets(server, approve=9)) == [("approve", 9, ADA)]


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ({**GOOD, "step": 1}, "step 1, which is no analysis"),
        ({**GOOD, "step": 9}, "step 9, which is no analysis"),
        ({**GOOD, "name": "latency"}, "step 2, which waits for errors"),
    ],
)
def test_a_result_that_no_step_waits_for_is_refused(result: Object, says: str) -> None:
    """Else a pipeline with a wrong index would wait for ever."""
    assert says in refused(running(), results=[result])


@pytest.mark.parametrize("phase", ["Waiting", "Succeeded", "Superseded", "RollingBack"])
def test_only_an_aborted_release_can_be_tried_again(phase: str) -> None:
    """Set before, it would make an abort that comes later pointless."""
    assert f"this one is {phase}" in refused(running(phase=phase), retry=True)


def test_an_aborted_release_can_be_tried_again() -> None:
    """By whom is noted."""
    server = sets(running(phase="Aborted"), retry=True)
    assert noted(server) == [("retry", "true", ADA)]
    assert not server.outcome.warnings


@pytest.mark.parametrize("field", ["approve", "skip", "promote", "paused"])
@pytest.mark.parametrize("phase", ["Succeeded", "Aborted", "RolledBack", "RollingBack"])
def test_what_comes_too_late_is_answered_with_a_warning(field: str, phase: str) -> None:
    """It is no error, and it has no effect."""
    server = sets(running(phase=phase), **{field: 1 if field in ("approve", "skip") else True})
    (warning,) = server.outcome.warnings
    assert f"{phase}: spec.{field} has no effect any more" in warning


@pytest.mark.parametrize(
    "status",
    [{"phase": "Promoting", "stage": "lift"}, {"phase": "Cleaning"}, {"phase": "Succeeded"}],
)
def test_an_abort_that_comes_too_late_says_how_to_return(status: Object) -> None:
    """The old pods are going: what returns to them is another release."""
    server = sets(running(**status), abort=True)
    (warning,) = server.outcome.warnings
    assert "too late to abort" in warning
    assert "kubectl rollout undo" in warning
    assert not sets(running(phase="Promoting", stage="drain"), abort=True).outcome.warnings


def test_an_abort_cannot_be_taken_back() -> None:
    """The answer says what can be done."""
    server = sets(running(), abort=True)
    server.stored["status"]["phase"] = "RollingBack"
    sets(server, abort=False)
    (warning,) = server.outcome.warnings
    assert "spec.retry" in warning


def test_a_release_that_cannot_be_read_is_left_to_its_schema() -> None:
    """The API server says better what is wrong with it."""
    server = running()
    out = mutate(
        request({**server.stored, "spec": {"approve": "many"}}, server.stored), FakeWorld(), NOW
    )
    assert out == msgspec.structs.replace(out, denied=None, warnings=())
