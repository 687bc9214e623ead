"""Reading reviews and writing answers, without a server."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.admission import review
from webhook.admission.answer import Answer, refusal, wire

AUDIT_KEY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
printable = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(uid=printable, warnings=st.lists(printable, max_size=20), audit=st.text(max_size=80))
def test_an_answer_is_always_one_that_the_api_server_takes(
    uid: str, warnings: list[str], audit: str
) -> None:
    """Whatever the texts are."""
    key = audit.encode("utf-8", "replace").decode()
    body = json.loads(review.allow(uid, [{"op": "remove", "path": "/x"}], warnings, {key: "v"}))
    response = body["response"]
    assert response["uid"] == uid
    assert json.loads(base64.b64decode(response["patch"])) == [{"op": "remove", "path": "/x"}]
    for warning in response.get("warnings", []):
        assert len(warning) <= 256
        assert not any(ord(character) < 32 for character in warning)
    assert sum(map(len, response.get("warnings", []))) <= 4096
    (key,) = response["auditAnnotations"]
    assert AUDIT_KEY.fullmatch(key)
    assert len(key) <= 63


def test_no_more_warnings_are_sent_than_the_api_server_passes_on() -> None:
    """4096 characters in all."""
    response = json.loads(review.allow("u", warnings=["w" * 300] * 99))["response"]
    assert sum(map(len, response["warnings"])) == 4096


def test_patch_and_patch_type_come_together_or_not_at_all() -> None:
    """The API server rejects one without the other."""
    with_patch: dict[str, Any] = json.loads(review.allow("u", [{"op": "x"}]))["response"]
    without: dict[str, Any] = json.loads(review.allow("u"))["response"]
    assert {"patch", "patchType"} <= with_patch.keys()
    assert without == {"uid": "u", "allowed": True}


def test_a_denial_is_short_enough_to_be_read() -> None:
    """One line, however long the reason."""
    status = json.loads(review.deny("u", "no\n" * 5000))["response"]["status"]
    assert len(status["message"]) <= review.MESSAGE_LENGTH
    assert "\n" not in status["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"kind":"AdmissionReview"}', b"\xff"])
def test_what_is_no_review_is_told_apart(body: bytes) -> None:
    """With a message that says what is wrong and quotes nothing of the body."""
    with pytest.raises(review.BadEnvelopeError, match=r"body|apiVersion|kind"):
        review.open_envelope(body)


def test_the_wire_form_has_what_a_client_needs() -> None:
    """The common answer and the rare ones have the same shape."""
    assert wire(Answer(200, b"{}"), close=False) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert wire(Answer(200, b"{}"), close=True).count(b"Connection: close\r\n") == 1
    assert wire(Answer(200, b"{}"), close=False, head_only=True).endswith(b"\r\n\r\n")
    late = wire(refusal(429, "later", (("Retry-After", "1"),)), close=False)
    assert late.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nRetry-After: 1\r\n" in late
