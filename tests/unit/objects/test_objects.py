"""Durations, policies, selectors and intents: read as written, refused with the right name."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.objects.duration import format_duration, parse_duration
from webhook.objects.intent import Hold, Intent, Pin, Share, Split, read_intent
from webhook.objects.policy import PolicyError, read_policy
from webhook.objects.release import Phase, read_release
from webhook.objects.selector import LabelSelector, Requirement, selects
from webhook.objects.steps import Step
from webhook.objects.strategy import DEFAULT_STEPS, Canary, Strategy

# Durations


@given(st.integers(0, 10**10).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_duration_that_is_written_is_read_back(value: timedelta) -> None:
    """To the millisecond."""
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("500ms", 0.5), ("30s", 30), ("1m30s", 90), ("2h", 7200), ("1.5h", 5400)],
)
def test_durations_are_read_as_kubernetes_writes_them(text: str, seconds: float) -> None:
    """Row by row."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (90, "1m30s"), (7200, "2h"), (5400.5, "1h30m500ms"), (-1, "0s")],
)
def test_durations_are_written_as_people_write_them(seconds: float, text: str) -> None:
    """The largest units first; there is no time before now."""
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "5d", "1h x", "m5", "١s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match="write for example"):
        parse_duration(text)


# Policies


def policy(spec: Any) -> dict[str, Any]:
    """A policy object."""
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": "careful", "namespace": "shop"},
        "spec": spec,
    }


@pytest.mark.parametrize("spec", [{}, None])
def test_the_smallest_policy_is_a_whole_one(spec: Any) -> None:
    """Every field has a default."""
    read = read_policy(policy(spec))
    assert (read.kind, read.name, read.namespace) == ("ReleasePolicy", "careful", "shop")
    assert read.spec.strategy == Strategy(canary=Canary(steps=DEFAULT_STEPS))
    assert (read.spec.traffic.settle, read.spec.traffic.drain) == ("5s", "30s")
    assert read.spec.match.object_selector.admits({"any": "thing"})
    assert [step.set_weight for step in DEFAULT_STEPS] == [10, 25, 50]


def test_the_policy_of_the_design_is_read() -> None:
    """As users write it."""
    steps = [{"setWeight": 10}, {"pause": {"duration": "2m"}}, {"setWeight": 50}, {"pause": {}}]
    spec = {
        "match": {
            "namespaceSelector": {"matchLabels": {"team": "shop"}},
            "objectSelector": {},
        },
        "strategy": {"canary": {"steps": steps}},
        "traffic": {"settle": "5s", "drain": "30s"},
        "analysis": {},
        "guardrails": {},
    }
    read = read_policy(policy(spec)).spec
    canary = read.strategy.canary
    assert canary is not None
    assert [s.set_weight for s in canary.steps] == [10, None, 50, None]
    assert canary.steps[3].pause is not None
    assert canary.steps[3].pause.duration is None
    assert not read.match.namespace_selector.admits({"team": "other"})


NEAREST: dict[str, tuple[Any, str]] = {
    "top": ({"trafic": {}}, "traffic"),
    "step": ({"strategy": {"canary": {"steps": [{"setwieght": 5}]}}}, "setWeight"),
    "selector": ({"match": {"objectSelector": {"matchLabel": {}}}}, "matchLabels"),
    "snake case": ({"progress_deadline": "1m"}, "progressDeadline"),
    "guardrail": ({"guardrails": {"onUnguardabel": "Deny"}}, "onUnguardable"),
}


@pytest.mark.parametrize(("spec", "right"), NEAREST.values(), ids=NEAREST.keys())
def test_a_wrong_field_is_refused_with_the_nearest_right_name(spec: Any, right: str) -> None:
    """The message names the policy, the field and what would be right."""
    with pytest.raises(PolicyError, match=f"ReleasePolicy careful.*did you mean `{right}`"):
        read_policy(policy(spec))


WRONG: dict[str, tuple[Any, str]] = {
    "both strategies": ({"strategy": {"canary": {}, "none": {}}}, "exactly one of"),
    "no strategy": ({"strategy": {}}, "exactly one of"),
    "an empty step": ({"strategy": {"canary": {"steps": [{}]}}}, "exactly one of"),
    "a full step": (
        {"strategy": {"canary": {"steps": [{"setWeight": 1, "pause": {}}]}}}, "exactly one of",
    ),
    "too much weight": ({"strategy": {"canary": {"steps": [{"setWeight": 101}]}}}, "101"),
    "negative weight": ({"strategy": {"canary": {"steps": [{"setWeight": -1}]}}}, "-1"),
    "no duration": ({"traffic": {"settle": "soon"}}, "soon"),
    "no pause": ({"strategy": {"canary": {"steps": [{"pause": {"duration": "1"}}]}}}, "'1'"),
    "no deadline": ({"progressDeadline": "x"}, "'x'"),
    "negative history": ({"revisionHistoryLimit": -1}, "below 0"),
    "an odd word": ({"guardrails": {"onUnguardable": "Maybe"}}, "Maybe"),
    "a list": ([1], "object"),
    "far from any name": ({"zzzz": 1}, "zzzz"),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_policy_that_makes_no_sense_is_refused(spec: Any, says: str) -> None:
    """The message says which part."""
    with pytest.raises(PolicyError, match=says):
        read_policy(policy(spec))


# Selectors

LABELS = {"app": "web", "tier": "front"}
SELECTORS = {
    "empty": ({}, (), True),
    "label": ({"app": "web"}, (), True),
    "other value": ({"app": "api"}, (), False),
    "missing": ({"team": "a"}, (), False),
    "in": ({}, (("app", "In", ("api", "web")),), True),
    "not in the list": ({}, (("app", "In", ("api",)),), False),
    "in, missing key": ({}, (("team", "In", ("a",)),), False),
    "notin": ({}, (("app", "NotIn", ("api",)),), True),
    "notin, there": ({}, (("app", "NotIn", ("web",)),), False),
    "notin, missing key": ({}, (("team", "NotIn", ("a",)),), True),
    "exists": ({}, (("tier", "Exists", ()),), True),
    "exists, missing": ({}, (("team", "Exists", ()),), False),
    "does not exist": ({}, (("team", "DoesNotExist", ()),), True),
    "does not exist, there": ({}, (("app", "DoesNotExist", ()),), False),
    "all must hold": ({"app": "web"}, (("team", "Exists", ()),), False),
}


@pytest.mark.parametrize(("match", "terms", "admits"), SELECTORS.values(), ids=SELECTORS.keys())
def test_a_label_selector_admits_what_kubernetes_would(
    match: dict[str, str], terms: tuple[tuple[Any, Any, Any], ...], admits: bool
) -> None:
    """Row by row, as metav1.LabelSelector defines it."""
    selector = LabelSelector(
        match_labels=match, match_expressions=tuple(Requirement(*term) for term in terms)
    )
    assert selector.admits(LABELS) == admits


def test_an_equality_selector_wants_every_key() -> None:
    """As a Service's selector."""
    assert selects({"app": "web"}, LABELS)
    assert not selects({"app": "web", "team": "a"}, LABELS)


# Intents and Releases

INTENTS = st.one_of(
    st.builds(
        Hold,
        term=st.integers(0, 9),
        mode=st.sampled_from(["Gate", "Step", "Halt"]),
        surge=st.integers(0, 9),
        unavailable=st.integers(0, 9),
        aborted=st.booleans(),
    ),
    st.builds(Pin, term=st.integers(0, 9), hash=st.text(max_size=9)),
    st.builds(
        Split,
        shares=st.dictionaries(
            st.text(max_size=9), st.builds(Share, canary=st.text(), weight=st.integers(0, 100))
        ),
    ),
)


@settings(max_examples=50, deadline=None)
@given(INTENTS)
def test_an_intent_that_is_written_is_read_back(intent: Intent) -> None:
    """And the same intent always gives the same text, so that nothing is written twice."""
    read = read_intent(type(intent), intent.text())
    assert read == intent
    assert read is not None
    assert read.text() == intent.text()


def test_a_gate_allows_no_new_pod() -> None:
    """Whatever numbers stand beside it."""
    assert Hold(mode="Gate", surge=3).new_pods == 0
    assert Hold(mode="Step", surge=3, unavailable=2).new_pods == 5


@pytest.mark.parametrize("text", [None, 7, "", "{", "[]", '{"mode":"Other"}'])
def test_what_is_no_intent_is_none(text: Any) -> None:
    """Never an exception."""
    assert read_intent(Hold, text) is None


def test_a_release_without_status_has_not_begun() -> None:
    """As right after its creation; snake case is ours, camel case the API's."""
    spec = {
        "deployment": {"name": "web", "uid": "1"},
        "policy": {"kind": "ReleasePolicy", "name": "careful"},
        "version": "v2",
        "revision": "r2",
        "podLabels": {"app": "web"},
        "stable": {"hash": "h1", "version": "v1", "revision": "r1"},
        "strategy": {"canary": {"steps": [{"setWeight": 5}]}},
        "traffic": {},
        "progressDeadlineSeconds": 600,
    }
    release = read_release({"metadata": {"name": "web-2", "namespace": "shop"}, "spec": spec})
    assert release.status.phase is Phase.PENDING
    assert release.spec.pod_labels == {"app": "web"}
    assert release.spec.strategy.canary == Canary(steps=(Step(set_weight=5),))
    with pytest.raises(msgspec.ValidationError):
        read_release({"metadata": {"name": "x", "namespace": "shop"}, "spec": {}})


def test_exactly_the_four_ends_are_finished() -> None:
    """Nothing more happens to a release in one of them."""
    ends = {phase.value for phase in Phase if phase.finished}
    assert ends == {"Succeeded", "Aborted", "Superseded", "RolledBack"}
