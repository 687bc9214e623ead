"""Where a proxy sends requests, read off the routes that it has applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.simulation.patches import Object

_NGINX = "nginx.ingress.kubernetes.io/"


class Target(NamedTuple):
    """A Service that a route names."""

    route: str
    service: str
    weight: int
    """0: named, and no request is sent there. Else what matters is only that it is more."""
    how: str = "weight"
    """``weight``, ``match`` (a header or cookie), ``mirror`` or ``preview`` (another host)."""


def targets_of_route(route: Object) -> Iterable[Target]:
    """Of an HTTPRoute: backends by weight; those of matched rules and mirrors apart."""
    name = route["metadata"]["name"]
    for rule in route["spec"].get("rules") or ():
        how = "match" if _matches_more(rule) else "weight"
        for ref in rule.get("backendRefs") or ():
            yield Target(name, ref["name"], ref.get("weight", 1), how)
        for each in rule.get("filters") or ():
            if each.get("type") == "RequestMirror":
                yield Target(name, each["requestMirror"]["backendRef"]["name"], 1, "mirror")


def _matches_more(rule: Object) -> bool:
    """Whether every match of the rule asks for headers, which no rule of the users does."""
    matches = rule.get("matches") or ()
    return bool(matches) and all(match.get("headers") for match in matches)


def targets_of_ingress(ingresses: Sequence[Object]) -> Iterable[Target]:
    """Of Ingresses in the nginx dialect: a canary's weight goes off its primary's backend."""
    canaries = [i for i in ingresses if _note(i, "canary") == "true"]
    for primary in ingresses:
        if primary in canaries:
            continue
        for where, service in _paths(primary):
            rest = 100
            for canary in canaries:
                beside = [s for w, s in _paths(canary) if w == where]
                weight = int(_note(canary, "canary-weight") or 0)
                matched = _note(canary, "canary-by-header") or _note(canary, "canary-by-cookie")
                for each in beside:
                    yield Target(primary["metadata"]["name"], each, weight)
                    if matched:
                        yield Target(primary["metadata"]["name"], each, 1, "match")
                    rest -= weight
            yield Target(primary["metadata"]["name"], service, max(0, rest))


def _note(ingress: Object, key: str) -> str | None:
    found: str | None = (ingress["metadata"].get("annotations") or {}).get(_NGINX + key)
    return found


def _paths(ingress: Object) -> Iterable[tuple[tuple[str, str], str]]:
    for rule in ingress["spec"].get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            yield (rule.get("host", ""), path["path"]), path["backend"]["service"]["name"]
