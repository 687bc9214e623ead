"""Config is a version too: a change of a ConfigMap or Secret goes out as a new image does."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from lab.api import Object
from lab.cluster import Lab, as_yaml
from lab.shop import is_ready
from lab.slipway import Slipway
from tests.e2e.app import GRACEFUL, PORT, App
from tests.e2e.conftest import POLICY, open_scene
from tests.e2e.scene import RELEASES, Scene
from tests.e2e.test_reapply import pause, resume, shown

pytestmark = pytest.mark.e2e

SNAPSHOTS = "slipway.dev/snapshot-of"
POLICIES = "releasepolicies.slipway.dev"


@dataclass(frozen=True, slots=True)
class Configured(App):
    """An application whose answers tell the contents of its ConfigMap, and which has a Secret."""

    def deployment(self, version: str, env: Any = None) -> Object:
        made = App.deployment(self, version, env)
        pod = made["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        source = {"configMapKeyRef": {"name": "web-config", "key": "mark"}}
        container["env"] = [{"name": "APP_VERSION", "valueFrom": source}]
        container["envFrom"] = [{"secretRef": {"name": "web-key"}}]
        container |= GRACEFUL
        pod["volumes"] = [{"name": "files", "configMap": {"name": "web-config"}}]
        return made

    def config(self, mark: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "web-config", "namespace": self.namespace},
            "data": {"mark": mark},
        }

    def secret(self, **data: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "web-key", "namespace": self.namespace},
            "stringData": data,
        }

    def policy(self, *, guard: bool = True) -> Object:
        return {
            "apiVersion": "slipway.dev/v1alpha1",
            "kind": "ReleasePolicy",
            "metadata": {"name": "config", "namespace": self.namespace},
            "spec": {**POLICY, "config": {"guard": guard}},
        }


@pytest.fixture
def configured(lab: Lab, guarded: Slipway) -> Iterator[Callable[..., Scene]]:
    """Opens an application at v1 with the contents ``one``, under load."""
    opened: list[Scene] = []

    def make(*, guard: bool = True, **options: Any) -> Scene:
        app = Configured(lab.namespace("config"), **options)
        lab.apply([app.policy(guard=guard), app.config("one"), app.secret(LATENCY_MS="1")])
        lab.wait(lambda: guards(lab, app) is guard, 20, "the webhook to know the policy")
        made = open_scene(lab, app, "httproute", 150)
        opened.append(made)
        return made

    yield make
    for made in opened:
        made.probe.stop()
        lab.kubectl("delete", "namespace", made.namespace, "--wait=false")


def guards(lab: Lab, app: Configured) -> bool:
    """Whether a Deployment made now would show snapshots."""
    text = as_yaml([app.deployment("v1")])
    tried = lab.kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", input=text)
    return "web-config.slipway-" in tried.stdout


def change(shop: Scene, mark: str) -> str:
    """Change the ConfigMap, wait until that is a version in release, and return it."""
    before = version_of(shop)
    assert isinstance(shop.app, Configured)
    shop.lab.apply([shop.app.config(mark)])
    return new_version(shop, before)


def new_version(shop: Scene, before: str) -> str:
    try:
        shop.lab.wait(lambda: version_of(shop) != before, 20, "the contents to be a new version")
    except Exception as error:
        error.add_note(shop.story())
        raise
    return version_of(shop)


def version_of(shop: Scene) -> str:
    return str(shop.deployment()["metadata"]["annotations"]["slipway.dev/version"])


def pods_by_hash(shop: Scene) -> dict[str, list[Object]]:
    """The pods that are ready and not ending, oldest ReplicaSet first."""
    found: dict[str, list[Object]] = {}
    for pod in sorted(
        shop.lab.list("pods", shop.namespace, "app=web"),
        key=lambda pod: pod["metadata"]["creationTimestamp"],
    ):
        if "deletionTimestamp" not in pod["metadata"] and is_ready(pod):
            found.setdefault(pod["metadata"]["labels"]["pod-template-hash"], []).append(pod)
    return found


def mark_of(shop: Scene, pod: Object) -> str:
    """The contents of the ConfigMap that a pod was started with."""
    answer = shop.lab.fetch("GET", pod["status"]["podIP"], PORT, "/")
    return str(answer.headers["X-Version"])


def marks(shop: Scene) -> list[set[str]]:
    """For each version with ready pods, the older one first: what they were started with."""
    return [{mark_of(shop, pod) for pod in pods} for pods in pods_by_hash(shop).values()]


def snapshots(shop: Scene, kind: str = "configmaps") -> list[Object]:
    return shop.lab.list(kind, shop.namespace, SNAPSHOTS)


def one_left(shop: Scene, kind: str) -> bool:
    return len(snapshots(shop, kind)) == 1


def test_a_changed_configmap_goes_out_in_steps_and_old_pods_keep_the_old_contents(
    configured: Callable[..., Scene],
) -> None:
    """Also pods that restart or are replaced in mid-release; no failed request, nothing left."""
    shop = configured(spec={"revisionHistoryLimit": 0})
    version = change(shop, "two")
    assert version.startswith("v1+config.")
    shop.wait_for_weight(version, 25)
    pause(shop)
    (old, *_), *_ = pods_by_hash(shop).values()
    assert marks(shop) == [{"one"}, {"two"}]

    restart(shop, old)
    replaced = next(iter(pods_by_hash(shop).values()))[-1]["metadata"]["name"]
    shop.kubectl("delete", "pod", replaced)
    shop.lab.wait(
        lambda: [len(pods) for pods in pods_by_hash(shop).values()] == [4, 1], 30, "all pods"
    )
    assert marks(shop) == [{"one"}, {"two"}]

    resume(shop)
    shop.wait_for(version, "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "two")
    assert report.share("two", since=shop.sights[-1].at) == 1.0
    assert marks(shop) == [{"two"}]
    assert_clean(shop, "two")
    for kind in ("configmaps", "secrets"):
        shop.lab.wait(partial(one_left, shop, kind), 60, "one snapshot left")
    (kept,) = snapshots(shop)
    assert (kept["data"], kept["immutable"]) == ({"mark": "two"}, True)
    assert [owner["name"] for owner in kept["metadata"]["ownerReferences"]] == ["web"]


@pytest.mark.parametrize("way", ["client-side", "server-side", "replace"])
def test_reapplying_everything_in_mid_release_of_config_changes_nothing(
    configured: Callable[..., Scene], way: str
) -> None:
    """The manifests never name a snapshot; written again, by every way, they mean the same."""
    shop = configured()
    flags = ("--server-side", "--force-conflicts") if way == "server-side" else ()
    shop.apply("v1", None, *flags)
    version = change(shop, "two")
    shop.wait_for_weight(version, 25)
    pause(shop)
    before = shown(shop)
    text = as_yaml(shop.manifests("v1"))
    if way == "replace":
        shop.lab.kubectl("replace", "-f", "-", input=text)
    else:
        shop.apply("v1", None, *flags)
        differs = shop.lab.kubectl("diff", *flags, "-f", "-", input=text, check=False)
        assert differs.returncode == 0, differs.stdout + differs.stderr
    assert shown(shop) == before
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 1
    resume(shop)
    shop.wait_for(version, "Succeeded")
    shop.end()
    assert marks(shop) == [{"two"}]


def test_rollout_undo_goes_back_to_the_old_contents_and_is_guarded(
    configured: Callable[..., Scene],
) -> None:
    """The ConfigMap itself stays as it is, and is no news: nothing turns back again."""
    shop = configured()
    first = version_of(shop)
    second = change(shop, "two")
    shop.wait_for(second, "Succeeded")
    shop.kubectl("rollout", "undo", "deployment/web")
    assert version_of(shop) == first
    shop.wait_for(first, "Succeeded")
    assert marks(shop) == [{"one"}]
    assert shop.lab.get("configmaps", "web-config", shop.namespace)["data"] == {"mark": "two"}
    third = change(shop, "three")
    shop.wait_for(third, "Succeeded")
    assert marks(shop) == [{"three"}]
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 3
    shop.end()


def test_a_configmap_that_is_put_back_ends_the_release_at_once(
    configured: Callable[..., Scene],
) -> None:
    """As re-applying the released manifest does."""
    shop = configured()
    version = change(shop, "two")
    shop.wait_for_weight(version, 25)
    assert isinstance(shop.app, Configured)
    shop.lab.apply([shop.app.config("one")])
    shop.wait_for(version, "RolledBack")
    shop.end()
    assert marks(shop) == [{"one"}]
    assert_clean(shop, "one")


def test_a_changed_secret_and_image_applied_together_are_one_release(
    configured: Callable[..., Scene],
) -> None:
    """The files in the order in which kubectl gets them; the Secret's snapshot is a Secret."""
    shop = configured()
    before = version_of(shop)
    assert isinstance(shop.app, Configured)
    shop.lab.apply([shop.app.secret(LATENCY_MS="2"), *shop.manifests("v2")])
    version = new_version(shop, before)
    assert version.startswith("v2+config.")
    shop.wait_for(version, "Succeeded")
    shop.end()
    assert len(shop.lab.list(RELEASES, shop.namespace)) == 1
    assert len(snapshots(shop, "secrets")) == 2
    assert not [s for s in snapshots(shop) if "LATENCY_MS" in str(s.get("data"))]


def test_a_policy_that_comes_later_restarts_nothing_and_guards_the_next_change(
    configured: Callable[..., Scene],
) -> None:
    """The first contents are read live, as they always were; the next ones are a release."""
    shop = configured(guard=False)
    assert isinstance(shop.app, Configured)
    hashes = pods_by_hash(shop).keys()
    shop.lab.apply([shop.app.policy()])
    shop.lab.wait(
        lambda: "slipway.dev/config" in shop.deployment()["metadata"]["annotations"], 20, "baseline"
    )
    assert pods_by_hash(shop).keys() == hashes
    assert snapshots(shop) == []
    version = change(shop, "two")
    shop.wait_for_weight(version, 25)
    assert marks(shop) == [{"one"}, {"two"}]
    shop.wait_for(version, "Succeeded")
    shop.end()
    assert marks(shop) == [{"two"}]
    assert_clean(shop, "two")


def test_contents_that_change_while_the_webhook_is_dead_are_held_all_the_same(
    configured: Callable[..., Scene], guard: Slipway
) -> None:
    """The reconciler writes template and hold itself."""
    shop = configured()
    guard.webhook.kill()
    version = change(shop, "two")
    shop.wait_for_weight(version, 25)
    assert "contents_repaired" in guard.reconciler.log
    assert marks(shop) == [{"one"}, {"two"}]
    shop.wait_for(version, "Succeeded")
    shop.end()
    assert marks(shop) == [{"two"}]


def test_the_same_manifest_applied_while_all_of_slipway_is_dead_restarts_nothing(
    configured: Callable[..., Scene], guard: Slipway
) -> None:
    """The API server itself makes it wait; taken up, it is the released version again."""
    shop = configured()
    names = {pod["metadata"]["name"] for pods in pods_by_hash(shop).values() for pod in pods}
    for process in guard.processes:
        process.kill()
    shop.apply("v1")
    assert shop.deployment()["spec"]["paused"] is True
    guard.start()
    shop.lab.wait(lambda: not shop.deployment()["spec"].get("paused"), 30, "it to be taken up")
    assert shop.kubectl("rollout", "status", "deployment/web").returncode == 0
    shop.end()
    assert names == {pod["metadata"]["name"] for pod in pods_by_hash(shop).popitem()[1]}
    assert_clean(shop, "one")
    change(shop, "two")


def restart(shop: Scene, pod: Object) -> None:
    """Take a pod out of the Service, end its process, and let it come back."""
    name = pod["metadata"]["name"]
    shop.lab.set_ready(shop.namespace, name, False)
    shop.lab.wait(lambda: not is_ready(read(shop, name)), 20, "the pod to be out of service")
    since = time.time()
    shop.lab.wait(
        lambda: shop.probe.report().between(since=since).total > 150, 20, "requests elsewhere"
    )
    shop.lab.crash(shop.namespace, name, down=0.1)
    shop.lab.wait(lambda: restarts(read(shop, name)) == 1, 20, "the container to restart")
    shop.lab.set_ready(shop.namespace, name, True)
    shop.lab.wait(lambda: is_ready(read(shop, name)), 20, "the pod to be back")


def read(shop: Scene, pod: str) -> Object:
    return shop.lab.get("pods", pod, shop.namespace)


def restarts(pod: Object) -> int:
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def assert_clean(shop: Scene, mark: str) -> None:
    """What the user applied is what is there; nothing is held, pinned or split."""
    assert isinstance(shop.app, Configured)
    text = as_yaml([shop.app.config(mark), *shop.manifests("v1")])
    differs = shop.lab.kubectl("diff", "-f", "-", input=text, check=False)
    assert differs.returncode == 0, differs.stdout + differs.stderr
    kept = {k for k in shop.deployment()["metadata"]["annotations"] if k.startswith("slipway.dev/")}
    assert not kept & {"slipway.dev/hold", "slipway.dev/original", "slipway.dev/stable"}
    services = {obj["metadata"]["name"] for obj in shop.lab.list("services", shop.namespace)}
    assert services == {"web"}
