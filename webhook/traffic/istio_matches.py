"""Narrowing what an HTTP rule of a VirtualService matches.

Source: Istio, reference of VirtualService (``HTTPMatchRequest``, ``StringMatch``). All that a match
asks for has to be met; names of headers are in lower case; an expression has to match the whole
text; a prefix of a path is one of its text, whatever elements it ends in.
"""

from collections.abc import Sequence
from typing import Any

from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, RequestMatch, StringMatch
from webhook.traffic.patterns import Inexpressible, condition, text_pattern


def narrowed_by_header(match: Object, entry: HeaderMatch) -> list[Object]:
    """The match with one condition more; none if no request can meet both.

    Raises:
        Inexpressible: the two can't be said in one match.

    """
    wanted = condition(entry)
    return _with_header(match, wanted.name, _text(wanted.value, wanted.pattern))


def narrowed_by_request(match: Object, entry: RequestMatch) -> list[Object]:
    """The same for a request's method, path and headers, each of which has to be met."""
    made = [match]
    for name, value in sorted(entry.headers.items()):
        both = HeaderMatch(header_name=name, header_value=value)
        made = [new for old in made for new in narrowed_by_header(old, both)]
    if entry.method is not None:
        text = _text(entry.method, text_pattern(entry.method))
        made = [new for old in made for new in _with_text(old, "method", text)]
    if entry.path is not None:
        paths = _paths(entry.path)
        made = [new for old in made for path in paths for new in _with_text(old, "uri", path)]
    return made


def asks_by_expression(entry: HeaderMatch | RequestMatch) -> bool:
    """Whether a match for it needs an expression."""
    if isinstance(entry, HeaderMatch):
        return entry.header_value is None or entry.header_value.regex is not None
    texts = (entry.method, entry.path, *entry.headers.values())
    return any(text is not None and text.regex is not None for text in texts)


def _text(value: StringMatch, pattern: str) -> Object:
    if value.exact is not None:
        return {"exact": value.exact}
    if value.prefix is not None:
        return {"prefix": value.prefix}
    return {"regex": pattern}


def _paths(value: StringMatch) -> Sequence[Object]:
    """A prefix means whole elements, as in a policy for any other kind of route."""
    if value.prefix is None:
        return [_text(value, text_pattern(value))]
    path = value.prefix.rstrip("/")
    return [{"exact": path}, {"prefix": f"{path}/"}] if path else [{"prefix": "/"}]


def _with_header(match: Object, name: str, text: Object) -> list[Object]:
    found = match.get("headers")
    headers: Object = found if isinstance(found, dict) else {}
    there = next((key for key in headers if key.lower() == name.lower()), name.lower())
    both = _both(headers.get(there), text, f"header {name}")
    return [] if both is None else [{**match, "headers": {**headers, there: both}}]


def _with_text(match: Object, field: str, text: Object) -> list[Object]:
    if field == "uri" and "uri" in match and match.get("ignoreUriCase"):
        raise Inexpressible("matches a path in any case, and has a match for it already")
    both = _both(match.get(field), text, "path" if field == "uri" else field)
    return [] if both is None else [{**match, field: both}]


def _both(there: Any, wanted: Object, what: str) -> Object | None:
    """A text that is what both say; None if none can be."""
    if there in (None, wanted):
        return wanted
    if not isinstance(there, dict) or "regex" in {**there, **wanted} or not there:
        raise Inexpressible(f"matches the {what} already, and one match can't do so twice")
    for one, other in ((there, wanted), (wanted, there)):
        text = str(one.get("exact", one.get("prefix")))
        if ("exact" in one and text == other.get("exact")) or (
            "prefix" in other and text.startswith(str(other["prefix"]))
        ):
            return one
    return None
