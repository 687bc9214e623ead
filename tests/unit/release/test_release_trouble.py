"""Why a release waits, in the words of Kubernetes: what somebody needs at 3 a.m."""

from typing import Any

import pytest
from raw_objects import live, pod, release, replicaset

from webhook.objects.intent import Hold
from webhook.objects.release import Phase, ReleaseStatus
from webhook.release.checks import canary_ready
from webhook.release.gathered import Raw
from webhook.release.observe import observe, pod_view

STATUS = ReleaseStatus(phase=Phase.SCALING, stage="scale", canary_replicas=2)


def waiting(reason: str) -> dict[str, Any]:
    """A pod of v2 whose container waits."""
    made = pod("web-new", "v2", ready="False", changed="2026-10-01T11:00:00Z")
    made["status"]["containerStatuses"] = [
        {"name": "web", "state": {"waiting": {"reason": reason}}}
    ]
    return made


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff"])
def test_the_reason_says_what_keeps_a_pod_from_getting_ready(reason: str) -> None:
    """As `kubectl get pods` would."""
    deployment = live(hold=Hold(mode="Step", surge=2))
    replicasets = [replicaset("v1"), replicaset("v2", replicas=2, revision=2)]
    seen = observe(Raw(deployment, replicasets, [waiting(reason)], releases=[release("web-7")]))
    assert canary_ready(seen, STATUS) == f"0 of 2 new pods are ready (web-new: {reason})"


def test_a_pod_that_no_node_takes_is_called_unschedulable() -> None:
    """Stuck Pending."""
    made = waiting("ContainerCreating")
    made["status"]["conditions"].append(
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    )
    assert pod_view(made).trouble == "Unschedulable"


def test_a_pod_that_is_just_starting_is_in_no_trouble() -> None:
    """Nothing to worry about yet."""
    assert pod_view(waiting("ContainerCreating")).trouble == ""


def test_a_quota_that_is_used_up_is_named() -> None:
    """The controllers can't make pods at all: ReplicaFailure of the Deployment."""
    deployment = live(hold=Hold(mode="Step", surge=2))
    message = 'pods "web-x" is forbidden: exceeded quota: small'
    deployment["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    ]
    replicasets = [replicaset("v1"), replicaset("v2", replicas=2, revision=2)]
    seen = observe(Raw(deployment, replicasets, releases=[release("web-7")]))
    assert message in str(canary_ready(seen, STATUS))
