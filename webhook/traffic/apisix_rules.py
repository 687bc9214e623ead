"""Header routes of an ApisixRoute: a copy of a rule with one expression more.

Source: APISIX ingress controller, reference of ApisixRoute v2 and its translator. All of ``exprs``
have to be met; a cookie is a scope of its own. Of rules with the same path the one with the higher
``priority`` goes first, 0 if left out; their order does not matter, but the controller numbers what
it makes by it, so that copies stand at the end. A rule's name is there only once.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, StringMatch
from webhook.traffic.patterns import HEADER_NAME, Inexpressible, condition, text_pattern
from webhook.traffic.splits import read_list
from webhook.traffic.weighted_rules import At, Rules


def _narrowed(at: At, entries: Sequence[HeaderMatch]) -> list[Object]:
    """One for each entry, since all expressions of a rule have to be met."""
    priority, match = _above(at), _match(at.rule)
    exprs = list(dict.fromkeys(_said(entry) for entry in entries))
    return [
        {
            **at.rule,
            "name": _name(at, number),
            "priority": priority,
            "match": {**match, "exprs": [*read_list(match, "exprs"), _expr(*said)]},
        }
        for number, said in enumerate(exprs)
    ]


def _said(entry: HeaderMatch) -> tuple[str, str, str, str]:
    """Scope, name, operator and value."""
    if entry.cookie_name is None or entry.cookie_value is None:
        wanted = condition(entry)
        return "Header", wanted.name, *_text(wanted.value, wanted.pattern)
    if not HEADER_NAME.fullmatch(entry.cookie_name):
        raise Inexpressible(f"can't name the cookie {entry.cookie_name!r}")
    return "Cookie", entry.cookie_name, *_text(entry.cookie_value, text_pattern(entry.cookie_value))


def _text(value: StringMatch, pattern: str) -> tuple[str, str]:
    return ("RegexMatch", pattern) if value.exact is None else ("Equal", value.exact)


def _expr(scope: str, name: str, op: str, value: str) -> Object:
    return {"subject": {"scope": scope, "name": name}, "op": op, "value": value}


def _name(at: At, number: int) -> str:
    digest = hashlib.blake2s(f"{at.to}/{number}".encode(), digest_size=4).hexdigest()
    return f"{at.rule.get('name')}-canary-{digest}"


def _above(at: At) -> int:
    """One more than its own rule's, which no rule of others may have for the same path."""
    above, paths = _priority(at.rule) + 1, _paths(at.rule)
    for place, other in enumerate(at.rules):
        if at.sends(other) or not paths & _paths(other):
            continue
        if _priority(other) == above:
            rules = f"{at.place + 1} and {place + 1}"
            raise Inexpressible(f"has no priority between its rules {rules}: set one in a rule")
    return above


def _priority(rule: Any) -> int:
    priority = rule.get("priority") if isinstance(rule, dict) else None
    return priority if isinstance(priority, int) else 0


def _paths(rule: Any) -> set[str]:
    return {str(path) for path in read_list(_match(rule), "paths")}


def _match(rule: Any) -> Object:
    found = rule.get("match") if isinstance(rule, dict) else None
    return found if isinstance(found, dict) else {}


RULES: Final = Rules(field="http", backends="backends", narrowed=_narrowed, last=True)
