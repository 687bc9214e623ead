"""Splits on Ingresses of AWS load balancers and of Skipper through what users write."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projection_fakes import FakeWorld, Server

from tests.strategies import Object, ingress
from tests.unit.traffic.ingress_kinds import USERS, alb, backend, parts, skipper
from webhook.mutation.world import Running
from webhook.objects.intent import Share, Split
from webhook.projection.fields import annotate

RUNNING = Running(
    name="web-2",
    pod_labels={"app": "web"},
    root_hash="5f6d",
    shares={"web": Share("web-canary", 25)},
)
SPLIT = st.one_of(
    st.none(), st.integers(0, 100).map(lambda p: Split(shares={"web": Share("web-canary", p)}))
)


@pytest.mark.parametrize("users", [alb(("/", backend("web"))), skipper(("/", "web"))])
def test_an_ingress_created_in_mid_release_carries_the_split_from_its_first_moment(
    users: Object,
) -> None:
    """And gives it back without a trace."""
    server = Server(FakeWorld(running=(RUNNING,))).create(users)
    assert {name: float(part) for name, part in parts(server.stored)["/"].items()} == {
        "web": 0.75,
        "web-canary": 0.25,
    }
    assert server.intend(split=None).stored == users


def test_an_ingress_in_the_nginx_dialect_that_comes_in_mid_release_stays_as_it_is() -> None:
    """Its split comes beside it."""
    users = ingress(("/", "web"))
    assert Server(FakeWorld(running=(RUNNING,))).create(users).stored == users


@settings(max_examples=100, deadline=None)
@given(USERS, st.lists(st.one_of(SPLIT, USERS, st.text("ab", max_size=2)), max_size=5))
def test_when_the_split_goes_the_ingress_is_what_its_user_asked_for_last(
    users: Object, writes: list[Split | Object | str | None]
) -> None:
    """Whatever came in between: splits, manifests, an annotation on what is shown."""
    server, wanted = Server().create(users), users
    for write in writes:
        if isinstance(write, str):
            wanted = annotate(wanted, {"note": write})
            server.put(annotate(server.stored, {"note": write}))
        elif isinstance(write, dict):
            if write["spec"]["ingressClassName"] == users["spec"]["ingressClassName"]:
                wanted = write
                server.put(write)
        else:
            server.intend(split=write)
    assert server.intend(split=None).stored == wanted
