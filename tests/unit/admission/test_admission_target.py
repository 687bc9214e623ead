"""The request target, and the time that the API server gives us."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.admission.target import parse_duration, parse_target


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("1h", 3600.0),
        ("2µs", 2e-6),
        ("", None),
        ("5", None),
        ("-5s", None),
        ("5 s", None),
        ("1e9s", None),
        ("٥s", None),
    ],
)
def test_a_go_duration_is_read(text: str, seconds: float | None) -> None:
    """As ``time.Duration`` prints it; anything else says nothing."""
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


def test_the_timeout_is_found_among_other_parameters() -> None:
    """And a target without one has none."""
    assert parse_target(b"/mutate?a=b&timeout=3s&c") == ("/mutate", 3.0)
    assert parse_target(b"/mutate") == ("/mutate", None)
    assert parse_target(b"/mutate?timeout=soon") == ("/mutate", None)


@settings(deadline=None)
@given(url=st.binary(max_size=600))
def test_no_target_is_too_strange(url: bytes) -> None:
    """A target is a path and perhaps seconds, whatever its bytes."""
    path, timeout = parse_target(url)
    assert "?" not in path
    assert timeout is None or timeout >= 0
