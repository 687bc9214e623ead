"""Ingress in the nginx canary dialect: a second Ingress, owned by Slipway, carries the weight.

The user's own Ingress is never written; a preview is a third one (`nginx_preview`). The dialect
attaches the canary to the primary's
*backend*, so every host and path that uses the same Service gets its share (seen on Traefik
3.7). Source: ingress-nginx annotations reference, section Canary.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from webhook import names
from webhook.objects.intent import Share, Split, read_intent
from webhook.objects.raw import Object
from webhook.projection.fields import annotations, labels
from webhook.traffic.contract import Delete, Found, Objects, Put, Router, Target, Write
from webhook.traffic.nginx_conditions import conditions, shown
from webhook.traffic.nginx_preview import (
    CLASS,
    PREFIX,
    copied,
    host_of,
    no_preview,
    previews,
    sent_to,
    service_name,
)
from webhook.traffic.patterns import Inexpressible
from webhook.traffic.splits import home_of

CONTROLLERS: Final = frozenset({"k8s.io/ingress-nginx"})
"""``IngressClass.spec.controller`` of controllers that speak the dialect."""

_CANARY: Final = PREFIX + "canary"
_WEIGHT: Final = PREFIX + "canary-weight"
_AFFINITY: Final = PREFIX + "affinity"


def speaks_dialect(ingress: Object, controllers: Mapping[str, str]) -> bool:
    """Whether this Ingress's class is served by a controller of the dialect.

    ``controllers`` maps each IngressClass to its ``spec.controller``; a class is named by
    ``spec.ingressClassName``, by the old annotation, or by being the only default, under "".
    """
    spec = ingress.get("spec") or {}
    name = spec.get("ingressClassName") or annotations(ingress).get(CLASS) or ""
    return controllers.get(name) in CONTROLLERS


def is_canary(ingress: Object) -> bool:
    """Whether this is a canary Ingress, ours or the user's own."""
    return annotations(ingress).get(_CANARY) == "true"


def services_of(ingress: Object) -> frozenset[str]:
    """Names of the Services that the Ingress sends to; all in its own namespace."""
    return frozenset(
        name for backend in _backends(ingress) if (name := service_name(backend)) is not None
    )


def canary_ingress_name(ingress: str, root: str) -> str:
    """Name of the canary Ingress for one primary and one root Service; at most 253 characters.

    A Service's name has no dot, so that no two pairs have one name.
    """
    return f"{ingress[:180].rstrip('.-')}.{root}-canary"


def canary_ingress(
    primary: Object, root: str, share: Share, owner: Object, term: int = 0
) -> Object:
    """The whole canary Ingress: the primary's paths to ``root``, and the weight.

    ``owner`` is the Deployment's ``ownerReferences`` entry: whatever becomes of Slipway, the
    object goes with the Deployment. ``term`` is the leader's, for fencing.
    """
    meta, spec = primary["metadata"], primary["spec"]
    notes = copied(primary) | {PREFIX + key: value for key, value in shown(share).items()}
    if _AFFINITY in notes:
        # Otherwise users with a cookie stay on the canary at weight 0.
        stays = share.sticky is not None and share.weight > 0
        notes[PREFIX + "affinity-canary-behavior"] = "sticky" if stays else "legacy"
    rules = [kept for rule in spec.get("rules") or [] if (kept := _rule_for(rule, root, share))]
    wanted: Object = {"rules": rules} if rules else {}
    if spec.get("ingressClassName"):
        wanted["ingressClassName"] = spec["ingressClassName"]
    if service_name(spec.get("defaultBackend")) == root:
        wanted["defaultBackend"] = sent_to(spec["defaultBackend"], share.canary)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": canary_ingress_name(meta["name"], root),
            "namespace": meta["namespace"],
            "labels": {names.CANARY_OF: names_label(meta["name"])},
            "annotations": {
                **notes,
                _CANARY: "true",
                _WEIGHT: str(share.weight),
                names.SPLIT: Split(shares={root: share}, term=term).text(),
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

    One that does not fit the primary's present rules is left out, so that it is written anew; so
    is a preview that is not there.
    """
    beside = [item for item in owned if _primary_of(item) == primary["metadata"]["name"]]
    shares = {}
    for canary in filter(is_canary, beside):
        root, share = str(annotations(canary).get(names.ROOT_SERVICE, "")), _share_on(canary)
        if share is None:
            continue
        wanted = canary_ingress(primary, root, share, {})
        if canary["spec"] == wanted["spec"] and _dialect(canary) == _dialect(wanted):
            shares[root] = share
    there = {item["metadata"]["name"]: item["spec"] for item in beside}
    missing = {
        host_of(item)
        for item in previews(primary, shares, {})
        if there.get(item["metadata"]["name"]) != item["spec"]
    }
    return {
        root: replace(share, preview="") if share.preview in missing else share
        for root, share in shares.items()
    }


def strays_of(primaries: Mapping[str, Object], owned: Sequence[Object]) -> list[str]:
    """Names of Ingresses of ours that nothing needs.

    Canaries whose primary is gone or no longer sends to their Service; previews that no share
    asks for.
    """
    asked = {
        (_primary_of(canary), share.preview)
        for canary in owned
        if is_canary(canary) and (share := _share_on(canary))
    }
    out = []
    for item in owned:
        primary = primaries.get(_primary_of(item))
        gone = primary is None or not _roots_of(item) & services_of(primary)
        if gone or not (is_canary(item) or (_primary_of(item), host_of(item)) in asked):
            out.append(str(item["metadata"]["name"]))
    return out


def _share_on(canary: Object) -> Share | None:
    """What a canary Ingress says; the weight as it stands, all else as it was written."""
    notes = annotations(canary)
    weight = str(notes.get(_WEIGHT, ""))
    if not weight.isdigit():
        return None
    service = next(iter(services_of(canary)), "")
    split = read_intent(Split, notes.get(names.SPLIT))
    known = split.shares.get(str(notes.get(names.ROOT_SERVICE))) if split else None
    return replace(known or Share(service, 0), canary=service, weight=int(weight))


def _dialect(ingress: Object) -> dict[str, str]:
    """The annotations that the controller reads."""
    return {
        key: value
        for key, value in annotations(ingress).items()
        if key == CLASS or key.startswith(PREFIX)
    }


def _primary_of(ingress: Object) -> str:
    return str(annotations(ingress).get(names.PRIMARY_INGRESS, ""))


def _roots_of(ingress: Object) -> frozenset[str]:
    return frozenset(str(annotations(ingress).get(names.ROOT_SERVICE, "")).split(","))


def is_ours(ingress: Object) -> bool:
    """Whether Slipway made this Ingress."""
    return names.CANARY_OF in labels(ingress) and names.PRIMARY_INGRESS in annotations(ingress)


def _rule_for(rule: Any, root: str, share: Share) -> Object | None:
    http = rule.get("http") or {}
    paths = [
        {**path, "backend": sent_to(path["backend"], share.canary)}
        for path in http.get("paths") or []
        if service_name(path.get("backend")) == root
    ]
    return {**rule, "http": {**http, "paths": paths}} if paths else None


def _backends(ingress: Object) -> Iterable[Any]:
    spec = ingress.get("spec") or {}
    yield spec.get("defaultBackend")
    for rule in spec.get("rules") or []:
        for path in (rule.get("http") or {}).get("paths") or []:
            yield path.get("backend")


def controllers(objects: Objects) -> dict[str, str]:
    """Each IngressClass with its ``spec.controller``; the default one also under ""."""
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
    known = controllers(objects)
    return [
        Found(item, roots)
        for item in objects.get(KIND, ())
        if item["metadata"]["namespace"] == namespace
        and not is_canary(item)
        and speaks_dialect(item, known)
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
    mine = [item for item in _own(objects, namespace) if _roots_of(item) & services]
    return strays_of(primaries, mine)


def _writes(
    objects: Objects, primary: Object, shares: Mapping[str, Share], target: Target
) -> list[Write]:
    """Other Deployments' canary Ingresses stay. Nothing is put that is there already."""
    name = primary["metadata"]["name"]
    beside = [
        item
        for item in _own(objects, primary["metadata"]["namespace"])
        if _primary_of(item) == name
    ]
    others = {
        root: share
        for item in beside
        if is_canary(item) and (share := _share_on(item))
        for root in _roots_of(item) - target.services
    }
    canaries = [
        canary_ingress(primary, root, share, target.owner, target.term)
        for root, share in sorted(shares.items())
    ]
    wanted = [*canaries, *previews(primary, {**others, **shares}, target.owner)]
    kept = {item["metadata"]["name"] for item in wanted}
    unwanted = [
        item
        for item in beside
        if _roots_of(item) & target.services and item["metadata"]["name"] not in kept
    ]
    there = {item["metadata"]["name"]: item for item in beside}
    return [
        *(Put(KIND, item) for item in wanted if not _same(item, there)),
        *(Delete(KIND, item) for item in unwanted),
    ]


def _same(wanted: Object, there: Mapping[str, Object]) -> bool:
    found = there.get(wanted["metadata"]["name"])
    return found is not None and (
        found["spec"] == wanted["spec"] and _of_no_term(found) == _of_no_term(wanted)
    )


def _of_no_term(ingress: Object) -> dict[str, Any]:
    """Its annotations; what an earlier leader decided and this one would, too, is the same."""
    notes = dict(annotations(ingress))
    if split := read_intent(Split, notes.get(names.SPLIT)):
        notes[names.SPLIT] = replace(split, term=0)
    return notes


def _lacks(
    _objects: Objects, primary: Object, _namespace: str, shares: Mapping[str, Share]
) -> str | None:
    name = f"Ingress {primary['metadata']['namespace']}/{primary['metadata']['name']}"
    for share in shares.values():
        if any(mirror.percentage for mirror in share.mirrors):
            return f"{name} can't mirror requests: the nginx dialect can't mirror to a canary"
        try:
            conditions(share)
        except Inexpressible as error:
            return f"{name} can't carry the header route: its canary Ingress {error}"
        if share.preview and (why := no_preview(primary, share.preview)):
            return f"{name} can't be previewed at {share.preview}: {why}"
    return None


def _without(
    _objects: Objects, primary: Object, _namespace: str, shares: Mapping[str, Share]
) -> tuple[str, ...]:
    sticky = any(share.sticky for share in shares.values())
    if not sticky or annotations(primary).get(_AFFINITY) == "cookie":
        return ()
    name = f"Ingress {primary['metadata']['namespace']}/{primary['metadata']['name']}"
    return (
        f"{name} does not bring users back to their version: that takes {_AFFINITY}: cookie on "
        "the Ingress itself, which Slipway does not write",
    )


def _affected(
    objects: Objects, primary: Object, namespace: str, services: frozenset[str]
) -> tuple[str, ...]:
    """The canary attaches to the backend: every Ingress that names the Service is concerned."""
    mine = primary["metadata"]["name"]
    return tuple(
        sorted(
            f"{host}{path}" + ("" if name == mine else f" (Ingress {name})")
            for found in _finds(objects, namespace, services & services_of(primary))
            for name in [found.object["metadata"]["name"]]
            for host, path in _places(found.object, found.roots)
        )
    )


def _places(ingress: Object, services: frozenset[str]) -> Iterable[tuple[str, str]]:
    spec = ingress.get("spec") or {}
    if service_name(spec.get("defaultBackend")) in services:
        yield "*", "/"
    for rule in spec.get("rules") or []:
        for path in (rule.get("http") or {}).get("paths") or []:
            if service_name(path.get("backend")) in services:
                yield rule.get("host") or "*", path.get("path") or "/"


KIND: Final = "Ingress"
ROUTER: Final = Router(
    group="networking.k8s.io",
    kind=KIND,
    services_of=lambda ingress: frozenset(
        (home_of(ingress), name) for name in services_of(ingress)
    ),
    finds=_finds,
    shares=_shares,
    unprogrammed=lambda _ingress: None,
    projected=lambda ingress: ingress,
    strays=_strays,
    writes=_writes,
    lacks=_lacks,
    without=_without,
    affected=_affected,
)
