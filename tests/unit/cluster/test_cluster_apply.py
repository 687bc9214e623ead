"""Objects of Slipway's own are made as they should be, and nothing that was there stays on them."""

from typing import Any, cast

import pytest

from webhook import names
from webhook.cluster.apply import Actuator, LeadershipLost
from webhook.cluster.client import Client
from webhook.cluster.kinds import INGRESSES, REPLICASETS, SERVICES, Kind, Object
from webhook.cluster.store import Store
from webhook.release.actions import DeleteCanary, ScaleReplicaSet
from webhook.traffic.canary_service import canary_service

_NGINX = "nginx.ingress.kubernetes.io/"


class Patched:
    """A client that only notes what is written."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.deleted: list[str] = []

    async def delete(self, _kind: Kind, name: str, _namespace: str, *, uid: str) -> None:
        assert uid == "u1"
        self.deleted.append(name)

    async def patch(self, kind: Kind, name: str, body: Any, namespace: str) -> Object:
        self.bodies.append(body)
        meta = {"name": name, "namespace": namespace, "uid": "u1", "resourceVersion": "2"}
        return {"metadata": meta, "spec": {}}


class Leading:
    leading = True


def canary(notes: dict[str, str]) -> Object:
    """A canary Ingress."""
    return {
        "metadata": {
            "name": "web.web-canary",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "1",
            "labels": {names.CANARY_OF: "web"},
            "annotations": {_NGINX + "canary": "true", **notes},
        },
        "spec": {},
    }


async def test_a_header_route_that_ends_is_taken_off_the_canary_ingress() -> None:
    """A merge patch keeps what it does not name: what is to go is named with null."""
    client = Patched()
    store = Store(cast(Client, client))
    held = canary({_NGINX + "canary-by-header": "x-canary", "example.com/seen": "yes"})
    store.table(INGRESSES).upsert(held)
    actuator = Actuator(cast(Client, client), store, term=1, instance="p1", leads=Leading())
    await actuator._put(INGRESSES, canary({_NGINX + "canary-weight": "0"}))
    notes = client.bodies[0]["metadata"]["annotations"]
    assert notes[_NGINX + "canary-by-header"] is None
    assert notes[_NGINX + "canary-weight"] == "0"
    assert "example.com/seen" not in notes


async def test_a_released_replicaset_that_is_scaled_up_says_so_to_the_native_controller() -> None:
    """Else the controller sees a change of replicas for ever, and no template rolls out again."""
    client = Patched()
    store = Store(cast(Client, client))
    meta = {"name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "1"}
    store.table(REPLICASETS, "shop").upsert({"metadata": meta, "spec": {"replicas": 0}})
    actuator = Actuator(cast(Client, client), store, term=1, instance="p1", leads=Leading())
    deployment = {"metadata": {"name": "web", "namespace": "shop"}}
    await actuator.perform(deployment, frozenset(), ScaleReplicaSet("web-1", 3))
    assert client.bodies[0]["metadata"]["annotations"] == {names.DESIRED_REPLICAS: "3"}
    assert client.bodies[0]["spec"] == {"replicas": 3}


@pytest.mark.parametrize("term", [4, 3, 2])
async def test_an_older_leader_deletes_nothing_that_a_newer_one_has_written(term: int) -> None:
    """A webhook refuses its writes by their term; a delete has none, so it is told here."""
    client = Patched()
    store = Store(cast(Client, client))
    root = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"app": "web"}}}
    made = canary_service(root, "web-canary", "h2", {}, 3)
    made["metadata"] |= {"uid": "u1", "resourceVersion": "1"}
    store.table(SERVICES, "shop").upsert(made)
    actuator = Actuator(cast(Client, client), store, term=term, instance="p1", leads=Leading())
    deployment = {"metadata": {"name": "web", "namespace": "shop"}}
    deleting = actuator.perform(deployment, frozenset(), DeleteCanary("web-canary"))
    if term < 3:
        with pytest.raises(LeadershipLost, match="web-canary is a newer leader's"):
            await deleting
    else:
        await deleting
    assert client.deleted == ([] if term < 3 else ["web-canary"])
