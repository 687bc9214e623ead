"""What people change on a Release, through a real server: the note is a patch, a refusal a 403."""

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import jsonpatch
from admission_wire import review

from webhook.mutation.mutate import mutate
from webhook.mutation.request import Outcome, Request
from webhook.mutation.world import Running
from webhook.objects.policy import Policy

RELEASE: dict[str, Any] = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "Release",
    "metadata": {"name": "shop-7", "namespace": "shop"},
    "spec": {
        "deployment": {"name": "shop", "uid": "u"},
        "policy": {"kind": "ReleasePolicy", "name": "default"},
        "version": "v2",
        "revision": "r2",
        "podLabels": {"app": "shop"},
        "stable": {"hash": "h1", "version": "v1", "revision": "r1"},
        "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}},
        "traffic": {},
        "progressDeadlineSeconds": 600,
    },
    "status": {"phase": "Waiting", "steps": 2},
}


class Nothing:
    """A world with no policies and no releases."""

    identity = "system:serviceaccount:slipway:slipway"

    def policy_for(self, namespace: str, deployment: Mapping[str, Any]) -> Policy | None:
        return None

    def running_in(self, namespace: str) -> Iterable[Running]:
        return ()


def decide(request: Request) -> Outcome:
    return mutate(request, Nothing(), datetime(2026, 10, 1, 12, 0, tzinfo=UTC))


def change(**fields: Any) -> dict[str, Any]:
    """The review of a person's change of a Release."""
    changed = copy.deepcopy(RELEASE)
    changed["spec"].update(fields)
    kind = {"group": "slipway.dev", "version": "v1alpha1", "kind": "Release"}
    return review(kind=kind, name="shop-7", object=changed, oldObject=RELEASE)


async def test_an_approval_is_answered_with_a_patch_that_notes_who_gave_it(rig: Any) -> None:
    """The name is that of userInfo."""
    rig.mutate = decide
    asked = change(approve=2)
    reply = await rig.client.post(asked)
    patched = jsonpatch.apply_patch(asked["request"]["object"], reply.patch)
    noted = json.loads(patched["metadata"]["annotations"]["slipway.dev/decisions"])
    assert noted == [
        {"field": "approve", "value": 2, "user": "jane", "at": "2026-10-01T12:00:00+00:00"}
    ]
    assert patched["spec"] == asked["request"]["object"]["spec"]
    assert rig.seen.reviews == [("UPDATE", "Release", "patched")]


async def test_an_approval_of_a_step_that_is_not_there_is_refused_in_a_sentence(rig: Any) -> None:
    """kubectl shows it as it is."""
    rig.mutate = decide
    reply = await rig.client.post(change(approve=3))
    assert reply.response["allowed"] is False
    assert reply.response["status"]["message"] == (
        "slipway: Release shop/shop-7: spec.approve is 3, but the release has 2 steps"
    )
