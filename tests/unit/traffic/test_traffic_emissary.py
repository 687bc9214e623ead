"""Mapping of Emissary: a canary Mapping of ours beside the user's own."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import NAMESPACE, Object
from webhook import names
from webhook.objects.intent import Share
from webhook.objects.steps import HeaderMatch, HeaderRoute, MirrorRoute, StringMatch
from webhook.projection.fields import annotations, labels
from webhook.traffic.contract import Delete, Put, Target
from webhook.traffic.emissary_mapping import ROUTER, is_ours

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1"}
TARGET = Target(owner=OWNER, namespace=NAMESPACE, services=frozenset({"web"}), term=3)
PERCENTS = st.integers(0, 100)


def mapping(service: str = "web", name: str = "backend", **spec: Any) -> Object:
    """A Mapping as the reference writes it."""
    return {
        "apiVersion": "getambassador.io/v3alpha1",
        "kind": "Mapping",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"host": "shop"}},
        "spec": {"hostname": "shop.example", "prefix": "/backend/", "service": service, **spec},
    }


class Cluster:
    """Mappings, and what becomes of them by the router's writes."""

    def __init__(self, *users: Object) -> None:
        self.there = {item["metadata"]["name"]: item for item in users}

    @property
    def objects(self) -> dict[str, list[Object]]:
        return {"Mapping": list(self.there.values())}

    @property
    def ours(self) -> list[Object]:
        return [item for item in self.there.values() if is_ours(item)]

    def write(self, shares: dict[str, Share], name: str = "backend") -> list[type]:
        made = ROUTER.writes(self.objects, self.there[name], shares, TARGET)
        for write in made:
            there = write.object["metadata"]["name"]
            if isinstance(write, Put):
                self.there[there] = write.object
            else:
                assert is_ours(self.there.pop(there))
        return [type(write) for write in made]

    def shares(self, name: str = "backend") -> dict[str, Share]:
        return ROUTER.shares(self.objects, self.there[name], NAMESPACE)

    def lacks(self, share: Share, name: str = "backend") -> str | None:
        return ROUTER.lacks(self.objects, self.there[name], NAMESPACE, {"web": share})

    def parts(self) -> dict[str, Fraction]:
        """By Service: who has no weight takes what is left over."""
        specs = [item["spec"] for item in self.there.values()]
        given = {spec["service"]: spec["weight"] for spec in specs if "weight" in spec}
        rest = [spec["service"] for spec in specs if "weight" not in spec]
        left = 100 - sum(given.values())
        assert left >= 0
        return {
            **{service: Fraction(weight, 100) for service, weight in given.items()},
            **{service: Fraction(left, 100 * len(rest)) for service in rest},
        }


@settings(deadline=None)
@given(st.lists(PERCENTS, min_size=1, max_size=4))
def test_the_share_is_exact_at_each_step_and_the_users_mapping_is_never_written(
    steps: list[int],
) -> None:
    """At the end it stands alone, as it was."""
    cluster = Cluster(mapping())
    for weight in steps:
        share = Share("web-canary", weight)
        cluster.write({"web": share})
        assert cluster.shares() == {"web": share}
        assert cluster.parts() == {
            "web": Fraction(100 - weight, 100),
            "web-canary": Fraction(weight, 100),
        }
        assert cluster.there["backend"] == mapping()
        assert cluster.write({"web": share}) == []
    assert cluster.write({}) == [Delete]
    assert cluster.there == {"backend": mapping()}


def test_the_canary_mapping_is_the_users_own_with_another_service_and_a_weight() -> None:
    """Hosts choose Mappings by label, so it has the user's; its requests are counted apart."""
    cluster = Cluster(mapping("http://web:8080", timeout_ms=4000, rewrite="", stats_name="web"))
    cluster.write({"web": Share("web-canary", 10)})
    (canary,) = cluster.ours
    assert canary["metadata"]["name"] == "backend.web-canary"
    assert canary["spec"] == {
        "hostname": "shop.example",
        "prefix": "/backend/",
        "service": "http://web-canary:8080",
        "timeout_ms": 4000,
        "rewrite": "",
        "weight": 10,
    }
    assert labels(canary) == {"host": "shop", names.CANARY_OF: "backend"}
    assert annotations(canary)[names.PRIMARY_ROUTE] == "backend"
    assert canary["metadata"]["ownerReferences"] == [OWNER]


SERVICES = {
    "web": (NAMESPACE, "web"),
    "web:80": (NAMESPACE, "web"),
    "http://web": (NAMESPACE, "web"),
    "https://web:443": (NAMESPACE, "web"),
    "web.other": ("other", "web"),
    "http://web.other:80": ("other", "web"),
    "web.other.svc.cluster.local:80": ("other", "web"),
    "https://www.example.com": None,
    "localhost:8080": None,
    "": None,
}


@pytest.mark.parametrize(("service", "found"), SERVICES.items())
def test_services_are_read_in_every_form_that_emissary_takes(
    service: str, found: tuple[str, str] | None
) -> None:
    """With a scheme, a namespace and a port."""
    assert ROUTER.services_of(mapping(service)) == ({found} if found else frozenset())


@pytest.mark.parametrize("service", ["web.shop:80", "http://web.shop.svc.cluster.local:80"])
def test_the_canary_service_is_named_in_the_form_that_the_user_chose(service: str) -> None:
    """Namespace, scheme and port stay."""
    cluster = Cluster(mapping(service))
    cluster.write({"web": Share("web-canary", 10)})
    assert cluster.ours[0]["spec"]["service"] == service.replace("web.", "web-canary.")


def test_shadows_and_redirects_are_left_alone() -> None:
    """Nobody gets an answer from their Service. Neither are Mappings of ours taken for a user's."""
    others = [mapping(name="a", shadow=True), mapping(name="b", host_redirect=True)]
    cluster = Cluster(mapping(), *others)
    cluster.write({"web": Share("web-canary", 10)})
    asked = frozenset({"web", "web-canary"})
    found = ROUTER.finds(cluster.objects, NAMESPACE, asked)
    assert [(each.object["metadata"]["name"], each.roots) for each in found] == [
        ("backend", frozenset({"web"}))
    ]
    assert ROUTER.affected({}, mapping(), NAMESPACE, asked) == ("shop.example/backend/",)


def test_mappings_that_divide_their_requests_already_are_refused() -> None:
    """A weight is a percent of all requests: the other Service would lose a part of its own."""
    share = Share("web-canary", 10)
    assert Cluster(mapping()).lacks(share) is None
    assert Cluster(mapping(), mapping("api", name="api", prefix="/api/")).lacks(share) is None
    assert Cluster(mapping(), mapping("api", name="copy", shadow=True)).lacks(share) is None
    assert Cluster(mapping(), mapping("legacy", name="old", weight=20)).lacks(share) == (
        "Mapping shop/backend can't divide its traffic: Mapping shop/old takes a part of the same "
        "requests"
    )
    assert Cluster(mapping(weight=80)).lacks(share) == (
        "Mapping shop/backend can't divide its traffic: it has a weight of its own"
    )
    during = Cluster(mapping())
    during.write({"web": share})
    assert during.lacks(share) is None


def test_a_mapping_in_another_namespace_than_its_service_is_refused() -> None:
    """Its canary Mapping could not go with the Deployment."""
    users = mapping("web.shop")
    users["metadata"]["namespace"] = "edge"
    assert ROUTER.finds({"Mapping": [users]}, NAMESPACE, frozenset({"web"}))
    why = Cluster(users).lacks(Share("web-canary", 10))
    assert why
    assert "it is not in the namespace shop of the Service" in why


def test_header_routes_mirrors_and_previews_are_refused_before_anything_moves() -> None:
    """Only weights are written."""
    match = (HeaderMatch(header_name="X-Team", header_value=StringMatch(exact="qa")),)
    for share, what in (
        (Share("c", 0, headers=(HeaderRoute(name="qa", match=match),)), "carry the header route"),
        (Share("c", 0, mirrors=(MirrorRoute(name="m", percentage=10),)), "mirror requests"),
        (Share("c", 0, preview="next.example"), "be previewed at next.example"),
    ):
        why = Cluster(mapping()).lacks(share)
        assert why
        assert why.startswith(f"Mapping {NAMESPACE}/backend can't {what}")


def test_a_canary_mapping_that_does_not_fit_any_more_is_written_anew() -> None:
    """The user changed what theirs says, or somebody the weight."""
    cluster = Cluster(mapping())
    share = Share("web-canary", 10)
    cluster.write({"web": share})
    cluster.there["backend"] = mapping(timeout_ms=1)
    assert cluster.shares() == {}
    assert cluster.write({"web": share}) == [Put]
    cluster.ours[0]["spec"]["weight"] = 50
    assert cluster.shares() == {"web": Share("web-canary", 50)}
    assert cluster.write({"web": share}) == [Put]
    assert cluster.shares() == {"web": share}


@pytest.mark.parametrize("change", ["gone", "elsewhere"])
def test_a_canary_mapping_whose_own_is_gone_is_a_stray(change: str) -> None:
    """Alone in its group it would take every request."""
    cluster = Cluster(mapping())
    cluster.write({"web": Share("web-canary", 10)})
    asked = frozenset({"web"})
    assert ROUTER.strays(cluster.objects, NAMESPACE, asked) == []
    if change == "gone":
        del cluster.there["backend"]
    else:
        cluster.there["backend"] = mapping("api")
    assert ROUTER.strays(cluster.objects, NAMESPACE, asked) == ["backend.web-canary"]
    assert ROUTER.strays(cluster.objects, NAMESPACE, frozenset({"api"})) == []
