"""What the API server fills in and refuses, for the few fields that matter to a release."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.simulation.patches import Object
from webhook.cluster.kinds import DEPLOYMENTS, HTTPROUTES, SERVICES, Kind


def completed(kind: Kind, obj: Object) -> Object:
    """The object with defaults; the same object where nothing is missing."""
    complete = _COMPLETE.get(kind)
    return complete(obj) if complete else obj


def fault_of(kind: Kind, obj: Object) -> str | None:
    """Why the API server refuses the object; None if it does not."""
    return _fault_of_deployment(obj) if kind is DEPLOYMENTS else None


def _deployment(obj: Object) -> Object:
    spec = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        **obj["spec"],
    }
    strategy = {"type": "RollingUpdate", **(spec.get("strategy") or {})}
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        strategy["rollingUpdate"] = {"maxSurge": "25%", "maxUnavailable": "25%", **rolling}
    spec["strategy"] = strategy
    for field, zero in (("paused", False), ("minReadySeconds", 0)):
        if spec.get(field) == zero:
            spec.pop(field, None)
    return obj if spec == obj["spec"] else {**obj, "spec": spec}


def _service(obj: Object) -> Object:
    spec = {"type": "ClusterIP", "sessionAffinity": "None", **obj["spec"]}
    if spec["type"] != "ExternalName":
        spec["internalTrafficPolicy"] = spec.get("internalTrafficPolicy", "Cluster")
    spec["ports"] = [{"protocol": "TCP", **port} for port in spec.get("ports") or ()]
    return obj if spec == obj["spec"] else {**obj, "spec": spec}


def _route(obj: Object) -> Object:
    rules = [
        {**rule, "backendRefs": [_backend(ref) for ref in rule["backendRefs"]]}
        if "backendRefs" in rule
        else rule
        for rule in obj["spec"].get("rules") or ()
    ]
    if rules == obj["spec"].get("rules"):
        return obj
    return {**obj, "spec": {**obj["spec"], "rules": rules}}


def _backend(ref: Object) -> Object:
    return {"group": "", "kind": "Service", "weight": 1, **ref}


_COMPLETE: Mapping[Kind, Callable[[Object], Object]] = {
    DEPLOYMENTS: _deployment,
    SERVICES: _service,
    HTTPROUTES: _route,
}


def _fault_of_deployment(obj: Object) -> str | None:
    spec = obj["spec"]
    strategy = spec["strategy"]
    if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        return "progressDeadlineSeconds must be greater than minReadySeconds"
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate" and rolling is not None:
        return "rollingUpdate may not be specified when strategy type is Recreate"
    if rolling and str(rolling["maxSurge"]) in "0%" and str(rolling["maxUnavailable"]) in "0%":
        return "maxSurge and maxUnavailable may not both be 0"
    if spec["replicas"] < 0:
        return "replicas must not be negative"
    return None
