"""A pod's status as a kubelet writes it: pure functions of what its containers do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """One container as it is now. ``since`` is an RFC 3339 time; ``state`` starts then."""

    name: str
    image: str
    running: bool
    ready: bool
    restarts: int
    since: str
    exit_code: int = 0
    waiting: str = ""
    """Why it is not running, e.g. ``CrashLoopBackOff``; empty if it ended for good."""


def pod_status(
    pod: Mapping[str, Any], address: str, containers: Sequence[ContainerSeen], now: str
) -> Object:
    """The status to write for a pod at ``address``; times of unchanged conditions are kept."""
    before = pod.get("status", {})
    conditions = _conditions(pod, containers)
    status: Object = {
        "phase": _phase(containers),
        "hostIP": "10.244.0.1",
        "hostIPs": [{"ip": "10.244.0.1"}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": before.get("startTime", now),
        "conditions": [_timed(condition, before, now) for condition in conditions],
        "containerStatuses": [_container(seen) for seen in containers],
    }
    generation = pod["metadata"].get("generation")
    if generation is not None:
        status["observedGeneration"] = generation
    return status


def differs(pod: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether the pod as last seen lacks anything of ``status``."""
    before = pod.get("status", {})
    plain = {key: value for key, value in status.items() if key != "conditions"}
    if any(before.get(key) != value for key, value in plain.items()):
        return True
    known = {condition["type"]: condition for condition in before.get("conditions", ())}
    return any(
        known.get(condition["type"], {}).get("status") != condition["status"]
        for condition in status["conditions"]
    )


def _phase(containers: Sequence[ContainerSeen]) -> str:
    if any(seen.running or seen.waiting for seen in containers):
        started = any(seen.running or seen.restarts for seen in containers)
        return "Running" if started else "Pending"
    return "Failed" if any(seen.exit_code for seen in containers) else "Succeeded"


def _conditions(pod: Mapping[str, Any], containers: Sequence[ContainerSeen]) -> list[Object]:
    all_ready = all(seen.ready for seen in containers)
    closed = _closed_gates(pod)
    not_ready: Object = {"status": "False", "reason": "ContainersNotReady"}
    ready: Object = {"status": "True"} if all_ready and not closed else dict(not_ready)
    if all_ready and closed:
        ready = {"status": "False", "reason": "ReadinessGatesNotReady"}
        ready["message"] = f"corresponding condition is not True: {', '.join(closed)}"
    return [
        {"type": "PodScheduled", "status": "True"},
        {"type": "PodReadyToStartContainers", "status": "True"},
        {"type": "Initialized", "status": "True"},
        {"type": "ContainersReady"} | ({"status": "True"} if all_ready else not_ready),
        {"type": "Ready"} | ready,
    ]


def _closed_gates(pod: Mapping[str, Any]) -> list[str]:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", ())]
    open_gates = {
        condition["type"]
        for condition in pod.get("status", {}).get("conditions", ())
        if condition.get("status") == "True"
    }
    return [gate for gate in gates if gate not in open_gates]


def _timed(condition: Object, before: Mapping[str, Any], now: str) -> Object:
    for known in before.get("conditions", ()):
        same = (known["type"], known["status"]) == (condition["type"], condition["status"])
        if same and known.get("lastTransitionTime"):
            return condition | {"lastTransitionTime": known["lastTransitionTime"]}
    return condition | {"lastTransitionTime": now}


def _container(seen: ContainerSeen) -> Object:
    return {
        "name": seen.name,
        "image": seen.image,
        "imageID": f"lab/{seen.image}",
        "containerID": f"lab://{seen.name}-{seen.restarts}",
        "ready": seen.ready,
        "started": seen.running,
        "restartCount": seen.restarts,
        "state": _state(seen),
    }


def _state(seen: ContainerSeen) -> Object:
    if seen.running:
        return {"running": {"startedAt": seen.since}}
    if seen.waiting:
        return {"waiting": {"reason": seen.waiting}}
    reason = "Error" if seen.exit_code else "Completed"
    return {
        "terminated": {
            "exitCode": seen.exit_code,
            "reason": reason,
            "finishedAt": seen.since,
            "containerID": f"lab://{seen.name}-{seen.restarts}",
        }
    }
