"""What of an object is the user's, and what is Slipway's or the API server's."""

from lab.api import Object

OURS = "slipway.dev/"
NATIVE = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
LEFTOVERS = frozenset(
    f"{OURS}{key}"
    for key in ("hold", "held-by", "original", "stable", "pin", "split", "canary-of", "track",
                "serves")
)  # fmt: skip
"""Annotations and labels that nothing has at rest."""


def users_part(obj: Object) -> Object:
    """What a user's object says, without what Slipway and kube's own controllers note on it."""
    meta = obj["metadata"]
    notes = {
        key: value
        for key, value in (meta.get("annotations") or {}).items()
        if not key.startswith(OURS) and key not in NATIVE
    }
    spec = obj["spec"]
    if obj.get("kind") == "Deployment":
        spec = _without_keys(spec)
    if obj.get("kind") == "Service":
        spec = _without_addresses(spec)
    return {
        "name": meta["name"],
        "labels": meta.get("labels") or {},
        "annotations": notes,
        "finalizers": meta.get("finalizers") or [],
        "spec": spec,
    }


def _without_keys(spec: Object) -> Object:
    """A Deployment's spec without the version and revision in its template."""
    meta = dict(spec["template"].get("metadata") or {})
    for part in ("labels", "annotations"):
        kept = {k: v for k, v in (meta.pop(part, None) or {}).items() if not k.startswith(OURS)}
        if kept:
            meta[part] = kept
    return {**spec, "template": {**spec["template"], "metadata": meta}}


def _without_addresses(spec: Object) -> Object:
    """A Service's spec without what the API server allots."""
    ports = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec["ports"]]
    kept = {k: v for k, v in spec.items() if k not in ("clusterIP", "clusterIPs")}
    return {**kept, "ports": ports}
