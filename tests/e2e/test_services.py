"""Services and routes of every shape, and what is deleted or comes anew while a release runs."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.api import Object
from tests.e2e.app import GRACEFUL
from tests.e2e.conftest import HALF
from tests.e2e.scene import Scene

pytestmark = pytest.mark.e2e


def service(shop: Scene, name: str, **spec: Any) -> Object:
    """Another Service for the pods of web."""
    made = shop.app.service()
    return {
        **made,
        "metadata": {"name": name, "namespace": shop.namespace},
        "spec": {**made["spec"], **spec},
    }


# Deleted, and back


@pytest.mark.parametrize("kind", ["httproute", "ingress"])
@pytest.mark.parametrize("what", ["service", "route"])
def test_what_is_deleted_and_created_at_once_is_guarded_from_its_first_moment(
    scene: Callable[..., Scene], kind: str, what: str
) -> None:
    """`kubectl replace --force` at 50 %: pinned and split as before, and the release goes on.

    Between the two there is no Service or route, as in plain Kubernetes: those requests are lost.
    """
    shop = scene(kind, steps=HALF)
    shop.until_half("v2")
    gone = time.time()
    manifest = shop.app.service() if what == "service" else shop.route
    shop.replace(manifest, force=True)
    shop.wait_answer()
    shop.lab.wait(lambda: shop.endpoints("web") == {"v1"}, 20, "the Service to offer v1 again")
    since = shop.wait_quiet()
    sight = shop.release("v2")
    assert sight
    assert (sight.phase, sight.weight) == ("Waiting", 50), shop.story()
    shop.finish("v2")
    shop.end(since=since, until=gone)
    report = shop.probe.report().between(since=since)
    shop.assert_share_never_falls(report, "v2")
    shop.assert_left_as(*shop.manifests("v2"))


@pytest.mark.parametrize("kind", ["httproute", "ingress"])
def test_a_service_deleted_in_mid_release_leaves_nothing_split(
    scene: Callable[..., Scene], kind: str
) -> None:
    """Its users' requests fail, as they would; the route is the user's own, the release ends."""
    shop = scene(kind, steps=HALF)
    shop.until_half("v2")
    shop.probe.stop()  # that is what was asked for
    shop.kubectl("delete", "service", "web")
    shop.finish("v2")
    assert shop.pods() == {"v2": 4}
    shop.assert_left_as(shop.app.deployment("v2"), shop.route)
    shop.lab.apply([shop.app.service()])
    shop.wait_answer()
    shop.load()
    shop.end()


@pytest.mark.parametrize("kind", ["httproute", "ingress"])
def test_a_route_deleted_in_mid_release_leaves_no_canary_behind(
    scene: Callable[..., Scene], kind: str
) -> None:
    """With no route to split, the Service moves at the promotion; canary objects go."""
    shop = scene(kind, steps=HALF)
    shop.until_half("v2")
    shop.probe.stop()  # that is what was asked for
    shop.kubectl("delete", shop.route["kind"].lower(), "web")
    shop.finish("v2")
    assert shop.pods() == {"v2": 4}
    shop.assert_left_as(shop.app.deployment("v2"), shop.app.service())
    for canary in ("services", "ingresses"):
        names = {obj["metadata"]["name"] for obj in shop.lab.list(canary, shop.namespace)}
        assert names <= {"web"}
    shop.lab.apply([shop.route])
    shop.wait_answer()
    shop.load()
    shop.end()


def test_a_deployment_replaced_by_force_in_mid_release_begins_from_nothing(
    scene: Callable[..., Scene],
) -> None:
    """All pods go, as natively; the new Deployment is not held, and the Service not pinned."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    shop.probe.stop()  # that is what was asked for
    shop.replace(shop.app.deployment("v2"), force=True)
    shop.wait_pods(v2=4)
    shop.wait_nothing_left()
    shop.wait_answer()
    shop.load()
    assert shop.end().versions == ["v2"]
    shop.assert_left_as(*shop.manifests("v2"))


def test_a_service_that_is_new_in_mid_release_reaches_released_pods_only(
    scene: Callable[..., Scene],
) -> None:
    """`kubectl expose` at 50 %: pinned from its first moment, and the user's own at the end."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    new = service(shop, "inside")
    shop.lab.apply([new])
    made = shop.lab.get("services", "inside", shop.namespace)
    assert "pod-template-hash" in made["spec"]["selector"]
    shop.lab.wait(lambda: shop.endpoints("inside"), 20, "endpoints")
    assert shop.endpoints("inside") == {"v1"}
    shop.finish("v2")
    shop.end()
    assert shop.endpoints("inside") == {"v2"}
    shop.assert_left_as(*shop.manifests("v2"), new)


def test_a_route_that_is_new_in_mid_release_carries_the_split(
    scene: Callable[..., Scene],
) -> None:
    """A second HTTPRoute for the same Service at 50 %: half of its requests see v2, none fails."""
    shop = scene("httproute", steps=HALF)
    shop.until_half("v2")
    new = shop.second_route("later")
    shop.lab.apply([new])
    made = shop.lab.get("httproutes", "later", shop.namespace)
    assert {ref["name"] for ref in made["spec"]["rules"][0]["backendRefs"]} == {
        "web", "web-canary",
    }  # fmt: skip
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"), new)


def test_a_route_that_the_policy_leaves_out_stays_with_the_released_version(
    scene: Callable[..., Scene],
) -> None:
    """Half of the shop's users see v2; the admins' own route is v1's until the promotion."""
    shop = scene("httproute", steps=HALF)
    admin = shop.second_route("admin")
    shop.lab.apply([admin])
    host = admin["spec"]["hostnames"][0]
    shop.wait_answer(host)
    left_out = {"routes": {"exclude": [{"kind": "HTTPRoute", "name": "admin"}]}}
    shop.lab.patch(
        "releasepolicies.slipway.dev", "quick", {"spec": {"traffic": left_out}}, shop.namespace
    )
    admins = shop.lab.probe(host, rate=50)
    shop.until_half("v2")
    shop.wait_noted("v2", f"HTTPRoute {shop.namespace}/admin is left out by the policy")
    half = time.time()
    shop.lab.wait(lambda: admins.report().between(since=half).total > 50, 20, "50 admins")
    assert admins.report().versions == ["v1"]
    shop.finish("v2")
    report = shop.end()
    assert report.by_version["v2"]
    seen = admins.stop()
    assert (seen.failed, seen.versions) == (0, ["v1", "v2"])
    shop.assert_left_as(*shop.manifests("v2"), admin)


def test_a_selector_that_grows_with_the_pods_labels_never_leaves_its_service_empty(
    scene: Callable[..., Scene],
) -> None:
    """A label new on the pods and in the selector, as chart upgrades bring it: v1 serves on.

    Until the old pods have the label, too, the Service selects none of them; natively that lasts
    until the first new pod is ready.
    """
    shop = scene("httproute", steps=HALF)
    known = time.time()
    shop.app = shop.app.having(labels={"tier": "front"})
    changed = service(shop, "web", selector={"app": "web", "tier": "front"})
    shop.lab.apply([shop.app.deployment("v2"), changed])
    shop.wait_for("v2", "Waiting")
    since = shop.wait_quiet()
    assert shop.endpoints("web") == {"v1"}
    shop.finish("v2")
    shop.end(since=since, until=known)
    assert shop.endpoints("web") == {"v2"}
    shop.assert_left_as(shop.app.deployment("v2"), changed, shop.route)


def tracked(shop: Scene, track: str) -> Object:
    """The Service, selecting pods by a label whose value changes with the version."""
    return service(shop, "web", selector={"app": "web", "track": track})


def on_track_b(scene: Callable[..., Scene]) -> tuple[Scene, float, float]:
    """v1 serves on track a; v2 and the Service are applied with track b; when, and since when."""
    shop = scene("httproute", steps=HALF, labels={"track": "a"})
    shop.lab.apply([tracked(shop, "a")])
    known = time.time()
    shop.app = shop.app.having(labels={"track": "b"})
    shop.lab.apply([shop.app.deployment("v2"), tracked(shop, "b")])
    shop.wait_for("v2", "Waiting")
    return shop, known, shop.wait_quiet()


def test_a_selector_whose_value_changes_with_the_pods_labels_takes_new_pods_only(
    scene: Callable[..., Scene],
) -> None:
    """It can't be kept on v1, which it leaves out: v2 gets all as soon as it is ready, and it says.

    Until then the Service selects nobody, as natively.
    """
    shop, known, since = on_track_b(scene)
    assert shop.endpoints("web") == {"v2"}
    shown = shop.kubectl("get", "releases", "-o", "wide").stdout
    assert "Service web does not select the pods of v1 any more, so it is not pinned" in shown
    shop.finish("v2")
    shop.end(since=since, until=known)
    assert shop.pods() == {"v2": 4}
    shop.assert_left_as(shop.app.deployment("v2"), tracked(shop, "b"), shop.route)


def test_new_pods_that_a_changed_selector_needs_stay_until_it_is_changed_back(
    scene: Callable[..., Scene],
) -> None:
    """Aborted at 50 %: v2 goes once the manifests of v1 are applied, and no request is lost."""
    shop, known, since = on_track_b(scene)
    shop.edit("v2", abort=True)
    shop.lab.wait(
        lambda: "Service web selects new pods only; they stay"
        in shop.kubectl("get", "releases", "-o", "wide").stdout,
        20, "the release to say what it waits for",
    )  # fmt: skip
    assert shop.endpoints("web") == {"v2"}
    shop.app = shop.app.having(labels={"track": "a"})
    shop.lab.apply([shop.app.deployment("v1"), tracked(shop, "a")])
    shop.wait_for("v2", "Aborted", "RolledBack")
    shop.wait_pods(v1=4)
    shop.wait_nothing_left()
    shop.end(since=since, until=known)
    assert shop.endpoints("web") == {"v1"}
    shop.assert_left_as(shop.app.deployment("v1"), tracked(shop, "a"), shop.route)


# Several, and shared


def test_one_deployment_behind_several_services_and_routes(scene: Callable[..., Scene]) -> None:
    """Two Services, an HTTPRoute and an Ingress, both under load: they shift together."""
    shop = scene("httproute", steps=HALF)
    other = service(shop, "other")
    ingress = shop.app.ingress()
    ingress["metadata"]["name"] = "other"
    rule = ingress["spec"]["rules"][0]
    rule["host"] = f"other.{shop.namespace}.example"
    rule["http"]["paths"][0]["backend"]["service"]["name"] = "other"
    shop.lab.apply([other, ingress])
    shop.wait_answer(rule["host"])
    second = shop.lab.probe(rule["host"], rate=100)
    shop.lab.wait(lambda: second.report().total > 20, 20, "the second load to begin")
    shop.until_half("v2")
    shop.wait_quiet()
    shop.finish("v2")
    report = shop.end()
    beside = second.stop()
    assert beside.failed == 0, beside
    shop.assert_shares(report, "v2")
    shop.assert_shares(beside, "v2")
    shop.assert_left_as(*shop.manifests("v2"), other, ingress)


def neighbour(shop: Scene) -> Object:
    """Another Deployment, whose pods the shared Service takes in as well."""
    return shop.app.having(name="old-shop", replicas=2).deployment("v0")


def shared(shop: Scene) -> Object:
    """The Service of web, selecting by a label that other workloads have, too."""
    return service(shop, "web", selector={"tier": "front"})


def share_with_neighbour(shop: Scene) -> None:
    """Both serve by one Service: a version that replaces what never served is not held back."""
    shop.lab.apply([neighbour(shop), shared(shop)])
    shop.wait_pods(v0=2, v1=2)
    shop.lab.wait(lambda: shop.endpoints("web") == {"v0", "v1"}, 20, "the Service to offer both")
    shop.lab.wait(lambda: shop.probe.report().by_version["v0"] > 0, 20, "the proxy to know of both")


@pytest.mark.parametrize("kind", ["httproute", "ingress"])
def test_a_service_shared_with_another_workload_cuts_nobody_off(
    scene: Callable[..., Scene], kind: str
) -> None:
    """It is not pinned, `get releases -o wide` says so, and both workloads serve all the time.

    No pod can leave such a Service before it ends, so they serve on while they do (``GRACEFUL``).
    """
    shop = scene(kind, steps=HALF, labels={"tier": "front"}, replicas=2, container=GRACEFUL)
    share_with_neighbour(shop)
    second = int(time.time()) + 1
    shop.apply_beside("v2")
    shop.wait_for("v2", "Waiting")
    shown = shop.kubectl("get", "releases", "-o", "wide").stdout
    assert "Service web also serves pods of other workloads, so it is not pinned" in shown
    assert shop.endpoints("web") == {"v0", "v1", "v2"}
    shop.finish("v2")
    report = shop.end()
    assert set(report.versions) == {"v0", "v1", "v2"}
    for at in range(second, int(report.answers[-1].start) - 1):
        assert report.share("v0", at, at + 1) > 0.05, f"v0 was cut off at {at}\n{shop.story()}"
    shop.assert_left_as(shop.app.deployment("v2"), neighbour(shop), shared(shop), shop.route)


def test_a_policy_may_refuse_a_shared_service(scene: Callable[..., Scene]) -> None:
    """`onSharedService: Deny`: the release ends before there is a new pod, and says why."""
    shop = scene(
        "httproute", steps=HALF, guardrails={"onSharedService": "Deny"},
        labels={"tier": "front"}, replicas=2,
    )  # fmt: skip
    share_with_neighbour(shop)
    shop.apply_beside("v2")
    shop.wait_for("v2", "Aborted")
    told = shop.told("v2")
    assert told.startswith("SharedService: Service web also serves pods of other workloads"), told
    assert set(shop.end().versions) == {"v0", "v1"}
    shop.assert_left_as(neighbour(shop), shared(shop), shop.route, held=True)


def test_two_deployments_behind_one_service_are_released_at_the_same_time(
    scene: Callable[..., Scene],
) -> None:
    """Pinned for one, it would cut off the other: both go by pods, and no request is lost."""
    shop = scene("httproute", steps=HALF, labels={"tier": "front"}, replicas=2, container=GRACEFUL)
    share_with_neighbour(shop)
    shop.apply_beside("v2")
    beside = shop.app.having(name="old-shop").deployment("v5")
    shop.lab.apply([beside])
    shop.finish("v2")
    shop.finish("v5")
    shop.end()
    shop.wait_pods(v2=2, v5=2)
    shop.assert_left_as(shop.app.deployment("v2"), beside, shared(shop), shop.route)


# Shapes

SHAPES: dict[str, dict[str, Any]] = {
    "headless": {"clusterIP": "None"},
    "NodePort": {"type": "NodePort"},
    "multi-port": {
        "ports": [
            {"name": "http", "port": 80, "targetPort": "http"},
            {"name": "admin", "port": 81, "targetPort": 8080},
        ]
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_services_of_every_shape_are_guarded(scene: Callable[..., Scene], shape: str) -> None:
    """Before its step nobody reaches v2 by any of them, and at the end they are as they were."""
    shop = scene("httproute", steps=HALF)
    extra = service(shop, "extra", **SHAPES[shape])
    routed = shop.second_route("extra", "extra")
    shop.lab.apply([extra, routed])
    shop.until_half("v2")
    assert shop.endpoints("extra") == {"v1"}
    canary = shop.lab.get("services", "extra-canary", shop.namespace)
    ports = [(p["name"], p["port"]) for p in canary["spec"]["ports"]]
    assert ports == [(p["name"], p["port"]) for p in extra["spec"]["ports"]]
    shop.finish("v2")
    shop.end()
    assert shop.endpoints("extra") == {"v2"}
    shop.assert_left_as(*shop.manifests("v2"), extra, routed)


def test_an_external_name_has_no_pods_to_guard(scene: Callable[..., Scene]) -> None:
    """A Service that is an alias stays as it is, and a route to it keeps all of its traffic."""
    shop = scene("httproute", steps=HALF)
    alias = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "alias", "namespace": shop.namespace},
        "spec": {
            "type": "ExternalName",
            "externalName": f"web.{shop.namespace}.svc.cluster.local",
            "selector": {"app": "web"},  # without a meaning here, and some charts have it
            "ports": [{"name": "http", "port": 80, "targetPort": 80}],
        },
    }
    shop.lab.apply([alias])
    was = shop.lab.get("services", "alias", shop.namespace)["spec"]
    shop.until_half("v2")
    assert shop.lab.get("services", "alias", shop.namespace)["spec"] == was
    shop.finish("v2")
    shop.end()
    shop.assert_left_as(*shop.manifests("v2"), alias)
