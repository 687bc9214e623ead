"""Header routes of an IngressRoute: a copy of a route, whose ``match`` has one condition more.

Source: Traefik v3, reference of routers. Of the routes that match, the one with the highest
``priority`` is taken; where it is not set, or 0, it is the length of ``match``. Two of the same
priority have no order that is promised. Values stand between backquotes; expressions are looked
for anywhere in a value. Rules in the syntax of v2 (``syntax: v2``) name two of the functions
otherwise.
"""

import re
from collections.abc import Sequence
from typing import Final

from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch
from webhook.traffic.patterns import Condition, Inexpressible, condition
from webhook.traffic.weighted_rules import At, Rules

_FUNCTIONS: Final = {"v2": ("Headers", "HeadersRegexp")}
_V3: Final = ("Header", "HeaderRegexp")
_HIGHEST: Final = 2**63 - 1001  # what the CRD allows
_LITERAL: Final = re.compile(r"(Host|Path|PathPrefix)\(`([^`*]*)`\)")


def _narrowed(at: At, entries: Sequence[HeaderMatch]) -> list[Object]:
    """It goes before its own route, and before none that went before that one."""
    names = _FUNCTIONS.get(str(at.rule.get("syntax")), _V3)
    conditions = [_said(condition(entry), *names) for entry in entries]
    match = f"({at.rule.get('match')}) && ({' || '.join(dict.fromkeys(conditions))})"
    return [{**at.rule, "match": match, "priority": _above(at)}]


def _said(wanted: Condition, exactly: str, by_expression: str) -> str:
    """A backquote ends a value: in a value of the author's it is escaped, in an expression not."""
    if "`" in wanted.name or "`" in wanted.pattern:
        raise Inexpressible("can't have a backquote in a name or an expression")
    if wanted.value.exact is None or "`" in wanted.value.exact:
        return f"{by_expression}(`{wanted.name}`, `{wanted.pattern}`)"
    return f"{exactly}(`{wanted.name}`, `{wanted.value.exact}`)"


def _above(at: At) -> int:
    """One more than its own route's, which no route of others may have for the same requests."""
    above = _priority(at.rule) + 1
    if above == 0 or above > _HIGHEST:
        raise Inexpressible(f"has a route of priority {above - 1}: no number is next to it")
    for place, other in enumerate(at.rules):
        if not isinstance(other, dict) or at.sends(other) or _apart(at.rule, other):
            continue
        if _priority(other) == above:
            routes = f"{at.place + 1} and {place + 1}"
            raise Inexpressible(f"has no priority between its routes {routes}: set one in a route")
    return above


def _priority(route: Object) -> int:
    priority = route.get("priority")
    if isinstance(priority, int) and priority:
        return priority
    match = str(route.get("match"))
    if "**" in match:  # newer versions do not count them
        raise Inexpressible("has a host with ** and no priority: set one")
    return len(match.encode())


def _apart(one: Object, other: Object) -> bool:
    """Whether surely no request meets both: they have other hosts, or no path in common."""
    mine, theirs = _literals(one), _literals(other)
    if "Host" in mine and "Host" in theirs and mine["Host"].lower() != theirs["Host"].lower():
        return True
    ours, exact = mine.get("Path"), theirs.get("Path")
    if ours is not None and exact is not None:
        return ours != exact
    here, there = ours or mine.get("PathPrefix", ""), exact or theirs.get("PathPrefix", "")
    in_there = here.startswith(there) and exact is None
    return not (in_there or (there.startswith(here) and ours is None))


def _literals(route: Object) -> dict[str, str]:
    """What a rule asks for beyond doubt: the values of what is joined by ``&&`` alone."""
    match = str(route.get("match"))
    return {} if "||" in match or "!" in match else dict(_LITERAL.findall(match))


RULES: Final = Rules(field="routes", backends="services", narrowed=_narrowed)
