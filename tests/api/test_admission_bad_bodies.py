"""Bodies that are no review: refused in plain JSON, and the process goes on."""

import gzip
import json
from typing import Any

import pytest
from admission_wire import post, review
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webhook.admission.limits import MIB

GOOD = json.dumps(review()).encode()


def without(*path: str) -> bytes:
    """A good review with one part taken away."""
    body = review()
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    return json.dumps(body).encode()


def nested(depth: int) -> bytes:
    """An object nested this deep inside a good review."""
    return GOOD.replace(b'"replicas": 3', b'"deep": ' + b"[" * depth + b"]" * depth)


NO_ENVELOPE: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"hello",
    "half a review": GOOD[: len(GOOD) // 2],
    "two reviews": GOOD + GOOD,
    "not UTF-8": GOOD.replace(b"shop", b"sh\xffp", 1),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "NaN": GOOD.replace(b'"replicas": 3', b'"replicas": NaN'),
    "an infinite number": GOOD.replace(b'"replicas": 3', b'"replicas": 1e999'),
    "half a surrogate pair": GOOD.replace(b'"shop"', b'"\\ud800"', 1),
    "a NUL byte": GOOD + b"\x00",
    "a list": b"[" + GOOD + b"]",
    "a string": b'"AdmissionReview"',
    "null": b"null",
    "the wrong kind": GOOD.replace(b'"AdmissionReview"', b'"SubjectAccessReview"'),
    "the wrong version": GOOD.replace(b"k8s.io/v1", b"k8s.io/v1beta1"),
    "kind is a number": GOOD.replace(b'"AdmissionReview"', b"5"),
    "no kind": without("kind"),
    "no apiVersion": without("apiVersion"),
    "no request": without("request"),
    "request is a list": json.dumps(review() | {"request": []}).encode(),
    "no uid": without("request", "uid"),
    "an empty uid": json.dumps(review(uid="")).encode(),
    "a uid that is a number": json.dumps(review(uid=7)).encode(),
    "an endless uid": json.dumps(review(uid="u" * 5000)).encode(),
    "100,000 levels": nested(100_000),
    "a million brackets": b"[" * 1_000_000,
}


@pytest.mark.parametrize("case", NO_ENVELOPE)
async def test_a_body_with_no_envelope_is_refused_in_plain_json(rig: Any, case: str) -> None:
    """Where no uid can be echoed the answer is 400 with one error, and no traceback."""
    reply = await rig.client.post(NO_ENVELOPE[case])
    assert reply.status == 400
    assert list(reply.json) == ["error"]
    assert "Traceback" not in reply.body.decode()
    assert rig.seen.failures == ["envelope"]


@pytest.mark.parametrize("depth", [100, 900])
async def test_a_deep_object_is_answered(rig: Any, depth: int) -> None:
    """Depth alone is no reason to refuse; what is deeper than Python's stack passes unguarded."""

    def walk(value: Any) -> None:
        for child in value.values() if isinstance(value, dict) else value:
            if isinstance(child, dict | list):
                walk(child)

    def mutate(request: Any) -> Any:
        walk(request.object)
        walk(request.object)
        return unchanged(request)

    unchanged, rig.mutate = rig.mutate, mutate
    reply = await rig.client.post(nested(depth))
    assert reply.response["allowed"] is True


async def test_the_last_of_two_equal_keys_counts(rig: Any) -> None:
    """As in the API server itself."""
    twice = GOOD.replace(b'"uid": "', b'"uid": 5, "uid": "')
    assert (await rig.client.post(twice)).status == 200


async def test_a_huge_number_passes(rig: Any) -> None:
    """It is out of range for a field, which is for the API server to say."""
    reply = await rig.client.post(GOOD.replace(b'"replicas": 3', b'"replicas": ' + b"9" * 400))
    assert reply.status in (200, 400)


async def test_a_gzip_body_is_refused(rig: Any) -> None:
    """Nothing is inflated, so nothing can explode."""
    reply = await rig.client.post(gzip.compress(GOOD), Content_Encoding="gzip")
    assert reply.status == 415
    assert "Content-Encoding" in reply.json["error"]
    assert (await rig.client.post(gzip.compress(GOOD))).status == 400


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ("application/json;charset=utf-16", 415),
        ("application/yaml", 415),
        ("text/plain", 415),
        ("", 415),
        (None, 415),
    ],
)
async def test_only_json_is_taken(rig: Any, content_type: str, status: int) -> None:
    """The API server says application/json."""
    assert (await rig.client.post(GOOD, Content_Type=content_type)).status == status


async def test_8_mib_are_refused_before_they_are_read(rig: Any) -> None:
    """The Content-Length is enough; the client need not even begin."""
    async with rig.client.wire() as wire:
        await wire.send(post(b"", Content_Length=str(8 * MIB)))
        reply = await wire.reply()
        assert reply.status == 413
        assert reply.headers["connection"] == "close"


async def test_8_mib_in_chunks_are_refused_on_the_way(rig: Any) -> None:
    """With no length said, the bytes are counted; the refusal still reaches the client."""
    head = post(b"", Content_Length=None, Transfer_Encoding="chunked")
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    async with rig.client.wire() as wire:
        await wire.send(head)
        for _ in range(128):
            await wire.send(piece)
        assert (await wire.reply()).status == 413


async def test_6_mib_are_taken(rig: Any) -> None:
    """Two objects near etcd's limit and their wrapping fit."""
    big = review(object={"metadata": {"annotations": {"x": "y" * (6 * MIB)}}})
    assert (await rig.client.post(big)).response["allowed"] is True


async def test_7_mib_of_empty_lists_do_not_stop_the_server(rig: Any) -> None:
    """The most Python objects that a body can make."""
    body = GOOD.replace(b'"replicas": 3', b'"x": [' + b"[]," * (2 * MIB) + b"[]]", 1)
    assert (await rig.client.post(body)).status == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children),
    max_leaves=12,
)
PARTS = [*review()["request"], "subResource"]
fuzz = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzz
@given(changes=st.dictionaries(st.sampled_from(PARTS), json_values, max_size=4))
async def test_no_value_anywhere_in_a_request_breaks_the_server(rig: Any, changes: Any) -> None:
    """Whatever stands in a request, the answer is a review or a plain 400."""
    reply = await rig.client.post(review(**changes))
    assert reply.status in (200, 400)
    if reply.status == 200:
        assert reply.response["allowed"] is True


@fuzz
@given(
    cut=st.integers(0, len(GOOD)),
    noise=st.binary(max_size=40),
    skip=st.integers(0, 40),
)
async def test_no_damage_to_the_bytes_breaks_the_server(
    rig: Any, cut: int, noise: bytes, skip: int
) -> None:
    """A review with bytes replaced, lost or added is answered with a review or a plain 400."""
    reply = await rig.client.post(GOOD[:cut] + noise + GOOD[cut + skip :])
    assert reply.status in (200, 400)
