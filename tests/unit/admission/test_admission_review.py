"""Reading reviews and writing answers, without a server."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.admission import review
from webhook.admission.answer import Answer, refusal, response

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


def test_a_response_has_what_a_client_needs() -> None:
    """The common answer and the rare ones; none names the versions of what it is made with."""
    made = response(Answer(200, b"{}"), close=False)
    assert (made.status, made.body, made.content_type) == (200, b"{}", "application/json")
    assert made.headers["Server"] == "slipway"
    late = response(refusal(429, "later", (("Retry-After", "1"),)), close=True)
    assert (late.status, late.headers["Retry-After"], late.keep_alive) == (429, "1", False)
