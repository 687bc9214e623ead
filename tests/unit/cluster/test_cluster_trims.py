"""What is kept of each kind of object."""

import copy
from typing import Any

import pytest

from webhook.cluster.kinds import DEPLOYMENTS, ENDPOINTSLICES, PODS, REPLICASETS, SERVICES, Kind
from webhook.cluster.trims import trim_for

MANAGED: dict[str, Any] = {"managedFields": [{"manager": "kubectl"}], "resourceVersion": "7"}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": MANAGED
    | {
        "name": "web-1",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"pod-template-hash": "abc"},
        "annotations": {"slipway.dev/version": "v2", "example.com/big": "x" * 100},
        "ownerReferences": [{"uid": "r1"}],
        "generateName": "web-",
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "app"}]},
    "status": {
        "phase": "Running",
        "podIP": "10.244.0.7",
        "hostIP": "10.0.0.1",
        "conditions": [
            {"type": "Ready", "status": "True", "lastProbeTime": None, "message": "long"}
        ],
        "containerStatuses": [
            {
                "name": "app",
                "ready": False,
                "restartCount": 3,
                "image": "web:v2",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "long"}},
            },
            {"name": "side", "ready": True, "restartCount": 0, "state": {"running": {}}},
        ],
    },
}


def test_a_pod_keeps_only_how_it_fares() -> None:
    """Thousands of pods fit in memory because their specs are not kept."""
    assert trim_for(PODS)(POD) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "7",
            "labels": {"pod-template-hash": "abc"},
            "ownerReferences": [{"uid": "r1"}],
            "annotations": {"slipway.dev/version": "v2"},
        },
        "spec": {"nodeName": "n1"},
        "status": {
            "phase": "Running",
            "podIP": "10.244.0.7",
            "hostIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "app",
                    "ready": False,
                    "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                },
                {"name": "side", "ready": True, "restartCount": 0},
            ],
        },
    }


def test_a_replicaset_keeps_its_template_whole() -> None:
    """Templates are compared, value for value."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"env": [{}]}]}}
    kept = trim_for(REPLICASETS)(
        {
            "metadata": {**MANAGED, "annotations": {"deployment.kubernetes.io/revision": "2"}},
            "spec": {"replicas": 3, "selector": {}, "template": template, "minReadySeconds": 5},
            "status": {"readyReplicas": 3},
        }
    )
    assert kept["spec"] == {"replicas": 3, "selector": {}, "template": template}
    assert kept["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2"}
    assert kept["status"] == {"readyReplicas": 3}


def test_an_endpointslice_keeps_addresses_conditions_and_pods() -> None:
    """Nodes and zones are nobody's business here."""
    endpoint = {"addresses": ["10.244.0.7"], "conditions": {"ready": True}}
    endpoint["targetRef"] = {"kind": "Pod", "uid": "u1"}
    slice_ = {"metadata": dict(MANAGED), "addressType": "IPv4", "ports": [{"port": 80}]}
    kept = trim_for(ENDPOINTSLICES)(slice_ | {"endpoints": [endpoint | {"nodeName": "n1"}]})
    assert kept["endpoints"] == [endpoint]
    assert (kept["addressType"], kept["ports"]) == ("IPv4", [{"port": 80}])


def test_other_kinds_lose_only_their_managed_fields() -> None:
    """Last-applied stays: nothing is dropped that was not named."""
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    obj = {"metadata": {**MANAGED, "annotations": annotations}, "spec": {"x": 1}}
    kept = trim_for(SERVICES)(obj)
    assert kept == {
        "metadata": {"resourceVersion": "7", "annotations": annotations},
        "spec": {"x": 1},
    }


@pytest.mark.parametrize("kind", [PODS, REPLICASETS, ENDPOINTSLICES, DEPLOYMENTS])
def test_trimming_changes_nothing_for_the_caller_and_can_be_repeated(kind: Kind) -> None:
    """The answer to a write is still whole in the hands of who wrote; sparse objects pass."""
    before = copy.deepcopy(POD)
    once = trim_for(kind)(POD)
    assert before == POD
    assert trim_for(kind)(once) == once
    assert "managedFields" not in trim_for(kind)({"metadata": dict(MANAGED)})["metadata"]
