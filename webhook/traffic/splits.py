"""How a split stands in a route's annotations, and how it names Services."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import msgspec

from webhook import names
from webhook.objects.intent import Share, Split, read_intent
from webhook.objects.raw import Object
from webhook.projection.fields import annotations
from webhook.traffic.contract import Target


class Noted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a route's annotation ``original`` keeps of its user's own."""

    @classmethod
    def of(cls, obj: Object | None) -> Self | None:
        """Read it off a route; None where nothing of ours is in it."""
        text = annotations(obj).get(names.ORIGINAL) if obj else None
        try:
            return msgspec.json.decode(text, type=cls) if isinstance(text, str) else None
        except (msgspec.DecodeError, ValueError):
            return None

    def text(self) -> str:
        """The annotation's value."""
        return msgspec.json.encode(self, order="deterministic").decode()


class Memory(Noted, frozen=True, omit_defaults=True):
    """What tells our part of a route from the user's; it describes the route as it is."""

    scale: int
    canaries: dict[str, str]
    """Canary Services that were put in, each with its root Service."""
    implied: dict[str, int | None] = {}
    """Weights that the user did not write as they count: None, or 0 where all are. By place."""


def split_of(obj: Object | None) -> Split | None:
    """The split on a route, None if it has none."""
    return read_intent(Split, annotations(obj).get(names.SPLIT)) if obj else None


def home_of(route: Object) -> str:
    """The namespace of a route."""
    return str((route.get("metadata") or {}).get("namespace") or "")


def key_of(namespace: str, service: str, home: str) -> str:
    """How a split in a route of namespace ``home`` names a Service."""
    return service if namespace == home else f"{namespace}/{service}"


def beside(root: str, canary: str) -> str:
    """The key of a canary Service, which is where its root is."""
    namespace, slash, _ = root.rpartition("/")
    return f"{namespace}{slash}{canary}"


def remembered(split: Split, scale: int, implied: Mapping[str, int | None] | None = None) -> Memory:
    """What a projection of this split has to be told by."""
    canaries = {beside(root, share.canary): root for root, share in split.shares.items()}
    return Memory(scale, canaries, dict(implied or {}))


def unscaled(weight: int, scale: int) -> int:
    """A weight that the scale does not divide was never shown by us: the user set it."""
    return weight // scale if weight % scale == 0 else weight


def keyed(shares: Mapping[str, Share], namespace: str, home: str) -> dict[str, Share]:
    """Shares of a namespace's Services, as a split in a route of ``home`` names them."""
    return {key_of(namespace, root, home): share for root, share in shares.items()}


def shares_in(split: Split | None, namespace: str, home: str) -> dict[str, Share]:
    """Of a split in a route of ``home``: the shares of one namespace's Services, by their names."""
    prefix = key_of(namespace, "", home)
    return {
        key.removeprefix(prefix): share
        for key, share in (split.shares.items() if split else ())
        if key.rpartition("/")[0] == prefix.rstrip("/")
    }


def with_shares(
    present: Split | None, shares: Mapping[str, Share], target: Target, home: str
) -> dict[str, Share]:
    """The shares of a split with a Deployment's own in it; other Deployments' stay."""
    mine = {key_of(target.namespace, service, home) for service in target.services}
    others = present.shares.items() if present else ()
    kept = {key: share for key, share in others if key not in mine}
    return kept | keyed(shares, target.namespace, home)


def roots_in(services: Iterable[tuple[str, str]], namespace: str) -> frozenset[str]:
    """Of Services by (namespace, name), the names of those in one namespace."""
    return frozenset(name for home, name in services if home == namespace)


def read_list(part: Any, field: str) -> list[Any]:
    """A list in an object; empty where there is none."""
    found = part.get(field) if isinstance(part, dict) else None
    return found if isinstance(found, list) else []
