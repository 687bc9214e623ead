"""Mapping of Emissary and Ambassador Edge Stack: a second one, owned by Slipway, has the weight.

The user's own has none, so that it takes the rest; it is never written. Mappings for the same
requests are one group, with weights that are percents of it. Source: Emissary v3, reference of
Mapping (canary releases) and how it forms groups.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from webhook import names
from webhook.objects.intent import Share, Split, read_intent
from webhook.objects.raw import Object
from webhook.projection.fields import annotations, labels
from webhook.traffic.contract import Delete, Found, Objects, Put, Router, Target, Write
from webhook.traffic.splits import home_of
from webhook.traffic.weights_only import more_than_weights, named, not_sticky

_SERVICE: Final = ("svc", "cluster", "local")
_ELSEWHERE: Final = ("shadow", "host_redirect")
"""A Mapping with one of these sends no answers from its Service."""
_MATCHES: Final = (
    "prefix",
    "prefix_regex",
    "prefix_exact",
    "host",
    "hostname",
    "host_regex",
    "method",
    "method_regex",
    "headers",
    "regex_headers",
    "query_parameters",
    "regex_query_parameters",
    "precedence",
    "ambassador_id",
)
"""Which requests are meant: Mappings that are equal in these are one group."""


def service_of(mapping: Object) -> tuple[str, str] | None:
    """(namespace, name) of the Service that answers for a Mapping.

    A short name is of the Mapping's own namespace.
    """
    spec = mapping.get("spec") or {}
    if any(spec.get(field) for field in _ELSEWHERE):
        return None
    _, host, _ = _split(str(spec.get("service") or ""))
    name, *rest = host.split(".")
    inside = rest[1:] == list(_SERVICE[: len(rest) - 1]) if rest else name != "localhost"
    return ((rest[0] if rest else home_of(mapping)), name) if name and inside else None


def canary_mapping(
    primary: Object, root: str, share: Share, owner: Object, term: int = 0
) -> Object:
    """The whole canary Mapping: the user's, with another Service and a weight.

    Its labels are the user's too: Hosts choose their Mappings by label, and those labels make a
    group. Its requests are counted under its own name.
    """
    meta, spec = primary["metadata"], primary["spec"]
    before, host, after = _split(str(spec["service"]))
    copied = {field: value for field, value in spec.items() if field != "stats_name"}
    _, dot, rest = host.partition(".")
    return {
        "apiVersion": "getambassador.io/v3alpha1",
        "kind": KIND,
        "metadata": {
            "name": f"{meta['name'][:180].rstrip('.-')}.{root}-canary",
            "namespace": meta["namespace"],
            "labels": {**labels(primary), names.CANARY_OF: meta["name"][:63].rstrip("-.")},
            "annotations": {
                names.SPLIT: Split(shares={root: share}, term=term).text(),
                names.ROOT_SERVICE: root,
                names.PRIMARY_ROUTE: meta["name"],
            },
            "ownerReferences": [owner],
        },
        "spec": {
            **copied,
            "service": f"{before}{share.canary}{dot}{rest}{after}",
            "weight": share.weight,
        },
    }


def is_ours(mapping: Object) -> bool:
    """Whether Slipway made this Mapping."""
    return names.CANARY_OF in labels(mapping) and names.PRIMARY_ROUTE in annotations(mapping)


def _split(service: str) -> tuple[str, str, str]:
    """What stands before the host, the host, and what stands after it."""
    scheme, mark, rest = service.rpartition("://")
    host, colon, port = rest.partition(":")
    return f"{scheme}{mark}", host, f"{colon}{port}"


def _own(objects: Objects, namespace: str) -> list[Object]:
    return [m for m in objects.get(KIND, ()) if home_of(m) == namespace and is_ours(m)]


def _beside(objects: Objects, primary: Object) -> list[Object]:
    name = primary["metadata"]["name"]
    own = _own(objects, home_of(primary))
    return [item for item in own if annotations(item)[names.PRIMARY_ROUTE] == name]


def _root_of(canary: Object) -> str:
    return str(annotations(canary).get(names.ROOT_SERVICE, ""))


def _share_on(canary: Object) -> Share | None:
    """What a canary Mapping says; the weight as it stands, all else as it was written."""
    split = read_intent(Split, annotations(canary).get(names.SPLIT))
    known = split.shares.get(_root_of(canary)) if split else None
    weight = canary["spec"].get("weight")
    return replace(known, weight=weight) if known and isinstance(weight, int) else None


def _finds(objects: Objects, namespace: str, services: frozenset[str]) -> list[Found]:
    found = []
    for mapping in objects.get(KIND, ()):
        service = None if is_ours(mapping) else service_of(mapping)
        if service and service[0] == namespace and service[1] in services:
            found.append(Found(mapping, frozenset({service[1]})))
    return found


def _shares(objects: Objects, primary: Object, namespace: str) -> dict[str, Share]:
    """One that does not fit the user's present Mapping is left out, so that it is written anew."""
    shares = {}
    for canary in _beside(objects, primary):
        root, share = _root_of(canary), _share_on(canary)
        if share and service_of(primary) == (namespace, root):
            wanted = canary_mapping(primary, root, share, {})
            if canary["spec"] == wanted["spec"]:
                shares[root] = share
    return shares


def _strays(objects: Objects, namespace: str, services: frozenset[str]) -> list[str]:
    """Canaries whose Mapping is gone or sends to another Service by now."""
    there = {
        (m["metadata"]["name"], service_of(m))
        for m in objects.get(KIND, ())
        if home_of(m) == namespace and not is_ours(m)
    }
    return [
        str(item["metadata"]["name"])
        for item in _own(objects, namespace)
        if (root := _root_of(item)) in services
        and (annotations(item)[names.PRIMARY_ROUTE], (namespace, root)) not in there
    ]


def _writes(
    objects: Objects, primary: Object, shares: Mapping[str, Share], target: Target
) -> list[Write]:
    """Nothing is put that is there already."""
    wanted = [
        canary_mapping(primary, root, share, target.owner, target.term)
        for root, share in sorted(shares.items())
    ]
    there = {item["metadata"]["name"]: item for item in _beside(objects, primary)}
    kept = {item["metadata"]["name"] for item in wanted}
    return [
        *(Put(KIND, item) for item in wanted if not _same(item, there)),
        *(
            Delete(KIND, item)
            for name, item in there.items()
            if name not in kept and _root_of(item) in target.services
        ),
    ]


def _same(wanted: Object, there: Mapping[str, Object]) -> bool:
    """What an earlier leader decided and this one would, too, is the same."""
    found = there.get(wanted["metadata"]["name"])
    return (
        found is not None
        and found["spec"] == wanted["spec"]
        and _share_on(found) == _share_on(wanted)
    )


def _lacks(
    objects: Objects, primary: Object, namespace: str, shares: Mapping[str, Share]
) -> str | None:
    if not shares:
        return None
    name = named(KIND, primary)
    if home_of(primary) != namespace:
        return (
            f"{name} can't divide its traffic: it is not in the namespace {namespace} of the "
            "Service, and an owner can't be in another namespace"
        )
    if "weight" in primary["spec"]:
        return f"{name} can't divide its traffic: it has a weight of its own"
    for other in objects.get(KIND, ()):
        if not is_ours(other) and _in_one_group(other, primary):
            return (
                f"{name} can't divide its traffic: {named(KIND, other)} takes a part of the same "
                "requests"
            )
    return more_than_weights(KIND, primary, shares)


def _in_one_group(one: Object, other: Object) -> bool:
    a, b = one.get("spec") or {}, other.get("spec") or {}
    if (home_of(one), one["metadata"]["name"]) == (home_of(other), other["metadata"]["name"]):
        return False
    if any(a.get(field) for field in _ELSEWHERE):
        return False
    return all(_value(a, field) == _value(b, field) for field in _MATCHES)


def _value(spec: Object, field: str) -> Any:
    """A match that is left out is an empty one."""
    return spec.get(field) or None


def _affected(
    _objects: Objects, primary: Object, _namespace: str, _services: frozenset[str]
) -> tuple[str, ...]:
    spec = primary["spec"]
    return (f"{spec.get('hostname') or spec.get('host') or '*'}{spec.get('prefix') or '/'}",)


KIND: Final = "Mapping"
ROUTER: Final = Router(
    group="getambassador.io",
    kind=KIND,
    services_of=lambda mapping: frozenset({s} if (s := service_of(mapping)) else ()),
    finds=_finds,
    shares=_shares,
    unprogrammed=lambda _mapping: None,
    projected=lambda mapping: mapping,
    strays=_strays,
    writes=_writes,
    lacks=_lacks,
    without=lambda _objects, mapping, _namespace, shares: not_sticky(KIND, mapping, shares),
    affected=_affected,
    siblings=True,
)
