"""People steer a release by its fields; who did it and when stands on the Release."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.pace import TRAFFIC
from tests.e2e.scene import RELEASES, Scene

pytestmark = pytest.mark.e2e

APPROVED = {
    "strategy": {"canary": {"steps": [{"setWeight": 25}, {"pause": {}}]}},
    "traffic": TRAFFIC,
}


def waiting(scene: Callable[..., Scene], policy: Mapping[str, Any]) -> tuple[Scene, str]:
    """An application in the middle of a release that waits for a person; and its Release."""
    shop = scene("httproute")
    shop.lab.apply(
        {
            "apiVersion": "slipway.dev/v1alpha1",
            "kind": "ReleasePolicy",
            "metadata": {"name": "by-hand", "namespace": shop.namespace},
            "spec": policy,
        }
    )
    shop.lab.wait(lambda: _policy_of(shop), 30, "the namespace's own policy to be known")
    shop.apply("v2")
    return shop, shop.wait_for("v2", "Waiting").name


def _policy_of(shop: Scene) -> bool:
    """Whether a change would be guarded by the namespace's policy; a dry run tells."""
    done = shop.lab.apply(shop.manifests("v2"), "--dry-run=server")
    return "ReleasePolicy by-hand" in done.stdout + done.stderr


def patch(shop: Scene, name: str, spec: Mapping[str, Any], *flags: str) -> Any:
    body = json.dumps({"spec": spec})
    args = ("patch", RELEASES, name, "--type=merge", f"--patch={body}", *flags)
    return shop.kubectl(*args, check=False)


def test_who_approved_and_when_is_recorded_on_the_release(scene: Callable[..., Scene]) -> None:
    """`kubectl patch release` by two people: both names, in order, and the release goes on."""
    began = datetime.now(UTC).replace(microsecond=0)
    shop, name = waiting(scene, APPROVED)
    ada = ("--as=ada@example.com", "--as-group=system:masters")
    wrong = patch(shop, name, {"approve": 3}, *ada)
    assert wrong.returncode != 0
    assert "spec.approve is 3, but the release has 2 steps" in wrong.stderr
    assert patch(shop, name, {"paused": True}, *ada).returncode == 0
    forged = shop.kubectl("annotate", RELEASES, name, "slipway.dev/decisions-", check=False)
    assert forged.returncode == 0
    assert patch(shop, name, {"paused": False, "approve": 2}).returncode == 0
    shop.wait_for("v2", "Succeeded")
    status = shop.lab.get(RELEASES, name, shop.namespace)["status"]
    said = [(each["field"], each["value"], each["user"]) for each in status["decisions"]]
    assert said[0] == ("paused", "true", "ada@example.com")
    assert [each[:2] for each in said[1:]] == [("paused", "false"), ("approve", 2)]
    assert said[1][2] == said[2][2] != "ada@example.com"
    for each in status["decisions"]:
        assert began <= datetime.fromisoformat(each["at"]) <= datetime.now(UTC)
    late = patch(shop, name, {"approve": 1})
    assert late.returncode == 0
    assert "spec.approve has no effect any more" in late.stderr
    shop.end()
    assert shop.pods() == {"v2": 4}


def test_a_person_cannot_make_a_release(scene: Callable[..., Scene]) -> None:
    """A copy of one under another name is refused, with what to do instead."""
    shop, name = waiting(scene, APPROVED)
    copied = shop.lab.get(RELEASES, name, shop.namespace)
    copied["metadata"] = {"name": "mine", "namespace": shop.namespace}
    done = shop.lab.kubectl("create", "--filename=-", check=False, input=json.dumps(copied))
    assert done.returncode != 0
    assert "apply the Deployment instead" in done.stderr
    assert patch(shop, name, {"promote": True}).returncode == 0
    shop.wait_for("v2", "Succeeded")
    shop.end()
