"""Which backends a Gateway sends a request to, by the precedence that Gateway API v1 defines."""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tests.strategies import Object
from webhook.objects.steps import HeaderMatch, StringMatch


@dataclass(frozen=True)
class Asked:
    """A request."""

    path: str = "/"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    """By name in lower case."""
    query: bool = False


REQUESTS = st.builds(
    Asked,
    path=st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/b", "/ab"]),
    method=st.sampled_from(["GET", "POST"]),
    headers=st.fixed_dictionaries(
        {},
        optional={
            "x-canary": st.sampled_from(["yes", "v1", "a.b", "axb", "no"]),
            "x-tenant": st.sampled_from(["a", "b", "yes"]),
            "x-who": st.sampled_from(["v2", "other"]),
            "cookie": st.sampled_from(
                ["who=yes", "a=b; who=v1; c=d", "nowho=yes", "seen=7f", "x=1;seen=7f", "seen=7e"]
            ),
        },
    ),
    query=st.booleans(),
)


def chosen(rules: list[Any], asked: Asked) -> Any:
    """The rule that gets the request, or None."""
    found = [
        (_precedence(match), -i, rule)
        for i, rule in enumerate(rules)
        for match in rule.get("matches") or [{}]
        if _takes(match, asked)
    ]
    return max(found, key=lambda each: each[:2])[2] if found else None


def parts(rule: Any) -> dict[str, Fraction]:
    """The share of each backend, by kind, namespace and name."""
    refs = (rule or {}).get("backendRefs") or []
    total = sum(ref["weight"] for ref in refs)
    out: dict[str, Fraction] = {}
    for ref in refs if total else []:
        name = f"{ref['kind']} {ref.get('namespace', '')}/{ref['name']}"
        out[name] = out.get(name, Fraction(0)) + Fraction(ref["weight"], total)
    return {name: part for name, part in out.items() if part}


def mirrors(rule: Any) -> list[str]:
    """Names of the Services that get a copy."""
    filters = (rule or {}).get("filters") or []
    return [
        item["requestMirror"]["backendRef"]["name"]
        for item in filters
        if item["type"] == "RequestMirror"
    ]


def means(entry: HeaderMatch, asked: Asked) -> bool:
    """Whether a request meets what a policy asks for."""
    if entry.header_name is not None and entry.header_value is not None:
        value = asked.headers.get(entry.header_name.lower())
        return value is not None and text(entry.header_value, value)
    cookies = dict(
        part.strip().split("=", 1) for part in asked.headers.get("cookie", "").split(";") if part
    )
    assert entry.cookie_value is not None
    value = cookies.get(entry.cookie_name or "")
    return value is not None and text(entry.cookie_value, value)


def text(wanted: StringMatch, value: str) -> bool:
    """As a policy's author would say it."""
    if wanted.exact is not None:
        return value == wanted.exact
    if wanted.prefix is not None:
        return value.startswith(wanted.prefix)
    return re.fullmatch(wanted.regex or "", value) is not None


def under(path: str, prefix: str) -> bool:
    """By whole path elements."""
    return prefix in ("/", path) or path.startswith(prefix + "/")


def _takes(match: Object, asked: Asked) -> bool:
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    if path["type"] == "Exact" and asked.path != path["value"]:
        return False
    if path["type"] == "PathPrefix" and not under(asked.path, path["value"]):
        return False
    if match.get("method") not in (None, asked.method):
        return False
    if match.get("queryParams") and not asked.query:
        return False
    return all(_has(asked, header) for header in match.get("headers") or [])


def _has(asked: Asked, header: Object) -> bool:
    value = asked.headers.get(header["name"].lower())
    if value is None or header["type"] == "Exact":
        return bool(value == header["value"])
    anywhere = re.search(header["value"], value) is not None
    assert anywhere == (re.fullmatch(header["value"], value) is not None), "gateways would differ"
    return anywhere


def _precedence(match: Object) -> tuple[Any, ...]:
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    return (
        path["type"] == "Exact",
        len(path["value"]),
        "method" in match,
        len(match.get("headers") or []),
        len(match.get("queryParams") or []),
    )
