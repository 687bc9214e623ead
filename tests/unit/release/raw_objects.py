"""ReplicaSets, pods, slices and Releases as the API server sends them."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tests.strategies import NAMESPACE, Object, deployment, template
from webhook import names
from webhook.objects.intent import Hold
from webhook.objects.policy import Traffic
from webhook.objects.release import (
    DeploymentRef,
    Phase,
    PolicyRef,
    Release,
    ReleaseSpec,
    ReleaseStatus,
    StableRef,
)
from webhook.objects.strategy import Canary, Strategy
from webhook.projection.deployment import project_hold
from webhook.projection.fields import annotate
from webhook.projection.template import stable_from

UID = "uid-web"


def live(image: str = "web:v2", hold: Hold | None = None, **spec: Any) -> Object:
    """The Deployment ``web`` in the cluster; held, it protects ``web:v1``."""
    obj = deployment(image, **spec)
    obj["metadata"] |= {"uid": UID, "generation": 7}
    obj["status"] = {"observedGeneration": 7}
    if hold:
        known = stable_from(template("web:v1")).text()
        obj = project_hold(annotate(obj, {names.STABLE: known}), hold)
    return obj


def replicaset(
    version: str, *, replicas: int = 3, revision: int = 1, owner: str = UID, suffix: str = ""
) -> Object:
    """The ReplicaSet of ``web:<version>``."""
    made = deepcopy(template(f"web:{version}"))
    hash_ = f"h-{version}{suffix}"
    made["metadata"]["labels"][names.POD_TEMPLATE_HASH] = hash_
    return {
        "metadata": {
            "name": f"web-{hash_}",
            "namespace": NAMESPACE,
            "uid": f"uid-{hash_}",
            "labels": {"app": "web", names.POD_TEMPLATE_HASH: hash_},
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"kind": "Deployment", "uid": owner, "controller": True}],
        },
        "spec": {"replicas": replicas, "template": made},
    }


def pod(name: str, version: str = "v1", *, ready: str = "True", **more: Any) -> Object:
    """A pod of that version's ReplicaSet, ready a minute after it started."""
    meta: Object = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "labels": {"app": "web", names.POD_TEMPLATE_HASH: f"h-{version}"},
        "ownerReferences": [{"kind": "ReplicaSet", "uid": f"uid-h-{version}", "controller": True}],
    }
    if more.get("ending"):
        meta["deletionTimestamp"] = "2026-10-01T12:00:00Z"
    if track := more.get("track"):
        meta["labels"][names.TRACK] = track
    changed = more.get("changed", "2026-10-01T11:01:00Z")
    return {
        "metadata": meta,
        "status": {
            "phase": more.get("phase", "Running"),
            "startTime": more.get("started", "2026-10-01T11:00:00Z"),
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": changed}],
        },
    }


def slice_of(service: str, *endpoints: tuple[str, dict[str, bool]]) -> Object:
    """An EndpointSlice with (pod, conditions) pairs."""
    return {
        "metadata": {
            "name": f"{service}-1",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": service},
        },
        "endpoints": [
            {"targetRef": {"kind": "Pod", "uid": f"uid-{name}"}, "conditions": conditions}
            for name, conditions in endpoints
        ],
    }


def release(
    name: str,
    phase: Phase = Phase.SCALING,
    *,
    stable: str = "h-v1",
    uid: str = UID,
    day: int | None = 1,
) -> Release:
    """A Release of ``web`` that started on a day of October."""
    started = datetime(2026, 10, day, tzinfo=UTC) if day else None
    return Release(
        name=name,
        namespace=NAMESPACE,
        spec=ReleaseSpec(
            deployment=DeploymentRef("web", uid),
            policy=PolicyRef("ClusterReleasePolicy", "default"),
            version="v2",
            revision="r2",
            pod_labels={"app": "web"},
            stable=StableRef(hash=stable, version="v1", revision="r1"),
            strategy=Strategy(canary=Canary()),
            traffic=Traffic(),
            progress_deadline_seconds=600,
        ),
        status=ReleaseStatus(phase=phase, started_at=started),
    )
