"""Durations as Kubernetes writes them: ``500ms``, ``30s``, ``1m30s``, ``2h``."""

import re
from datetime import timedelta
from functools import lru_cache

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_UNIT_MS = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0, "h": 3_600_000.0}


@lru_cache(maxsize=256)
def parse_duration(text: str) -> timedelta:
    """Read a duration; raises ValueError that says what is wrong with ``text``."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write for example 500ms, 30s, 1m30s or 2h")
    return timedelta(milliseconds=sum(float(n) * _UNIT_MS[u] for n, u in parts))


def format_duration(value: timedelta) -> str:
    """Write a duration so that `parse_duration` reads it back, to the millisecond."""
    rest = round(value.total_seconds() * 1000)
    if rest <= 0:
        return "0s"
    out = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, rest = divmod(rest, size)
        out += f"{count}{unit}" if count else ""
    return out
