"""What a decision at admission may know beside the write itself: policies and running releases."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from webhook.objects.intent import Share
from webhook.objects.policy import Policy, Routes
from webhook.objects.raw import Object
from webhook.projection.config import Ref


@dataclass(frozen=True, slots=True)
class Running:
    """A release in flight, as far as a new Service or route must know it."""

    name: str
    pod_labels: Mapping[str, str]
    root_hash: str
    """The ReplicaSet whose pods every Service of this Deployment selects now."""
    shares: Mapping[str, Share]
    """By root Service: the split that its routes carry now."""
    routes: Routes = field(default_factory=Routes)
    """Which routes are divided at all."""
    fenced: bool = False
    """Of these pods only those that are labelled as serving."""


class World(Protocol):
    """The webhook's watch caches, seen from a pure function."""

    @property
    def identity(self) -> str:
        """User name under which Slipway's reconciler writes."""
        ...

    def policy_for(self, namespace: str, deployment: Object) -> Policy | None:
        """The policy that guards this Deployment, None if it is not managed."""
        ...

    def running_in(self, namespace: str) -> Iterable[Running]:
        """The releases in flight in a namespace."""
        ...

    @property
    def guards_config(self) -> bool:
        """Whether Slipway was given the right to read ConfigMaps and Secrets."""
        ...

    def digest(self, namespace: str, ref: Ref) -> str | None:
        """The contents of a ConfigMap or Secret now; None if they are not known."""
        ...
