"""The canary Service: the root once more, for the new pods only."""

from typing import Any

import pytest

from tests.strategies import NAMESPACE, service
from webhook import names
from webhook.objects.intent import Pin
from webhook.projection.service import project_pin
from webhook.traffic.canary_service import canary_service

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1"}


def canary_of(**spec: Any) -> dict[str, Any]:
    """``spec`` of the canary Service beside a root with that spec."""
    return canary_service(service(**spec), "web-canary", "new", OWNER)["spec"]


def test_it_selects_the_new_pods_only_though_its_root_is_pinned_to_the_old() -> None:
    """The user's selector and the hash."""
    root = project_pin(service(), Pin(hash="old"))
    made = canary_service(root, "web-canary", "new", OWNER)
    assert made["spec"]["selector"] == {"app": "web", names.POD_TEMPLATE_HASH: "new"}
    assert made["metadata"]["ownerReferences"] == [OWNER]
    assert made["metadata"]["labels"] == {names.CANARY_OF: "web"}
    assert made["metadata"]["namespace"] == NAMESPACE


@pytest.mark.parametrize(
    ("key", "value"),
    [("sessionAffinity", "ClientIP"), ("publishNotReadyAddresses", True), ("ipFamilies", ["IPv6"])],
)
def test_what_shapes_connections_is_the_roots(key: str, value: Any) -> None:
    """Both versions are reached alike."""
    assert canary_of(**{key: value})[key] == value


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_nothing_that_belongs_to_one_service_alone_is_copied(kind: str) -> None:
    """No address, no node port, no load balancer of its own."""
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    made = canary_of(type=kind, clusterIP="10.0.0.1", externalIPs=["192.0.2.1"], ports=ports)
    assert set(made) == {"selector", "ports"}
    assert made["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]


def test_a_headless_root_has_a_headless_canary() -> None:
    """Clients that ask for pods get pods."""
    assert canary_of(clusterIP="None")["clusterIP"] == "None"
