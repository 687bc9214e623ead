"""How a container's environment becomes its behaviour, and its behaviour a pod's status."""

import math
from typing import Any

import pytest

from lab.kubelet import behaviour
from lab.kubelet.status import ContainerSeen, differs, pod_status

NOW = "2026-01-02T03:04:05Z"
BEFORE = "2026-01-01T00:00:00Z"


def test_a_container_without_settings_is_a_healthy_server() -> None:
    """The version is the image's tag, the port 8080."""
    plain = behaviour.read({"name": "app", "image": "registry.example:5000/shop:v7"}, first=True)
    assert (plain.version, plain.ports) == ("v7", (8080,))
    assert plain.ready(0.0)
    assert plain.error_rate == 0
    assert math.isinf(plain.crash_after)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("shop", "latest"),
        ("shop:v1@sha256:0123456789abcdef", "v1"),
        ("shop@sha256:0123456789abcdef", "0123456789ab"),
        ("registry.example:5000/shop", "latest"),
    ],
)
def test_the_version_comes_from_the_image(image: str, version: str) -> None:
    """Tag first, then digest; a registry's port is no tag."""
    assert behaviour.read({"name": "app", "image": image}, first=True).version == version


def test_the_environment_sets_the_behaviour() -> None:
    """Milliseconds become seconds; a value that is no number is as good as none."""
    read = _read(
        APP_VERSION="blue", ERROR_RATE="0.2", LATENCY_MS="30", START_MS="2000", DRAIN_MS="500",
        CRASH_AFTER_S="soon",
    )  # fmt: skip
    assert (read.version, read.error_rate, read.latency) == ("blue", 0.2, 0.03)
    assert (read.start_after, read.drain) == (2.0, 0.5)
    assert math.isinf(read.crash_after)


@pytest.mark.parametrize(
    ("ready", "at_0", "at_5", "at_9"),
    [
        ("true", True, True, True),
        ("false", False, False, False),
        ("after:5", False, True, True),
        ("until:5", True, False, False),
    ],
)
def test_readiness_may_turn_with_time(ready: str, at_0: bool, at_5: bool, at_9: bool) -> None:
    """READY counts from when the server listens."""
    read = _read(READY=ready)
    assert (read.ready(0), read.ready(5), read.ready(9)) == (at_0, at_5, at_9)


def test_a_second_container_without_ports_listens_on_nothing() -> None:
    """Sidecars do not take the application's port."""
    assert behaviour.read({"name": "sidecar"}, first=False).ports == ()


def test_an_image_named_missing_cannot_be_pulled() -> None:
    """Only the name counts, not a part of it."""
    assert not behaviour.read(
        {"name": "a", "image": "registry.example/missing:v1"}, first=True
    ).pullable
    assert behaviour.read({"name": "a", "image": "missing-links:v1"}, first=True).pullable


def test_a_condition_keeps_the_time_at_which_it_turned() -> None:
    """Only what changes gets a new transition time."""
    known = [
        {"type": "Ready", "status": "False", "lastTransitionTime": BEFORE},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": BEFORE},
    ]
    status = pod_status(_pod(conditions=known), "10.244.1.1", [_seen(ready=True)], NOW)
    times = {c["type"]: c["lastTransitionTime"] for c in status["conditions"]}
    assert times["Ready"] == NOW
    assert times["PodScheduled"] == BEFORE


def test_a_status_is_written_only_if_it_says_something_new() -> None:
    """Conditions that others wrote are no reason to write."""
    pod = _pod()
    status = pod_status(pod, "10.244.1.1", [_seen(ready=True)], NOW)
    assert differs(pod, status)
    pod["status"] = status | {
        "conditions": [*status["conditions"], {"type": "x", "status": "True"}]
    }
    assert not differs(pod, status)


def test_a_pod_that_ended_is_not_ready_and_has_a_final_phase() -> None:
    """After SIGTERM: Succeeded, all conditions of readiness False."""
    status = pod_status(_pod(), "10.244.1.1", [_seen(running=False)], NOW)
    assert status["phase"] == "Succeeded"
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "False"


def _read(**env: str) -> behaviour.Behaviour:
    items = [{"name": name, "value": value} for name, value in env.items()]
    return behaviour.read({"name": "app", "image": "shop:v1", "env": items}, first=True)


def _pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"generation": 1}, "spec": {}, "status": status}


def _seen(*, running: bool = True, ready: bool = False) -> ContainerSeen:
    return ContainerSeen("app", "shop:v1", running, ready, restarts=0, since=NOW)
