"""Reading the bytes of a review: quick, and with nothing lost that a decision may want."""

import gc
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from webhook.admission.decode import decode

RECORDED = sorted((Path(__file__).parents[3] / "bench" / "reviews").glob("*.json"))


def whole(value: Any) -> Any:
    """A decoded part with the bytes in it decoded as well."""
    if isinstance(value, msgspec.Raw):
        return orjson.loads(bytes(value))
    if isinstance(value, dict):
        return {key: whole(child) for key, child in value.items()}
    return value


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_every_part_of_a_users_object_is_there(file: Path) -> None:
    """Real reviews of all kinds and sizes: the objects and who asks, value for value."""
    body = file.read_bytes()
    quick, slow = decode(body)["request"], orjson.loads(body)["request"]
    for key in ("object", "oldObject", "uid", "kind", "namespace", "name", "operation", "options"):
        assert whole(quick.get(key)) == slow.get(key)
    assert quick["userInfo"]["username"] == slow["userInfo"]["username"]


def test_the_parts_that_no_decision_reads_stay_bytes() -> None:
    """They are half of an object."""
    (file,) = (file for file in RECORDED if file.stem == "medium-release")
    obj = decode(file.read_bytes())["request"]["object"]
    assert isinstance(obj["metadata"]["managedFields"], msgspec.Raw)
    assert isinstance(obj["status"], msgspec.Raw)


@pytest.mark.parametrize(
    "body",
    [
        b"[1, null]",
        b'{"request": 5}',
        b'{"request": {"object": "x", "uid": null, "userInfo": []}}',
        b'{"request": {"object": {"metadata": 1, "more": 2}}}',
    ],
)
def test_a_review_of_another_shape_is_read_whole(body: bytes) -> None:
    """Whoever judges it has to see it."""
    assert decode(body) == orjson.loads(body)


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b"[" * 100_000, b'{"kind": "\xff"}'])
def test_what_is_no_json_is_refused_and_the_garbage_collector_is_left_on(body: bytes) -> None:
    """One error for all of it."""
    with pytest.raises(orjson.JSONDecodeError):
        decode(body)
    assert gc.isenabled()
