"""The request target of an HTTP request: path, and the time that the API server gives us."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?)(h|ms|us|µs|ns|m|s)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern}){{1,6}}")
_LONGEST: Final = 512


class Target(NamedTuple):
    """A parsed request target."""

    path: str
    timeout: float | None
    """Seconds that are left for the answer; None where nothing (readable) is said."""


@lru_cache(maxsize=128)
def parse_target(url: bytes) -> Target:
    """Split a request target; never raises. The API server sends the same few for ever."""
    path, _, query = url[:_LONGEST].decode("latin-1").partition("?")
    timeout = None
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "timeout":
            timeout = parse_duration(value)
    return Target(path, timeout)


def parse_duration(text: str) -> float | None:
    """Return the seconds of a Go duration such as ``1m30s``; None if it is none."""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
