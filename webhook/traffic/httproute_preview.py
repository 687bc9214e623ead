"""A second HTTPRoute, owned by Slipway: the user's, under another host, with the new version.

All rules are there, so that what is looked at is the whole site; only the split Services are
exchanged. It stands in the namespace of the user's route, and so only for Services of that one:
an owner can't be in another namespace.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from webhook import names
from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.projection.fields import annotations, labels
from webhook.traffic.contract import Objects
from webhook.traffic.gateway_features import gateways
from webhook.traffic.httproute_parts import backends_of, key_in, rules_of
from webhook.traffic.splits import home_of


def previews(users: Object, shares: Mapping[str, Share], owner: Object) -> list[Object]:
    """The preview routes beside a user's route: one for each host that its shares name."""
    hosts: dict[str, dict[str, str]] = {}
    for key, share in sorted(shares.items()):
        if share.preview and "/" not in key:
            hosts.setdefault(share.preview, {})[key] = share.canary
    return [_preview(users, host, canaries, owner) for host, canaries in hosts.items()]


def is_preview(route: Object) -> bool:
    """Whether Slipway made this route."""
    return names.CANARY_OF in labels(route) and names.PRIMARY_ROUTE in annotations(route)


def stands_beside(preview: Object, route: Object) -> bool:
    """Whether this is a preview of the user's route."""
    return (
        is_preview(preview)
        and home_of(preview) == home_of(route)
        and annotations(preview)[names.PRIMARY_ROUTE] == route["metadata"]["name"]
    )


def roots_of(preview: Object) -> frozenset[str]:
    """The Services that are exchanged in it."""
    return frozenset(str(annotations(preview).get(names.ROOT_SERVICE, "")).split(","))


def host_of(preview: Object) -> str:
    """The host under which it shows the new version."""
    hosts = (preview.get("spec") or {}).get("hostnames") or [""]
    return str(hosts[0])


def no_preview(objects: Objects, route: Object, host: str) -> str | None:
    """Why a host can't show the new version beside this route."""
    if host in ((route.get("spec") or {}).get("hostnames") or []):
        return f"{host} is one of its own hosts"
    for parent in (route.get("spec") or {}).get("parentRefs") or []:
        if parent.get("kind") == "Service":
            return f"its parent Service {parent.get('name')} has no hosts of its own"
    for parent, gateway in gateways(objects, route):
        listeners = (gateway.get("spec") or {}).get("listeners") or []
        if not any(_takes(listener, parent, host) for listener in listeners):
            return f"no listener of Gateway {gateway['metadata']['name']} takes {host}"
    return None


def _preview(users: Object, host: str, canaries: Mapping[str, str], owner: Object) -> Object:
    meta, home = users["metadata"], home_of(users)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": _name(meta["name"], host),
            "namespace": home,
            "labels": {names.CANARY_OF: meta["name"][:63].rstrip("-.")},
            "annotations": {
                names.PRIMARY_ROUTE: meta["name"],
                names.ROOT_SERVICE: ",".join(sorted(canaries)),
            },
            "ownerReferences": [owner],
        },
        "spec": {
            "parentRefs": users["spec"].get("parentRefs") or [],
            "hostnames": [host],
            "rules": [_exchanged(rule, canaries, home) for rule in rules_of(users)],
        },
    }


def _name(route: str, host: str) -> str:
    """At most 253 characters; another one for each pair."""
    digest = hashlib.blake2s(f"{route}/{host}".encode(), digest_size=4).hexdigest()
    return f"{route[:230].rstrip('.-')}-preview-{digest}"


def _exchanged(rule: Any, canaries: Mapping[str, str], home: str) -> Any:
    refs = backends_of(rule)
    if not any(key_in(ref, home) in canaries for ref in refs):
        return rule
    return {**rule, "backendRefs": list(_canaries(refs, canaries, home))}


def _canaries(refs: Iterable[Any], canaries: Mapping[str, str], home: str) -> Iterable[Any]:
    for ref in refs:
        canary = canaries.get(key_in(ref, home) or "")
        yield {**ref, "name": canary} if canary else ref


def _takes(listener: Any, parent: Any, host: str) -> bool:
    if parent.get("sectionName") not in (None, listener.get("name")):
        return False
    if parent.get("port") not in (None, listener.get("port")):
        return False
    wanted = str(listener.get("hostname") or "")
    return wanted in ("", host) or (wanted.startswith("*.") and host.endswith(wanted[1:]))
