"""The raw objects that one decision is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from webhook.objects.counted import Sample
from webhook.objects.policy import Policy
from webhook.objects.raw import Object
from webhook.objects.release import Release
from webhook.traffic.contract import Objects


@dataclass(frozen=True, slots=True)
class Raw:
    """The objects of one Deployment's namespace, as the API server sent them."""

    deployment: Object
    replicasets: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    services: Sequence[Object] = ()
    slices: Sequence[Object] = ()
    routes: Objects = field(default_factory=dict)
    releases: Sequence[Release] = ()
    policy: Policy | None = None
    counted: tuple[Sample, ...] = ()


def owned_by(obj: Object, uid: str) -> bool:
    """Whether the object of that uid controls this one."""
    owners = obj["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid and owner.get("controller") for owner in owners)
