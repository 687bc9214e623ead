"""A second Ingress, owned by Slipway: the user's, under another host, with the new version."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from webhook import names
from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.projection.fields import annotations

PREFIX: Final = "nginx.ingress.kubernetes.io/"
CLASS: Final = "kubernetes.io/ingress.class"

_OF_THE_HOST: Final = frozenset({PREFIX + "server-alias", PREFIX + "from-to-www-redirect"})
"""Annotations that claim other hosts: they stay with the user's Ingress."""


def copied(primary: Object) -> dict[str, str]:
    """Annotations that shape requests, so that both versions are served alike."""
    return {
        key: value
        for key, value in annotations(primary).items()
        if key == CLASS or (key.startswith(PREFIX) and not key.startswith(PREFIX + "canary"))
    }


def service_name(backend: Any) -> str | None:
    """The Service of a backend; None for a resource."""
    service = backend.get("service") if isinstance(backend, dict) else None
    return service.get("name") if isinstance(service, dict) else None


def sent_to(backend: Object, service: str) -> Object:
    """The backend with another Service."""
    return {**backend, "service": {**backend["service"], "name": service}}


def previews(primary: Object, shares: Mapping[str, Share], owner: Object) -> list[Object]:
    """The preview Ingresses beside a user's: one for each host that its shares name."""
    hosts: dict[str, dict[str, str]] = {}
    for root, share in sorted(shares.items()):
        if share.preview:
            hosts.setdefault(share.preview, {})[root] = share.canary
    return [_preview(primary, host, canaries, owner) for host, canaries in hosts.items()]


def no_preview(primary: Object, host: str) -> str | None:
    """Why a host can't show the new version beside this Ingress."""
    rules = (primary.get("spec") or {}).get("rules") or []
    if any(rule.get("host") == host for rule in rules):
        return f"{host} is one of its own hosts"
    return None


def host_of(preview: Object) -> str:
    """The host under which it shows the new version."""
    rules = (preview.get("spec") or {}).get("rules") or [{}]
    return str(rules[0].get("host", ""))


def _preview(primary: Object, host: str, canaries: Mapping[str, str], owner: Object) -> Object:
    meta, spec = primary["metadata"], primary["spec"]
    kept = {key: value for key, value in copied(primary).items() if key not in _OF_THE_HOST}
    rule = {"host": host, "http": {"paths": list(_paths(spec, canaries))}}
    wanted: Object = {"rules": [rule]}
    if spec.get("ingressClassName"):
        wanted["ingressClassName"] = spec["ingressClassName"]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": _name(meta["name"], host),
            "namespace": meta["namespace"],
            "labels": {names.CANARY_OF: meta["name"][:63].rstrip("-.")},
            "annotations": {
                **kept,
                names.ROOT_SERVICE: ",".join(sorted(canaries)),
                names.PRIMARY_INGRESS: meta["name"],
            },
            "ownerReferences": [owner],
        },
        "spec": wanted,
    }


def _name(ingress: str, host: str) -> str:
    """At most 253 characters; another one for each pair."""
    digest = hashlib.blake2s(f"{ingress}/{host}".encode(), digest_size=4).hexdigest()
    return f"{ingress[:230].rstrip('.-')}-preview-{digest}"


def _paths(spec: Object, canaries: Mapping[str, str]) -> Iterable[Object]:
    """The paths of all hosts; where two have the same one, the first."""
    there = set()
    default = {"path": "/", "pathType": "Prefix", "backend": spec.get("defaultBackend")}
    of_rules = [
        path for r in spec.get("rules") or [] for path in (r.get("http") or {}).get("paths") or []
    ]
    for path in [*of_rules, *([default] if default["backend"] else [])]:
        key = (path.get("path"), path.get("pathType"))
        if key in there:
            continue
        there.add(key)
        canary = canaries.get(service_name(path.get("backend")) or "")
        yield {**path, "backend": sent_to(path["backend"], canary)} if canary else path
