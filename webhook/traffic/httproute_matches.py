"""Narrowing what a rule of an HTTPRoute matches, and which of two matches goes first.

Source: Gateway API v1, ``HTTPRouteRule.matches`` (precedence) and ``HTTPHeaderMatch`` (a match
names a header once).
"""

from typing import Any, Final, TypeAlias

from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, RequestMatch, StringMatch
from webhook.traffic.httproute_parts import headers_of, objects_in, path_of
from webhook.traffic.patterns import Inexpressible, cookie_pattern, text_pattern

Rank: TypeAlias = tuple[bool, int, bool, int, int, int]
"""Exact path, length of the path, method, headers, query parameters, minus the rule's place."""

_COOKIE: Final = "Cookie"


def narrowed_by_header(match: Object, entry: HeaderMatch) -> Object | None:
    """Both at once; None if no request can meet both.

    Raises:
        Inexpressible: the user's match names the header already.

    """
    return _with_header(match, *_header(entry))


def narrowed_by_request(match: Object, entry: RequestMatch) -> Object | None:
    """Both at once; None if no request can meet both.

    Raises:
        Inexpressible: the two can't be said in one match.

    """
    made: Object | None = match
    if entry.path is not None:
        made = _with_path(match, entry.path)
    if made is not None and entry.method is not None:
        made = _with_method(made, entry.method)
    for name, value in sorted(entry.headers.items()):
        if made is not None:
            made = _with_header(made, name, *_text(value))
    return made


def rank(match: Object, place: int) -> Rank:
    """The greater one gets the request, where both match."""
    path = path_of(match)
    return (
        path.get("type") == "Exact",
        len(str(path.get("value", "/"))),
        "method" in match,
        len(headers_of(match)),
        len(objects_in(match, "queryParams")),
        -place,
    )


def disjoint(one: Object, other: Object) -> bool:
    """Whether surely no request meets both."""
    a, b = one.get("method"), other.get("method")
    if (a is not None and b is not None and a != b) or _paths_apart(_path(one), _path(other)):
        return True
    there = {_lower(h): h for h in headers_of(one)}
    return any(
        (mine := there.get(_lower(h))) is not None
        and mine.get("value") != h.get("value")
        and mine.get("type", "Exact") == h.get("type", "Exact") == "Exact"
        for h in headers_of(other)
    )


def _header(entry: HeaderMatch) -> tuple[str, str, str]:
    """Name, type and value."""
    if entry.cookie_name is not None and entry.cookie_value is not None:
        return _COOKIE, "RegularExpression", cookie_pattern(entry.cookie_name, entry.cookie_value)
    return entry.header_name or "", *_text(entry.header_value or StringMatch(exact=""))


def _text(value: StringMatch) -> tuple[str, str]:
    if value.exact is not None:
        return "Exact", value.exact
    return "RegularExpression", text_pattern(value)


def _with_header(match: Object, name: str, kind: str, value: str) -> Object | None:
    headers = headers_of(match)
    wanted = {"type": kind, "name": name, "value": value}
    for there in headers:
        if _lower(there) != name.lower():
            continue
        if (there.get("type", "Exact"), there.get("value")) == (kind, value):
            return match
        if kind == there.get("type", "Exact") == "Exact":
            return None
        raise Inexpressible(f"asks for the header {name} twice, which one match can't")
    return {**match, "headers": [*headers, wanted]}


def _with_method(match: Object, value: StringMatch) -> Object | None:
    if value.exact is None:
        raise Inexpressible("matches a method by a pattern, and a route can only name one")
    if match.get("method") not in (None, value.exact):
        return None
    return {**match, "method": value.exact}


def _with_path(match: Object, value: StringMatch) -> Object | None:
    kind, here = _path(match)
    wanted, there = "PathPrefix", value.prefix or value.exact or "/"
    if value.exact is not None:
        wanted = "Exact"
    if value.regex is not None:
        wanted, there = "RegularExpression", text_pattern(value)
    path = {"type": wanted, "value": there}
    if (kind, here) in (("PathPrefix", "/"), (wanted, there)):
        return {**match, "path": path}
    if "RegularExpression" in (kind, wanted):
        raise Inexpressible("matches a path by an expression, in a rule that has its own path")
    if _paths_apart((kind, here), (wanted, there)):
        return None
    if kind == "Exact" or (wanted == "PathPrefix" and _under(here, there)):
        return match
    return {**match, "path": path}


def _paths_apart(one: tuple[str, str], other: tuple[str, str]) -> bool:
    (a, x), (b, y) = one, other
    if "RegularExpression" in (a, b):
        return False
    if a == b == "Exact":
        return x != y
    if a == "Exact":
        return not _under(x, y)
    if b == "Exact":
        return not _under(y, x)
    return not (_under(x, y) or _under(y, x))


def _path(match: Object) -> tuple[str, str]:
    path = path_of(match)
    return str(path.get("type", "PathPrefix")), str(path.get("value", "/"))


def _under(path: str, prefix: str) -> bool:
    """Whether a path lies under a prefix, by whole elements."""
    prefix = prefix.rstrip("/")
    return path == prefix or path.startswith(prefix + "/") or not prefix


def _lower(header: Any) -> str:
    return str(header.get("name", "")).lower()
