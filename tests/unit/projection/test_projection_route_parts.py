"""Header routes, cookies and mirrors on HTTPRoutes through all that users write in mid-release."""

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from projection_fakes import NOW, FakeWorld, Server, request, stripped

from tests.strategies import SPLITS, Object, backend, narrow_routes, route
from webhook.mutation.mutate import mutate
from webhook.mutation.world import Running
from webhook.objects.intent import Share, Split, Sticky
from webhook.objects.steps import HeaderMatch, HeaderRoute, MirrorRoute, StringMatch
from webhook.projection.fields import write

BETA = HeaderMatch(header_name="X-Canary", header_value=StringMatch(exact="yes"))
WHOLE = Share(
    "web-canary",
    25,
    headers=(HeaderRoute(name="beta", match=(BETA,)),),
    mirrors=(MirrorRoute(name="shadow"),),
    sticky=Sticky("seen", 60),
)
SPLIT = Split(shares={"web": WHOLE}, features=("mirror", "cookie"))


@settings(max_examples=60, deadline=None)
@given(
    narrow_routes(),
    st.lists(st.one_of(SPLITS, narrow_routes(), st.just("strip"), st.none()), max_size=5),
)
def test_whatever_is_written_the_route_ends_as_its_user_asked_for_last(
    first: Object, writes: list[Split | Object | str | None]
) -> None:
    """Steps that come and go, applies, and a tool that drops all annotations."""
    server, wanted = Server().create(first), first
    for what in writes:
        if what == "strip":
            server.put(stripped(server.stored))
        elif isinstance(what, dict):
            wanted = what
            server.put(what)
        elif what is None or isinstance(what, Split):
            server.intend(split=what)
    assert server.intend(split=None).stored == wanted


def test_a_route_applied_again_keeps_the_rules_that_were_put_in() -> None:
    """The same manifest changes nothing, nor does one without our annotations."""
    users = route([backend("web", 90), backend("legacy", 10)])
    server = Server().create(users).intend(split=SPLIT)
    before = deepcopy(server.stored)
    assert len(before["spec"]["rules"]) == 2
    assert server.put(users).stored == before
    assert server.put(stripped(server.stored)).stored == before


def test_a_rule_that_a_user_edits_in_mid_release_is_put_in_anew() -> None:
    """Editing ours has no effect; editing the user's own has it on both."""
    server = Server().create(route([backend()])).intend(split=SPLIT)
    edited = deepcopy(server.stored)
    put_in, own = edited["spec"]["rules"]
    put_in["timeouts"] = {"request": "9s"}
    own["timeouts"] = {"request": "3s"}
    server.put(edited)
    assert [rule["timeouts"] for rule in server.stored["spec"]["rules"]] == [own["timeouts"]] * 2
    wanted = route([backend()])
    wanted["spec"]["rules"][0]["timeouts"] = {"request": "3s"}
    assert server.intend(split=None).stored == wanted


def test_a_filter_that_a_user_adds_beside_ours_stays() -> None:
    """Ours goes, theirs does not."""
    server = Server().create(route([backend()])).intend(split=SPLIT)
    edited = deepcopy(server.stored)
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}
    edited["spec"]["rules"][-1]["filters"].append(header)
    server.put(edited)
    wanted = route([backend()])
    wanted["spec"]["rules"][0]["filters"] = [header]
    assert server.intend(split=None).stored == wanted


def test_a_route_created_in_mid_release_shows_what_any_gateway_can_do() -> None:
    """Weights and headers at once; mirrors and cookies when the Gateway is known."""
    running = Running(name="web-2", pod_labels={}, root_hash="5f6d", shares={"web": WHOLE})
    users = route([backend()])
    server = Server(FakeWorld(running=(running,))).create(users)
    put_in, own = server.stored["spec"]["rules"]
    assert [ref["name"] for ref in put_in["backendRefs"]] == ["web-canary"]
    assert "filters" not in own
    assert all("filters" not in ref for ref in own["backendRefs"])
    assert server.intend(split=None).stored == users


_FIELDS = ["backendRefs", "filters", "matches", "headers", "path", "requestMirror", "backendRef",
           "urlRewrite", "name", "weight", "type", "value", "responseHeaderModifier", "set",
           "queryParams", "method", "namespace", "kind", "group"]  # fmt: skip
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(_FIELDS),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
_WEB = st.just(backend())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            _JSON,
            st.fixed_dictionaries(
                {"backendRefs": st.lists(st.one_of(_WEB, _JSON), max_size=3)},
                optional={"matches": st.lists(_JSON), "filters": st.lists(_JSON)},
            ),
        ),
        max_size=3,
    )
)
def test_a_route_that_makes_no_sense_is_left_to_the_api_server_to_refuse(rules: list[Any]) -> None:
    """The schema is looked at after admission."""
    server = Server().create(route([backend()])).intend(split=SPLIT)
    mutate(request(write(server.stored, ("spec", "rules"), rules), server.stored), FakeWorld(), NOW)
