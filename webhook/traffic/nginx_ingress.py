"""Ingress in the nginx canary dialect: a second Ingress, owned by Slipway, carries the weight.

The user's own Ingress is never written. The dialect attaches the canary to the primary's
*backend*, so every host and path that uses the same Service gets its share (seen on Traefik
3.7). Source: ingress-nginx annotations reference, section Canary.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from webhook import names
from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.projection.fields import annotations, labels
from webhook.traffic.contract import Delete, Found, Objects, Put, Router, Target, Write

CONTROLLERS: Final = frozenset({"k8s.io/ingress-nginx"})
"""``IngressClass.spec.controller`` of controllers that speak the dialect."""

_PREFIX: Final = "nginx.ingress.kubernetes.io/"
_CANARY: Final = _PREFIX + "canary"
_WEIGHT: Final = _PREFIX + "canary-weight"
_CLASS: Final = "kubernetes.io/ingress.class"


def speaks_dialect(ingress: Object, controllers: Mapping[str, str]) -> bool:
    """Whether this Ingress's class is served by a controller of the dialect.

    ``controllers`` maps each IngressClass to its ``spec.controller``; a class is named by
    ``spec.ingressClassName``, by the old annotation, or by being the only default, under "".
    """
    spec = ingress.get("spec") or {}
    name = spec.get("ingressClassName") or annotations(ingress).get(_CLASS) or ""
    return controllers.get(name) in CONTROLLERS


def is_canary(ingress: Object) -> bool:
    """Whether this is a canary Ingress, ours or the user's own."""
    return annotations(ingress).get(_CANARY) == "true"


def services_of(ingress: Object) -> frozenset[str]:
    """Names of the Services that the Ingress sends to; all in its own namespace."""
    return frozenset(
        name for backend in _backends(ingress) if (name := _service_name(backend)) is not None
    )


def canary_ingress_name(ingress: str, root: str) -> str:
    """Name of the canary Ingress for one primary and one root Service; at most 253 characters.

    A Service's name has no dot, so that no two pairs have one name.
    """
    return f"{ingress[:180].rstrip('.-')}.{root}-canary"


def canary_ingress(primary: Object, root: str, share: Share, owner: Object) -> Object:
    """The whole canary Ingress: the primary's paths to ``root``, and the weight.

    ``owner`` is the Deployment's ``ownerReferences`` entry: whatever becomes of Slipway, the
    object goes with the Deployment.
    """
    meta, spec = primary["metadata"], primary["spec"]
    copied = {
        key: value
        for key, value in annotations(primary).items()
        if key == _CLASS or (key.startswith(_PREFIX) and not key.startswith(_CANARY))
    }
    if _PREFIX + "affinity" in copied:
        # Otherwise users with a cookie stay on the canary at weight 0.
        copied[_PREFIX + "affinity-canary-behavior"] = "legacy"
    rules = [kept for rule in spec.get("rules") or [] if (kept := _rule_for(rule, root, share))]
    wanted: Object = {"rules": rules} if rules else {}
    if spec.get("ingressClassName"):
        wanted["ingressClassName"] = spec["ingressClassName"]
    if _service_name(spec.get("defaultBackend")) == root:
        wanted["defaultBackend"] = _sent_to(spec["defaultBackend"], share.canary)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": canary_ingress_name(meta["name"], root),
            "namespace": meta["namespace"],
            "labels": {names.CANARY_OF: names_label(meta["name"])},
            "annotations": {
                **copied,
                _CANARY: "true",
                _WEIGHT: str(share.weight),
                names.ROOT_SERVICE: root,
                names.PRIMARY_INGRESS: meta["name"],
            },
            "ownerReferences": [owner],
        },
        "spec": wanted,
    }


def names_label(name: str) -> str:
    """A name as a label value."""
    return name[:63].rstrip("-.")


def shares_of(primary: Object, owned: Iterable[Object]) -> dict[str, Share]:
    """The split that the canary Ingresses beside ``primary`` carry now, by root Service.

    One that does not fit the primary's present rules is left out, so that it is written anew.
    """
    shares: dict[str, Share] = {}
    for canary in owned:
        notes = annotations(canary)
        root = notes.get(names.ROOT_SERVICE, "")
        weight = notes.get(_WEIGHT, "")
        service = next(iter(services_of(canary)), None)
        if notes.get(names.PRIMARY_INGRESS) != primary["metadata"]["name"] or not weight.isdigit():
            continue
        share = Share(canary=service or "", weight=int(weight))
        if is_canary(canary) and canary["spec"] == canary_ingress(primary, root, share, {})["spec"]:
            shares[root] = share
    return shares


def strays_of(primaries: Mapping[str, Object], owned: Iterable[Object]) -> list[str]:
    """Names of canary Ingresses whose primary is gone, or no longer sends to their Service."""
    out = []
    for canary in owned:
        notes = annotations(canary)
        primary = primaries.get(notes.get(names.PRIMARY_INGRESS, ""))
        if primary is None or notes.get(names.ROOT_SERVICE) not in services_of(primary):
            out.append(str(canary["metadata"]["name"]))
    return out


def is_ours(ingress: Object) -> bool:
    """Whether Slipway made this Ingress."""
    return names.CANARY_OF in labels(ingress) and names.PRIMARY_INGRESS in annotations(ingress)


def _rule_for(rule: Any, root: str, share: Share) -> Object | None:
    http = rule.get("http") or {}
    paths = [
        {**path, "backend": _sent_to(path["backend"], share.canary)}
        for path in http.get("paths") or []
        if _service_name(path.get("backend")) == root
    ]
    return {**rule, "http": {**http, "paths": paths}} if paths else None


def _sent_to(backend: Object, service: str) -> Object:
    return {**backend, "service": {**backend["service"], "name": service}}


def _service_name(backend: Any) -> str | None:
    service = backend.get("service") if isinstance(backend, dict) else None
    return service.get("name") if isinstance(service, dict) else None


def _backends(ingress: Object) -> Iterable[Any]:
    spec = ingress.get("spec") or {}
    yield spec.get("defaultBackend")
    for rule in spec.get("rules") or []:
        for path in (rule.get("http") or {}).get("paths") or []:
            yield path.get("backend")


def _controllers(objects: Objects) -> dict[str, str]:
    out: dict[str, str] = {}
    for item in objects.get("IngressClass", ()):
        controller = str((item.get("spec") or {}).get("controller"))
        out[item["metadata"]["name"]] = controller
        if annotations(item).get("ingressclass.kubernetes.io/is-default-class") == "true":
            out[""] = controller
    return out


def _own(objects: Objects, namespace: str) -> list[Object]:
    return [
        item
        for item in objects.get(KIND, ())
        if item["metadata"]["namespace"] == namespace and is_ours(item)
    ]


def _finds(objects: Objects, namespace: str, services: frozenset[str]) -> list[Found]:
    controllers = _controllers(objects)
    return [
        Found(item, roots)
        for item in objects.get(KIND, ())
        if item["metadata"]["namespace"] == namespace
        and not is_canary(item)
        and speaks_dialect(item, controllers)
        and (roots := services_of(item) & services)
    ]


def _shares(objects: Objects, primary: Object, _namespace: str) -> dict[str, Share]:
    return shares_of(primary, _own(objects, primary["metadata"]["namespace"]))


def _strays(objects: Objects, namespace: str, services: frozenset[str]) -> list[str]:
    primaries = {
        item["metadata"]["name"]: item
        for item in objects.get(KIND, ())
        if item["metadata"]["namespace"] == namespace and not is_canary(item)
    }
    mine = [
        c for c in _own(objects, namespace) if annotations(c).get(names.ROOT_SERVICE) in services
    ]
    return strays_of(primaries, mine)


def _writes(
    objects: Objects, primary: Object, shares: Mapping[str, Share], target: Target
) -> list[Write]:
    wanted = [canary_ingress(primary, r, s, target.owner) for r, s in sorted(shares.items())]
    kept = {item["metadata"]["name"] for item in wanted}
    unwanted = [
        item
        for item in _own(objects, primary["metadata"]["namespace"])
        if annotations(item).get(names.PRIMARY_INGRESS) == primary["metadata"]["name"]
        and annotations(item).get(names.ROOT_SERVICE) in target.services
        and item["metadata"]["name"] not in kept
    ]
    return [*(Put(KIND, item) for item in wanted), *(Delete(KIND, item) for item in unwanted)]


KIND: Final = "Ingress"
ROUTER: Final = Router(
    kind=KIND,
    finds=_finds,
    shares=_shares,
    unprogrammed=lambda _ingress: None,
    projected=lambda ingress: ingress,
    strays=_strays,
    writes=_writes,
)
