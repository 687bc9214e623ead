"""Record real reviews: ``python -m bench.record`` writes ``bench/reviews/*.json``.

A lab's API server is told to ask a webhook that lets everything pass and keeps what it was
sent; then kubectl applies, changes and annotates objects of three sizes.
"""

import base64
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from lab.cluster import Lab

REVIEWS: Final = Path(__file__).parent / "reviews"
PORT: Final = 19443

_SIZES: Final = {"medium": (1, 0), "large": (3, 46)}
"""Containers, and environment variables in each."""


def main() -> None:
    """Record one review of each size and purpose."""
    with Lab.start() as lab, TemporaryDirectory() as folder:
        taken = Path(folder)
        lab.spawn("recorder", [sys.executable, "-m", "bench.recorder", folder, str(PORT)])
        authority = taken / "ca.pem"
        lab.wait(authority.exists, 20, "the recorder")
        lab.apply(webhook_configuration(authority.read_bytes()))
        record_service(lab, taken)
        for size, (containers, settings) in _SIZES.items():
            record_deployment(lab, taken, size, containers, settings)


def record_service(lab: Lab, taken: Path) -> None:
    """The smallest thing that Slipway is asked about."""
    namespace = lab.namespace("shop")
    lab.apply(service(), namespace=namespace)
    save("small", newest(taken, "Service-CREATE"))


def record_deployment(lab: Lab, taken: Path, size: str, containers: int, settings: int) -> None:
    """A write that starts a release, and one that leaves the template alone."""
    namespace = lab.namespace("shop")
    lab.apply(deployment(containers, settings, "v1"), "--server-side", namespace=namespace)
    lab.wait(lambda: settled(lab, namespace), 60, "the pods")
    lab.apply(deployment(containers, settings, "v2"), "--server-side", namespace=namespace)
    save(f"{size}-release", newest(taken, "Deployment-UPDATE"))
    lab.kubectl("annotate", "deployment", "shop", "owner=jane", f"--namespace={namespace}")
    save(f"{size}-annotate", newest(taken, "Deployment-UPDATE"))


def settled(lab: Lab, namespace: str) -> bool:
    """Whether the Deployment's status is complete, so that reviews have their usual size."""
    status = lab.get("deployments", "shop", namespace).get("status", {})
    return bool(status.get("availableReplicas") == 2 and status.get("observedGeneration"))


def newest(folder: Path, ending: str) -> Path:
    """The review that came last; the write that it was for has already been answered."""
    return max(folder.glob(f"*-{ending}.json"))


def save(name: str, source: Path) -> None:
    """Keep a review as it came, byte for byte."""
    body = source.read_bytes()
    (REVIEWS / f"{name}.json").write_bytes(body)
    operation = orjson.loads(body)["request"]["operation"]
    print(f"{name}: {operation}, {len(body)} bytes")


def deployment(containers: int, settings: int, version: str) -> dict[str, Any]:
    """An ordinary Deployment, as a team's chart would make it."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "shop",
            "labels": {"app.kubernetes.io/name": "shop", "app.kubernetes.io/part-of": "market"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/name": "shop"}},
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "shop"}},
                "spec": {
                    "containers": [
                        container(number, settings, version) for number in range(containers)
                    ]
                },
            },
        },
    }


def service() -> dict[str, Any]:
    """The Service in front of it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop", "labels": {"app.kubernetes.io/name": "shop"}},
        "spec": {
            "selector": {"app.kubernetes.io/name": "shop"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


def container(number: int, settings: int, version: str) -> dict[str, Any]:
    """One container with probes, resources and settings."""
    return {
        "name": f"part-{number}",
        "image": f"shop:{version}",
        "ports": [{"name": f"http-{number}", "containerPort": 8080 + number}],
        "env": [
            {"name": f"SHOP_SETTING_{key}", "value": f"https://backend-{key}.market.svc/api"}
            for key in range(settings)
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        },
        **({"readinessProbe": {"httpGet": {"path": "/", "port": 8080}}} if settings else {}),
    }


def webhook_configuration(authority: bytes) -> dict[str, Any]:
    """Send every write of a Deployment or a Service to the recorder."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "recorder"},
        "webhooks": [
            {
                "name": "recorder.slipway.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "matchPolicy": "Equivalent",
                "failurePolicy": "Fail",
                "timeoutSeconds": 5,
                "clientConfig": {
                    "url": f"https://127.0.0.1:{PORT}/mutate",
                    "caBundle": base64.b64encode(authority).decode(),
                },
                "rules": [
                    {
                        "apiGroups": ["apps", ""],
                        "apiVersions": ["v1"],
                        "resources": ["deployments", "services"],
                        "operations": ["CREATE", "UPDATE"],
                    }
                ],
            }
        ],
    }


if __name__ == "__main__":
    main()
