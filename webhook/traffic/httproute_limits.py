"""What the schema of an HTTPRoute allows: a write beyond it would be refused as a whole.

Source: the CRD of Gateway API v1 (maxItems, maxLength, patterns, and the sum of all matches).
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from webhook.traffic.httproute_parts import (
    backends_of,
    filters_of,
    headers_of,
    matches_of,
    path_of,
)
from webhook.traffic.patterns import HEADER_NAME

RULES: Final = 16
MATCHES: Final = 64
MATCHES_IN_ALL: Final = 128
OTHERS: Final = 16
"""Backends and filters of a rule, filters of a backend, headers of a match."""

_PATH: Final = re.compile(r"/(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*", re.ASCII)
_NOT_IN_PATHS: Final = re.compile(r"//|/\.\.?(?:/|$)|%2[fF]")


def beyond(rules: Sequence[Any]) -> str | None:
    """What is not allowed in these rules, completing "it ..."; None if all is well."""
    if len(rules) > RULES:
        return f"would have {len(rules)} rules, and a route has at most {RULES}"
    total = sum(len(matches_of(rule)) for rule in rules)
    if total > MATCHES_IN_ALL:
        return f"would have {total} matches, and a route has at most {MATCHES_IN_ALL}"
    return next((why for rule in rules if (why := _beyond_in(rule))), None)


def _beyond_in(rule: Any) -> str | None:
    matches, refs = matches_of(rule), backends_of(rule)
    if len(matches) > MATCHES:
        return f"would have {len(matches)} matches in a rule, which has at most {MATCHES}"
    counts = {
        "backends": len(refs),
        "filters": max(len(filters_of(part)) for part in (rule, *refs)),
        "headers": max(len(headers_of(match)) for match in matches),
    }
    for what, count in counts.items():
        if count > OTHERS:
            return f"would have {count} {what} in a rule, which has at most {OTHERS}"
    return next((why for match in matches if (why := _unreadable(match))), None)


def _unreadable(match: Any) -> str | None:
    for header in headers_of(match):
        name, value = str(header.get("name")), str(header.get("value"))
        if not HEADER_NAME.fullmatch(name):
            return f"can't name the header {name!r}"
        if not 1 <= len(value) <= 4096:
            return f"can't ask for a header of {len(value)} characters"
    path = path_of(match)
    value = str(path.get("value", "/"))
    if len(value) > 1024:
        return f"can't match a path of {len(value)} characters"
    literal = path.get("type", "PathPrefix") != "RegularExpression"
    if literal and (not _PATH.fullmatch(value) or _NOT_IN_PATHS.search(value)):
        return f"can't match the path {value!r}"
    return None
