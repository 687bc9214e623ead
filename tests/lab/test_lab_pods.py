"""Pods of a lab behave as a kubelet makes them, towards the API and on the wire."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.api import Object
from lab.cluster import Lab
from lab.errors import ApiError
from lab.shop import Shop, is_ready

pytestmark = pytest.mark.e2e

READINESS = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}


def test_a_pod_is_a_real_server_at_its_own_address(lab: Lab, shop: Callable[..., Shop]) -> None:
    """Each pod of a Deployment has an address of its own and answers there with its version."""
    app = shop(replicas=3)
    app.wait_rolled_out()
    pods = app.pods()
    addresses = {pod["status"]["podIP"] for pod in pods}
    assert len(addresses) == 3
    for pod in pods:
        answer = lab.http("GET", pod["status"]["podIP"], 8080, "/")
        assert answer == f'{{"version":"v1","pod":"{pod["metadata"]["name"]}"}}'


def test_a_pod_that_never_says_ready_never_becomes_ready(
    lab: Lab, shop: Callable[..., Shop]
) -> None:
    """READY=false keeps the endpoint out of the Service while the server itself answers."""
    app = shop(env={"READY": "false"}, container={"readinessProbe": READINESS})
    pod = _running(lab, app)
    with pytest.raises(ApiError, match="503"):
        lab.http("GET", pod["status"]["podIP"], 8080, "/ready")
    assert lab.http("GET", pod["status"]["podIP"], 8080, "/")
    assert not is_ready(app.pod())


def test_readiness_follows_the_probe_of_the_spec(lab: Lab, shop: Callable[..., Shop]) -> None:
    """A pod turns unready after failureThreshold probes and ready again when it says so."""
    app = shop(container={"readinessProbe": READINESS | {"failureThreshold": 2}})
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready")
    name = app.pod()["metadata"]["name"]
    asked = time.monotonic()
    lab.set_ready(app.namespace, name, False)
    lab.wait(lambda: not is_ready(app.pod()), 10, "the pod to be unready")
    assert time.monotonic() - asked >= 0.9, "one failed probe is not yet enough"
    lab.set_ready(app.namespace, name, True)
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready again")


def test_a_slow_start_delays_readiness(lab: Lab, shop: Callable[..., Shop]) -> None:
    """With START_MS the container runs, but nothing listens and the pod is not ready."""
    app = shop(env={"START_MS": "1500"})
    pod = _running(lab, app)
    with pytest.raises(OSError):  # noqa: PT011  # refused, whatever the system calls it
        lab.http("GET", pod["status"]["podIP"], 8080, "/")
    assert not is_ready(pod)
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready")


def test_a_readiness_gate_keeps_a_pod_unready_until_its_condition_is_true(
    lab: Lab, shop: Callable[..., Shop]
) -> None:
    """The containers are ready first; the pod only when somebody opens the gate."""
    gate = "example.com/open"
    app = shop(pod={"readinessGates": [{"conditionType": gate}]})
    lab.wait(
        lambda: app.conditions().get("ContainersReady") == "True", 10, "the containers to be ready"
    )
    assert not is_ready(app.pod())
    body = {"status": {"conditions": [{"type": gate, "status": "True"}]}}
    path = lab.api.path("pods", app.namespace, app.pod()["metadata"]["name"]) + "/status"
    lab.api.request("PATCH", path, body, "application/strategic-merge-patch+json")
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready")


def test_a_crash_restarts_the_container_in_place(lab: Lab, shop: Callable[..., Shop]) -> None:
    """The pod stays, is not ready meanwhile, and counts the restart."""
    app = shop()
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready")
    before = app.pod()
    lab.crash(app.namespace, before["metadata"]["name"], down=1.5)
    crashed = lab.wait(lambda: not is_ready(p := app.pod()) and p, 5, "the pod to be unready")
    assert crashed["status"]["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "CrashLoopBackOff"
    }
    with pytest.raises(OSError):  # noqa: PT011  # refused, whatever the system calls it
        lab.http("GET", before["status"]["podIP"], 8080, "/")
    after = lab.wait(lambda: is_ready(p := app.pod()) and p, 10, "the pod to be ready again")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_pod_that_crashes_after_a_while_says_so_in_its_status(
    lab: Lab, shop: Callable[..., Shop]
) -> None:
    """CRASH_AFTER_S gives the crash loop of a broken version."""
    app = shop(env={"CRASH_AFTER_S": "0.2"})

    def restarts() -> int:
        statuses = app.pod().get("status", {}).get("containerStatuses", [{"restartCount": 0}])
        return int(statuses[0]["restartCount"])

    lab.wait(lambda: restarts() >= 2, 15, "two restarts")


def test_an_image_that_does_not_exist_is_never_started(lab: Lab, shop: Callable[..., Shop]) -> None:
    """An image named `missing` gives ImagePullBackOff."""
    app = shop(image="registry.example/missing:v3")

    def reason() -> object:
        (seen,) = app.pod()["status"]["containerStatuses"]
        return seen["state"].get("waiting", {}).get("reason")

    lab.wait(lambda: reason() == "ImagePullBackOff", 10, "the image not to be found")
    assert app.pod()["status"]["phase"] == "Pending"


def test_a_pod_that_no_node_takes_says_so(lab: Lab, shop: Callable[..., Shop]) -> None:
    """As a scheduler does: condition PodScheduled, reason Unschedulable, and no address."""
    app = shop(pod={"nodeSelector": {"disk": "none"}})
    lab.wait(lambda: app.conditions().get("PodScheduled") == "False", 10, "the pod to be refused")
    status = app.pod()["status"]
    (condition,) = status["conditions"]
    assert condition["reason"] == "Unschedulable"
    assert "0/1 nodes are available" in condition["message"]
    assert status["phase"] == "Pending"
    assert "podIP" not in status


def test_a_deleted_pod_serves_through_its_prestop_and_then_refuses(
    lab: Lab, shop: Callable[..., Shop]
) -> None:
    """While preStop sleeps the pod answers, is terminating and still Ready; then it is gone."""
    app = shop(container={"lifecycle": {"preStop": {"sleep": {"seconds": 2}}}})
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready")
    pod = app.pod()
    name, address = pod["metadata"]["name"], pod["status"]["podIP"]
    lab.kubectl("delete", "pod", name, f"--namespace={app.namespace}", "--wait=false")
    deleted = time.monotonic()
    terminating = lab.get("pods", name, app.namespace)
    assert terminating["metadata"]["deletionTimestamp"]
    assert is_ready(terminating)
    assert lab.http("GET", address, 8080, "/")
    lab.wait(lambda: _refuses(lab, address), 10, "the pod to refuse connections")
    assert time.monotonic() - deleted >= 1.5
    lab.wait(lambda: lab.find("pods", name, app.namespace) is None, 10, "the pod to be removed")


def test_what_is_in_flight_when_a_pod_ends_is_finished(lab: Lab, shop: Callable[..., Shop]) -> None:
    """On SIGTERM the listener closes at once; a slow request that had begun gets its answer."""
    app = shop(env={"LATENCY_MS": "1500"})
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready")
    pod = app.pod()
    address = pod["status"]["podIP"]
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lab.fetch, "GET", address, 8080, "/")
        lab.wait(lambda: _connections(lab, address) > 0, 5, "the request to be in flight")
        lab.kubectl(
            "delete", "pod", pod["metadata"]["name"], f"--namespace={app.namespace}", "--wait=false"
        )
        lab.wait(lambda: _refuses(lab, address), 1.2, "the pod to refuse connections")
        assert slow.result(10).status == 200


def test_a_killed_pod_refuses_at_once(lab: Lab, shop: Callable[..., Shop]) -> None:
    """A forced deletion is a lost pod: no grace, and another one takes its place."""
    app = shop(container={"lifecycle": {"preStop": {"sleep": {"seconds": 20}}}})
    lab.wait(lambda: is_ready(app.pod()), 10, "the pod to be ready")
    pod = app.pod()
    lab.kubectl(
        "delete",
        "pod",
        pod["metadata"]["name"],
        f"--namespace={app.namespace}",
        "--force",
        "--grace-period=0",
    )
    lab.wait(lambda: _refuses(lab, pod["status"]["podIP"]), 3, "the pod to refuse connections")
    lab.wait(lambda: is_ready(app.pod()), 10, "another pod to be ready")
    assert app.pod()["metadata"]["uid"] != pod["metadata"]["uid"]


def test_a_hundred_pods_are_ready_within_seconds(lab: Lab, shop: Callable[..., Shop]) -> None:
    """One node process carries far more pods than a test needs."""
    app = shop(replicas=100)
    lab.wait(lambda: sum(map(is_ready, app.pods())) == 100, 30, "100 ready pods")


def _running(lab: Lab, app: Shop) -> Object:
    def running() -> Object | None:
        pod = app.pod()
        return pod if pod.get("status", {}).get("phase") == "Running" else None

    pod = lab.wait(running, 10, "the pod to run")
    assert pod is not None
    return pod


def _refuses(lab: Lab, address: str) -> bool:
    """Whether a new connection is refused; one that stays open and silent is not."""
    with lab.network.connect(address, 8080, timeout=0.2) as connection:
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def _connections(lab: Lab, address: str) -> int:
    listing = lab.run(["ss", "-Htn", "state", "established", "src", address]).stdout
    return len(listing.splitlines())
