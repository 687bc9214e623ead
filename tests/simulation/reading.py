"""Reads Slipway's marks off stored objects, on its own and not by the code under test."""

from __future__ import annotations

import json
from typing import Any

from tests.simulation.api_server import ApiServer, owners
from tests.simulation.patches import Object
from webhook import names
from webhook.cluster.kinds import CLUSTERRELEASEPOLICIES, RELEASES

FINISHED = frozenset({"Succeeded", "Aborted", "Superseded", "RolledBack"})


def notes(obj: Object | None) -> dict[str, str]:
    return (obj["metadata"].get("annotations") or {}) if obj else {}


def status_of(obj: Object | None) -> dict[str, Any]:
    return (obj.get("status") or {}) if obj else {}


def hold_text(obj: Object | None) -> str | None:
    return notes(obj).get(names.HOLD)


def aborted(obj: Object) -> bool:
    """Whether a Deployment is held because its version was taken back."""
    text = hold_text(obj)
    return bool(text) and bool(json.loads(text or "{}").get("aborted"))


def running_release(api: ApiServer, deployment: Object) -> Object | None:
    """The Release in flight of a Deployment."""
    uid = deployment["metadata"]["uid"]
    mine = [
        r
        for r in api.all(RELEASES)
        if uid in owners(r) and status_of(r).get("phase", "Pending") not in FINISHED
    ]
    return mine[-1] if mine else None


def wanted_policy(api: ApiServer) -> Object | None:
    """The policy that guards Deployments, if there is one."""
    found = api.find(CLUSTERRELEASEPOLICIES, "", "default")
    if found is None or "none" in ((found.get("spec") or {}).get("strategy") or {}):
        return None
    return found


def shares_in(obj: Object | None) -> dict[str, int]:
    """Percent by root Service that a route or canary Ingress gives to the new version."""
    text = notes(obj).get(names.SPLIT)
    if text:
        return {root: share["weight"] for root, share in json.loads(text)["shares"].items()}
    weight = notes(obj).get("nginx.ingress.kubernetes.io/canary-weight")
    return {notes(obj).get(names.ROOT_SERVICE, ""): int(weight)} if weight else {}
