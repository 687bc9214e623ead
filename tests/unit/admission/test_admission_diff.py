"""The patch that the webhook sends, judged by the jsonpatch library."""

import copy
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webhook.projection.diff import diff

keys = st.sampled_from(["", "a", "b", "~", "/", "~1", "a/b", "~0~1", "ключ", "0", "-"]) | st.text(
    max_size=4
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)  # no -0.0
    | st.sampled_from([0, 1, 0.0, 1.0, True, False, "", "1"])
    | st.text(max_size=4)
)
values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=5) | st.dictionaries(keys, children, max_size=5),
    max_leaves=20,
)


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def exactly(value: Any) -> str:
    """As JSON says it: true is not 1, and 1 is not 1.0."""
    return json.dumps(value, sort_keys=True)


@patient
@given(before=values, after=values)
def test_a_patch_applies_and_gives_what_was_decided(before: Any, after: Any) -> None:
    """Whatever the two values are; a patch that can't be applied would reject the write."""
    patch = diff(before, after)
    assert exactly(jsonpatch.apply_patch(copy.deepcopy(before), patch)) == exactly(after)


@st.composite
def edited(draw: st.DrawFn) -> tuple[Any, Any]:
    """A value, and a copy-on-write edit of it somewhere inside."""
    before = draw(values)

    def edit(value: Any) -> Any:
        if isinstance(value, dict) and value and draw(st.booleans()):
            key = draw(st.sampled_from(sorted(value)))
            return {**value, key: edit(value[key])}
        if isinstance(value, list) and value and draw(st.booleans()):
            at = draw(st.integers(0, len(value) - 1))
            kept = draw(st.sampled_from([[edit(value[at])], [], [value[at], draw(scalars)]]))
            return [*value[:at], *kept, *value[at + 1 :]]
        return draw(values)

    return before, edit(before)


@patient
@given(pair=edited())
def test_an_edit_deep_inside_applies_too(pair: tuple[Any, Any]) -> None:
    """Shared parts are skipped by identity, and nothing is lost by that."""
    before, after = pair
    patch = diff(before, after)
    assert exactly(jsonpatch.apply_patch(copy.deepcopy(before), patch)) == exactly(after)


@patient
@given(value=values)
def test_equal_values_need_no_patch(value: Any) -> None:
    """Neither the same object nor an equal copy."""
    assert diff(value, value) == []
    assert diff(value, copy.deepcopy(value)) == []


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1, "b/c~d": 2}, [{"op": "add", "path": "/b~1c~0d", "value": 2}]),
        ({"a": 1, "b": 2}, {"a": 1}, [{"op": "remove", "path": "/b"}]),
        ({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
        ({"a": {"": 0}}, {"a": {"": 1}}, [{"op": "replace", "path": "/a/", "value": 1}]),
        ({"labels": None}, {"labels": {}}, [{"op": "replace", "path": "/labels", "value": {}}]),
        (
            [{"n": "long enough to be worth it", "w": 1}, {"n": "b", "w": 2}],
            [{"n": "long enough to be worth it", "w": 1}, {"n": "b", "w": 3}],
            [{"op": "replace", "path": "/1/w", "value": 3}],
        ),
        (
            {"refs": [{"name": "shop-with-a-long-name", "weight": 1, "port": 80}]},
            {
                "refs": [
                    {"name": "shop-with-a-long-name", "weight": 1, "port": 80},
                    {"name": "c"},
                ]
            },
            [{"op": "add", "path": "/refs/1", "value": {"name": "c"}}],
        ),
        ([1, 2, 3, 4], [4, 3, 2, 1], [{"op": "replace", "path": "", "value": [4, 3, 2, 1]}]),
    ],
)
def test_only_what_changed_is_in_the_patch(before: Any, after: Any, patch: Any) -> None:
    """And a whole array only where that is shorter."""
    assert diff(before, after) == patch


def test_the_cost_is_that_of_the_change() -> None:
    """A part that is the request's own is not looked into, however large."""

    class Untouchable(dict[str, Any]):
        def __eq__(self, other: object) -> bool:
            raise AssertionError("looked into")

        __hash__ = None  # type: ignore[assignment]

        def items(self) -> Any:
            raise AssertionError("looked into")

    large = Untouchable(a=1)
    before = {"spec": large, "list": [large], "x": 1}
    assert diff(before, {**before, "x": 2}) == [{"op": "replace", "path": "/x", "value": 2}]
