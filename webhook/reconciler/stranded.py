"""Pins and splits whose Deployment went away while no reconciler ran.

A Service that stays pinned to pods which will never come again serves nobody, not even the next
Deployment of that name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from webhook import names
from webhook.cluster.client import Client
from webhook.cluster.kinds import DEPLOYMENTS, ROUTES, SERVICES, Kind
from webhook.cluster.store import Store
from webhook.cluster.trims import trim_managed_fields
from webhook.objects.intent import Split
from webhook.objects.raw import Object
from webhook.objects.selector import selects
from webhook.projection.fields import annotations, labels, read
from webhook.projection.service import users_service
from webhook.reconciler.queue import Key
from webhook.traffic.routers import ROUTERS
from webhook.traffic.splits import key_of, split_of


@dataclass(frozen=True, slots=True)
class Stranded:
    """What nobody stands behind any more."""

    services: Sequence[Object]
    """Pinned Services whose pods no Deployment of their namespace makes."""
    routes: Sequence[tuple[Kind, Object, Split | None]]
    """Routes, each with what is left of the split that it shows without such Services."""
    keys: set[Key]
    """Deployments behind the other pinned Services: they may be left over just as well."""


async def stranded(client: Client, store: Store) -> Stranded:
    """Look once, at the start of a term, at all Services; of these only the pinned are kept.

    Raises ``errors.ApiError``.
    """
    page = await client.list(SERVICES, trim=_only_pinned)
    pinned = [obj for obj in page.items if names.PIN in annotations(obj)]
    orphans = [obj for obj in pinned if not list(_behind(store, obj))]
    served = {_where(obj) for obj in page.items} - {_where(obj) for obj in orphans}
    routes = [
        (kind, route, left)
        for kind in (ROUTES[router.kind] for router in ROUTERS.values() if router.shown)
        for route in store.table(kind).all()
        if names.CANARY_OF not in labels(route)  # an object of ours goes with its Deployment
        and (split := split_of(route))
        and (left := _left_of(split, route, served)) != split
    ]
    return Stranded(orphans, routes, {key for obj in pinned for key in _behind(store, obj)})


def _left_of(split: Split, route: Object, served: set[tuple[str, str]]) -> Split | None:
    """The split with only the shares of Services that a Deployment is behind."""
    home = route["metadata"]["namespace"]
    known = {key_of(namespace, name, home) for namespace, name in served}
    shares = {key: share for key, share in split.shares.items() if key in known}
    return replace(split, shares=shares) if shares else None


def _where(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _behind(store: Store, service: Object) -> Iterable[Key]:
    """Deployments whose pods the user's own selector takes in."""
    selector = read(users_service(service), ("spec", "selector"))
    namespace = service["metadata"]["namespace"]
    if not isinstance(selector, dict) or not selector:
        return
    for obj in store.table(DEPLOYMENTS).all(namespace):
        if selects(selector, labels(obj["spec"]["template"])):
            yield namespace, obj["metadata"]["name"]


def _only_pinned(obj: Object) -> Object:
    """Of a Service that is not pinned, nothing but its name is kept."""
    if names.PIN in annotations(obj):
        return trim_managed_fields(obj)
    meta = obj["metadata"]
    return {"metadata": {"name": meta["name"], "namespace": meta["namespace"]}}
