"""Every line of the log is one event that a machine or a person can read."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from webhook.telemetry import log


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_an_event_is_one_line_of_json_with_its_fields() -> None:
    """Event, level, time and whatever was given."""
    out = io.StringIO()
    log.configure("info", "json", out)
    structlog.get_logger(__name__).info("lease_acquired", lease="a/b", term=3, odd={1, 2}.__class__)
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["lease"], line["term"]) == (
        "lease_acquired",
        "info",
        "a/b",
        3,
    )
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_look_like_ours() -> None:
    """aiohttp and asyncio log through the same renderer, with the name of their logger."""
    out = io.StringIO()
    log.configure("info", "json", out)
    logging.getLogger("aiohttp.server").error("bad %s", "request")
    logging.getLogger("aiohttp.access").info("GET / 200")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["event"], line["logger"], line["level"]) for line in lines] == [
        ("bad request", "aiohttp.server", "error")
    ]


def test_a_traceback_stays_inside_its_line() -> None:
    """One event, one line, also for a crash, ours or a library's."""
    out = io.StringIO()
    log.configure("info", "json", out)
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("crashed")
        logging.getLogger("lib").exception("crashed too")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == 2
    assert all("ValueError: no" in line["exception"] for line in lines)


def test_what_is_below_the_level_is_not_written() -> None:
    """Ours and the libraries'."""
    out = io.StringIO()
    log.configure("warning", "json", out)
    structlog.get_logger().info("quiet")
    logging.getLogger("lib").info("quiet")
    assert out.getvalue() == ""


def test_a_person_gets_readable_lines() -> None:
    """No JSON, and no colours where there is no terminal."""
    out = io.StringIO()
    log.configure("debug", "console", out)
    structlog.get_logger().debug("lease_acquired", term=3)
    assert "lease_acquired" in out.getvalue()
    assert "term=3" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_warnings_of_python_go_into_the_log() -> None:
    """Nothing is written beside it."""
    out = io.StringIO()
    log.configure("info", "json", out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in json.loads(out.getvalue())["event"]


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    """A typing error does not silence the log."""
    with pytest.raises(ValueError, match="use debug, info, warning"):
        log.configure("loud")
