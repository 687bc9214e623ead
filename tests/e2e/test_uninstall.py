"""Slipway uninstalled, upgraded or switched off in mid-release: nothing pinned, held or split."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from lab.api import Object
from lab.slipway import CHART, NAMESPACE, Slipway
from tests.e2e.conftest import POLICY
from tests.e2e.objects import OURS, users_part
from tests.e2e.pace import LINGER
from tests.e2e.scene import RELEASES, Scene
from tests.e2e.test_release import assert_as_applied

pytestmark = pytest.mark.e2e

GRACEFUL = {"lifecycle": {"preStop": {"sleep": {"seconds": LINGER + 1}}}}
"""Pods that serve on while they are forgotten: what comes after Slipway is a native rollout."""
FACTS = {"version", "revision", "guarded-by", "applied-by", "applied-at"}


@pytest.fixture
def uninstalled(guarded: Slipway) -> Iterator[Callable[[], str]]:
    """Uninstalls Slipway; the next test finds it installed again."""
    gone: list[str] = []

    def uninstall() -> str:
        gone.append(guarded.uninstall())
        return gone[-1]

    yield uninstall
    if gone:
        guarded.reinstall({"defaultPolicy": {"spec": POLICY}})


def own_policy(shop: Scene, spec: Mapping[str, Any]) -> None:
    """The policy that the application names."""
    shop.lab.apply(
        {
            "apiVersion": "slipway.dev/v1alpha1",
            "kind": "ReleasePolicy",
            "metadata": {"name": "own", "namespace": shop.namespace},
            "spec": spec,
        }
    )


def named(shop: Scene) -> None:
    """The application names its own policy, and Slipway knows it."""
    own_policy(shop, POLICY)
    shop.kubectl("annotate", "deployment", "web", "slipway.dev/policy=own")

    def known() -> bool:
        done = shop.lab.apply(shop.manifests("v2"), "--dry-run=server")
        return "ReleasePolicy own" in done.stdout + done.stderr

    shop.lab.wait(known, 30, "the application's own policy to be known")


def intent_on(obj: Object) -> set[str]:
    """Slipway's keys on an object that are no facts."""
    meta = obj["metadata"]
    keys = {*(meta.get("annotations") or {}), *(meta.get("labels") or {})}
    return {key for key in keys if key.startswith(OURS)} - {OURS + fact for fact in FACTS}


def assert_nothing_left(shop: Scene) -> None:
    """No intent, no canary object, and Service and route as their user applied them."""
    for kind in ("deployments", "services", "httproutes", "ingresses", "pods"):
        for obj in shop.lab.list(kind, shop.namespace):
            assert not intent_on(obj), obj["metadata"]
    assert [each["metadata"]["name"] for each in shop.lab.list("services", shop.namespace)] == [
        "web"
    ]
    service = shop.lab.get("services", "web", shop.namespace)
    assert service["spec"]["selector"] == {"app": "web"}


@pytest.mark.parametrize("kind", ["httproute", "ingress"])
def test_slipway_uninstalled_in_mid_release_leaves_nothing_held_pinned_or_split(
    scene: Callable[..., Scene], uninstalled: Callable[[], str], kind: str
) -> None:
    """`helm uninstall` at 25 % under load: no request fails, and the rollout ends natively."""
    shop = scene(kind, container=GRACEFUL)
    before = users_part(shop.lab.get(kind, "web", shop.namespace))
    shop.apply("v2")
    sight = shop.wait_for_weight("v2", 25)
    said = uninstalled()
    assert "detached" in said, said
    shop.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert_nothing_left(shop)
    assert users_part(shop.lab.get(kind, "web", shop.namespace)) == before
    deployment = shop.deployment()
    assert "paused" not in deployment["spec"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == "25%"
    status = shop.lab.get(RELEASES, sight.name, shop.namespace)["status"]
    assert (status["phase"], status["reason"]) == ("Superseded", "Detached")
    assert not shop.lab.list("mutatingwebhookconfigurations")
    assert not shop.lab.list("validatingwebhookconfigurations")
    shop.end()
    assert shop.pods() == {"v2": 4}


def test_an_aborted_version_is_not_released_by_an_uninstall(
    scene: Callable[..., Scene], uninstalled: Callable[[], str]
) -> None:
    """The Deployment stays paused, plainly, with v1's pods; its user then returns to v1."""
    shop = scene("httproute", spec={"progressDeadlineSeconds": 4}, container=GRACEFUL)
    pods = sorted(shop.pods_of("v1"))
    shop.apply("v2", {"READY": "false"})
    shop.wait_for("v2", "Aborted")
    said = uninstalled()
    assert "left_paused" in said, said
    assert_nothing_left(shop)
    assert shop.deployment()["spec"]["paused"] is True
    assert shop.pods() == {"v1": 4}
    assert sorted(shop.pods_of("v1")) == pods
    status = shop.kubectl("rollout", "status", "deployment/web", "--timeout=20s", check=False)
    assert "exceeded its progress deadline" in status.stderr
    shop.apply("v1")
    shop.kubectl("rollout", "resume", "deployment/web")
    shop.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    shop.end()
    assert shop.pods() == {"v1": 4}


def test_slipway_upgraded_in_mid_release_changes_nothing_about_the_release(
    scene: Callable[..., Scene], guard: Slipway
) -> None:
    """`helm upgrade` at 25 %, and every process replaced: the same release goes on to its end."""
    shop = scene("httproute")
    shop.apply("v2")
    sight = shop.wait_for_weight("v2", 25)
    values = shop.lab.folder / "values.json"
    where = (f"--namespace={NAMESPACE}", f"--values={values}", "--set=podAnnotations.build=next")
    shop.lab.helm("upgrade", guard.release, str(CHART), *where)
    for process in guard.processes:
        process.restart()
    end = shop.wait_for("v2", "Succeeded")
    assert end.name == sight.name
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")
    assert_as_applied(shop, "v2")


@pytest.mark.parametrize("how", ["deleted", "strategy none"])
def test_a_policy_switched_off_in_mid_release_counts_from_the_next_change(
    scene: Callable[..., Scene], how: str
) -> None:
    """The release in flight ends as it began; the change after it goes out natively."""
    shop = scene("httproute", container=GRACEFUL)
    named(shop)
    shop.apply("v2")
    shop.wait_for_weight("v2", 25)
    if how == "deleted":
        shop.kubectl("delete", "releasepolicies.slipway.dev", "own")
    else:
        own_policy(shop, {"strategy": {"none": {}}})
    shop.wait_for("v2", "Succeeded")
    weights = {sight.weight for sight in shop.sights}
    assert {25, 50, 100} <= weights
    assert_as_applied(shop, "v2")
    said = shop.apply("v3")
    assert "goes out unguarded" in said
    shop.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    shop.end()
    assert shop.pods() == {"v3": 4}
    assert shop.release("v3") is None
