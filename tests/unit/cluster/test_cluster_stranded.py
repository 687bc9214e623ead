"""Splits that nobody stands behind any more, of users' own routes."""

from types import SimpleNamespace
from typing import Any, cast

from tests.strategies import NAMESPACE, Object, ingress
from tests.unit.traffic.ingress_kinds import alb, backend
from webhook.cluster.client import Client
from webhook.cluster.kinds import INGRESSES, Kind
from webhook.cluster.store import Store
from webhook.objects.intent import Share, Split
from webhook.reconciler.stranded import stranded
from webhook.traffic.ingress import ROUTER
from webhook.traffic.nginx_ingress import canary_ingress

SHARE = Share("web-canary", 20)


class Server:
    """It has no Services."""

    async def list(self, _kind: Kind, **_options: Any) -> Any:
        return SimpleNamespace(items=[])


def stored(obj: Object, name: str) -> Object:
    """As the API server has it."""
    meta = {"name": name, "namespace": NAMESPACE, "uid": name, "resourceVersion": "1"}
    return {**obj, "metadata": {**obj["metadata"], **meta}}


async def test_a_canary_ingress_is_no_route_of_a_users_to_be_given_back() -> None:
    """It goes with its Deployment; an Ingress of the user's that shows a split is given back."""
    client = cast("Client", Server())
    store = Store(client)
    assert ROUTER.shown
    shown = ROUTER.shown.project(alb(("/", backend("web"))), Split(shares={"web": SHARE}))
    store.table(INGRESSES).upsert(stored(shown, "shop"))
    owned = canary_ingress(ingress(("/", "web")), "web", SHARE, {})
    store.table(INGRESSES).upsert(stored(owned, "web.web-canary"))
    found = await stranded(client, store)
    assert [(kind, route["metadata"]["name"], left) for kind, route, left in found.routes] == [
        (INGRESSES, "shop", None)
    ]
