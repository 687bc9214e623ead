"""Under which words objects are found again: a decision looks only at what is around it.

Without them each of many releases at once would read the objects of all the others.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from webhook import names
from webhook.cluster.kinds import (
    ENDPOINTSLICES,
    PODS,
    RELEASES,
    REPLICASETS,
    ROUTES,
    SERVICES,
    Kind,
    Object,
)
from webhook.projection.fields import labels
from webhook.traffic.contract import Router
from webhook.traffic.routers import ROUTERS

Words: TypeAlias = Callable[[Object], Iterable[str]]
"""The words of an object; equal objects have equal words."""


def owned_by(uid: str) -> str:
    """Objects with this object among their owners."""
    return f"owner {uid}"


def being(uid: str) -> str:
    """The one object of this uid."""
    return f"uid {uid}"


def called(namespace: str | None, name: str) -> str:
    """The object of this name."""
    return f"name {namespace or ''}/{name}"


def labelled(key: str, value: str) -> str:
    """Pods with a label; Services that ask for it before any other."""
    return f"label {key}={value}"


def offered_by(service: str) -> str:
    """EndpointSlices of a Service."""
    return f"service {service}"


def sent_to(namespace: str, service: str) -> str:
    """Routes that send to a Service."""
    return f"service {namespace}/{service}"


def first_label(service: Object) -> str | None:
    """The word of the label that a Service asks for first, ours left aside."""
    selector = (service.get("spec") or {}).get("selector") or {}
    asked = sorted(key for key in selector if key not in (names.POD_TEMPLATE_HASH, names.SERVES))
    return labelled(asked[0], selector[asked[0]]) if asked else None


def _owners(obj: Object) -> list[str]:
    return [owned_by(o["uid"]) for o in obj["metadata"].get("ownerReferences") or () if "uid" in o]


def _replicaset(obj: Object) -> list[str]:
    return [*_owners(obj), being(obj["metadata"].get("uid", ""))]


def _pod(obj: Object) -> list[str]:
    return [*_owners(obj), *(labelled(key, value) for key, value in labels(obj).items())]


def _service(obj: Object) -> list[str]:
    first = first_label(obj)
    return [*_owners(obj), *((first,) if first else ())]


def _slice(obj: Object) -> list[str]:
    return [offered_by(labels(obj).get("kubernetes.io/service-name", ""))]


def _release(obj: Object) -> list[str]:
    uid = ((obj.get("spec") or {}).get("deployment") or {}).get("uid", "")
    return [being(uid)]


def _of_route(router: Router) -> Words:
    return lambda obj: [*_owners(obj), *(sent_to(*each) for each in router.services_of(obj))]


WORDS: Final[Mapping[Kind, Words]] = {
    REPLICASETS: _replicaset,
    PODS: _pod,
    SERVICES: _service,
    ENDPOINTSLICES: _slice,
    RELEASES: _release,
    **{ROUTES[router.kind]: _of_route(router) for router in ROUTERS.values()},
}
"""Kinds that are not named here are not found by words."""
