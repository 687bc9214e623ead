"""The canary Service: the root Service once more, but for the new ReplicaSet's pods only."""

from typing import Any, Final

from webhook import names
from webhook.objects.raw import Object
from webhook.projection.service import users_service

_COPIED: Final = (
    "sessionAffinity",
    "sessionAffinityConfig",
    "ipFamilies",
    "ipFamilyPolicy",
    "publishNotReadyAddresses",
    "trafficDistribution",
)
_PORT: Final = ("name", "port", "targetPort", "protocol", "appProtocol")


def canary_service(root: Object, name: str, hash_: str, owner: Object, term: int = 0) -> Object:
    """The whole object. A NodePort or LoadBalancer root gets a plain cluster-internal canary.

    ``owner`` is the Deployment's ``ownerReferences`` entry: the object goes with it. ``term`` is
    the leader's, so that no older one deletes it.
    """
    spec = users_service(root)["spec"]
    wanted: dict[str, Any] = {key: spec[key] for key in _COPIED if key in spec}
    if spec.get("clusterIP") == "None":
        wanted["clusterIP"] = "None"
    wanted["selector"] = {**spec["selector"], names.POD_TEMPLATE_HASH: hash_}
    wanted["ports"] = [
        {key: port[key] for key in _PORT if key in port} for port in spec.get("ports") or []
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": root["metadata"]["namespace"],
            "labels": {names.CANARY_OF: root["metadata"]["name"]},
            "annotations": {names.ROOT_SERVICE: root["metadata"]["name"], names.TERM: str(term)},
            "ownerReferences": [owner],
        },
        "spec": wanted,
    }
