"""What people and native tools read of a release: Events, and the Deployment's own condition."""

import uuid
from datetime import UTC, datetime

from webhook.cluster.kinds import Object
from webhook.release.actions import Announce

CONTROLLER = "slipway.dev/reconciler"


def event_object(deployment: Object, news: Announce, instance: str) -> Object:
    """An ``events.k8s.io/v1`` Event on the Deployment; the note is cut to the API's 1 kB."""
    meta = deployment["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{meta['name'][:200]}.{uuid.uuid4().hex[:16]}",
            "namespace": meta["namespace"],
        },
        "eventTime": _micro(),
        "type": news.type,
        "reason": news.reason[:128],
        "action": "Release",
        "note": news.message[:1000],
        "regarding": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
    }


def failed_condition(message: str) -> Object:
    """The condition that makes ``kubectl rollout status`` exit 1.

    kubectl, Flux, Argo CD and Helm read ``Progressing`` with this reason as a failed rollout.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": f"slipway took the release back: {message}",
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    }


def _micro() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
