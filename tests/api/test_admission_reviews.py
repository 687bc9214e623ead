"""Good reviews, and reviews whose request is not what the API server would send."""

import asyncio
from typing import Any

import jsonpatch
import pytest
from admission_wire import DEADLINE, DEPLOYMENT, review
from structlog.testing import capture_logs

from webhook.mutation.request import Outcome, Request

UNGUARDED = "slipway could not read this object; it passed unguarded and will be repaired"


def hold(request: Request) -> Outcome:
    """A decision that adds one annotation with an awkward key."""
    metadata = {**request.object["metadata"], "annotations": {"slipway.dev/hold": "{}"}}
    return Outcome(
        object={**request.object, "metadata": metadata},
        warnings=("release of v2 started",),
        audit={"decision": "held"},
    )


async def test_an_unchanged_object_is_allowed_with_no_patch(rig: Any) -> None:
    """patch and patchType are both absent."""
    good = review()
    reply = await rig.client.post(good)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.response == {"uid": good["request"]["uid"], "allowed": True}
    assert rig.seen.reviews == [("UPDATE", "Deployment", "unchanged")]


async def test_a_changed_object_is_answered_with_a_patch_that_applies(rig: Any) -> None:
    """The patch, applied to what was sent, gives what was decided."""
    rig.mutate = hold
    good = review()
    reply = await rig.client.post(good)
    patched = jsonpatch.apply_patch(good["request"]["object"], reply.patch)
    assert patched["metadata"]["annotations"] == {"slipway.dev/hold": "{}"}
    assert [step["path"] for step in reply.patch] == ["/metadata/annotations"]
    assert reply.response["warnings"] == ["release of v2 started"]
    assert reply.response["auditAnnotations"] == {"decision": "held"}
    assert rig.seen.reviews == [("UPDATE", "Deployment", "patched")]


async def test_the_decision_sees_what_the_api_server_sent(rig: Any) -> None:
    """Every part of the request that a decision may use arrives typed."""
    heard: list[Request] = []

    def listen(request: Request) -> Outcome:
        heard.append(request)
        return Outcome(object=request.object)

    rig.mutate = listen
    await rig.client.post(review(uid="u-1", dryRun=True))
    created = review(uid="u-2", operation="CREATE", oldObject=None, options=None)
    del created["request"]["name"]  # as with generateName
    await rig.client.post(created)
    update, create = heard
    assert update == Request(
        uid="u-1",
        operation="UPDATE",
        kind="Deployment",
        group="apps",
        namespace="shop",
        name="shop",
        object=DEPLOYMENT,
        old=DEPLOYMENT,
        username="jane",
        field_manager="kubectl",
        dry_run=True,
    )
    assert (create.operation, create.old, create.name, create.dry_run) == (
        "CREATE",
        None,
        "",
        False,
    )


async def test_a_denial_says_why(rig: Any) -> None:
    """kubectl shows the reason; no patch comes with a denial."""
    rig.mutate = lambda request: Outcome(object={}, denied="frozen until Monday", warnings=("w",))
    response = (await rig.client.post(review())).response
    assert response["allowed"] is False
    assert response["status"] == {
        "code": 403,
        "reason": "Forbidden",
        "message": "frozen until Monday",
    }
    assert response["warnings"] == ["w"]
    assert "patch" not in response
    assert rig.seen.reviews == [("UPDATE", "Deployment", "denied")]


async def test_validation_never_patches(rig: Any) -> None:
    """Even a decision that changed the object gives only allowed or denied."""
    rig.validate = hold
    assert "patch" not in (await rig.client.post(review(), "/validate")).response
    rig.validate = lambda request: Outcome(object=request.object, denied="no")
    assert (await rig.client.post(review(), "/validate")).response["allowed"] is False


async def test_warnings_are_short_and_of_one_line(rig: Any) -> None:
    """At most 256 characters each, nothing that moves a terminal's cursor."""
    rig.mutate = lambda request: Outcome(
        object=request.object, warnings=("é" * 300, "a\x1b[2Jb\nc\u202ed"), audit={"a/b c": "x"}
    )
    response = (await rig.client.post(review())).response
    assert response["warnings"] == ["é" * 255 + "…", "a [2Jb c d"]
    assert response["auditAnnotations"] == {"a-b-c": "x"}


@pytest.mark.parametrize("changes", [{"operation": "DELETE", "object": None}, {"subResource": "x"}])
async def test_what_slipway_does_not_decide_passes(rig: Any, changes: dict[str, Any]) -> None:
    """Deletions and subresources pass without a word."""
    rig.mutate = lambda request: Outcome(object={}, denied="must not be asked")
    reply = await rig.client.post(review(uid="u-1", **changes))
    assert reply.response == {"uid": "u-1", "allowed": True}


UNREADABLE: dict[str, dict[str, Any]] = {
    "object is a list": {"object": []},
    "object is a string": {"object": "x"},
    "object is missing": {"object": None},
    "metadata is a number": {"object": {"metadata": 7}},
    "metadata is missing": {"object": {"spec": {}}},
    "oldObject is a list": {"oldObject": [1]},
    "oldObject is missing on UPDATE": {"oldObject": None},
    "operation is unknown": {"operation": "FROB"},
    "operation is a list": {"operation": ["CREATE"]},
    "operation is missing": {"operation": None},
    "kind is a string": {"kind": "Deployment"},
    "kind is missing": {"kind": None},
    "kind.kind is a number": {"kind": {"group": "apps", "kind": 5}},
    "namespace is a number": {"namespace": 5},
    "name is an object": {"name": {}},
    "name is null": {"name": None},
    "userInfo is a string": {"userInfo": "jane"},
    "options is a list": {"options": ["x"]},
    "username is a list": {"userInfo": {"username": []}},
    "fieldManager is a number": {"options": {"fieldManager": 1}},
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_an_unreadable_request_passes_with_a_warning(rig: Any, case: str) -> None:
    """The user's write is never refused because Slipway can't read it."""
    odd = review(**UNREADABLE[case])
    reply = await rig.client.post(odd)
    assert reply.status == 200
    assert reply.response == {
        "uid": odd["request"]["uid"],
        "allowed": True,
        "warnings": [UNGUARDED],
    }
    assert rig.seen.failures == ["request"]


async def test_a_bug_in_a_decision_lets_the_write_pass(rig: Any) -> None:
    """The log tells where it was, and nothing of the object."""

    def broken(request: Request) -> Outcome:
        raise KeyError(request.object["spec"]["secret"])

    rig.mutate = broken
    odd = review(object={**DEPLOYMENT, "spec": {"secret": "hunter2"}})
    with capture_logs() as logs:
        reply = await rig.client.post(odd)
    assert reply.response["allowed"] is True
    assert reply.response["warnings"] == [UNGUARDED]
    assert rig.seen.failures == ["decision"]
    assert rig.seen.reviews == [("UPDATE", "Deployment", "failed")]
    (entry,) = logs
    assert entry["event"] == "review_passed_unguarded"
    assert entry["error"] == "KeyError"
    assert any("broken" in place for place in entry["where"])
    assert "hunter2" not in repr(logs)


async def test_a_patch_that_cannot_be_written_lets_the_write_pass(rig: Any) -> None:
    """A value that is no JSON costs the patch, not the write."""
    rig.mutate = lambda request: Outcome(object={**request.object, "x": object()})
    assert (await rig.client.post(review())).response["warnings"] == [UNGUARDED]


async def test_made_up_kinds_make_no_new_metric_labels(rig: Any) -> None:
    """Label values come from a fixed set, whatever a body says."""
    kind = {"group": "evil", "version": "v1", "kind": "Kind123"}
    await rig.client.post(review(kind=kind))
    await rig.client.post(review(operation="OP123"))
    assert rig.seen.reviews == [
        ("UPDATE", "other", "unchanged"),
        ("other", "Deployment", "failed"),
    ]


async def test_a_decision_may_look_something_up_first(rig: Any) -> None:
    """Others are answered meanwhile, and its own answer is as any."""
    asked, known = asyncio.Event(), asyncio.Event()

    async def look(request: Request) -> Outcome:
        asked.set()
        await known.wait()
        return hold(request)

    rig.mutate = look
    slow = asyncio.create_task(rig.client.post(review()))
    await asyncio.wait_for(asked.wait(), DEADLINE)
    rig.mutate = lambda request: Outcome(object=request.object)
    assert await rig.client.is_well()
    assert not slow.done()
    known.set()
    assert (await slow).response["auditAnnotations"] == {"decision": "held"}


async def test_a_bug_while_something_is_looked_up_lets_the_write_pass(rig: Any) -> None:
    """As one in a decision does."""

    async def broken(request: Request) -> Outcome:
        await asyncio.sleep(0)
        raise KeyError(request.uid)

    rig.mutate = broken
    with capture_logs() as logs:
        reply = await rig.client.post(review())
    assert reply.response["warnings"] == [UNGUARDED]
    assert rig.seen.failures == ["decision"]
    assert rig.seen.reviews == [("UPDATE", "Deployment", "failed")]
    assert [entry["event"] for entry in logs] == ["review_passed_unguarded"]
