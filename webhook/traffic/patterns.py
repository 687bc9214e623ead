"""What a policy's author wrote about a text, as a regular expression that every router reads alike.

Where an expression begins and ends is left to implementations of the Gateway API: Traefik looks
for it anywhere, Envoy wants all of the text. With both anchors it is the same.
"""

import re
from dataclasses import dataclass
from typing import Final

from webhook.objects.steps import HeaderMatch, StringMatch

HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}", re.ASCII)

_CLASS: Final = re.compile(r"\\\[|\[\^?\]?(?:\\.|[^\]\\])*\]")
_NOT_RE2: Final = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|\\[1-9]|[*+?}]\+")
"""Looking around, references to groups, and repeats that never give back."""


class Inexpressible(Exception):
    """What a step asks for can't be said to this router; the message completes "it ..."."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A header, and what its whole value has to be."""

    name: str
    value: StringMatch
    pattern: str
    """The same as an expression with both anchors."""


def condition(entry: HeaderMatch) -> Condition:
    """What a header route asks for; a cookie is looked for in the header ``Cookie``.

    Raises:
        Inexpressible: no header can have that name, or the value is empty or no expression.

    """
    if entry.cookie_name is not None and entry.cookie_value is not None:
        pattern = cookie_pattern(entry.cookie_name, entry.cookie_value)
        return Condition("Cookie", StringMatch(regex=pattern), pattern)
    name, value = entry.header_name or "", entry.header_value or StringMatch(exact="")
    if not HEADER_NAME.fullmatch(name):
        raise Inexpressible(f"can't name the header {name!r}")
    if "" in (value.exact, value.prefix, value.regex):
        raise Inexpressible(f"can't ask for the header {name} with an empty value")
    return Condition(name, value, text_pattern(value))


def text_pattern(value: StringMatch) -> str:
    """A whole text, with both anchors.

    Raises:
        Inexpressible: it is no expression that RE2 reads. One wrong expression can cost a proxy
            its whole configuration.

    """
    return f"^{_inner(value, '.*')}$"


def cookie_pattern(name: str, value: StringMatch) -> str:
    """A ``Cookie`` header in which one cookie has this value; raises as `text_pattern`."""
    return f"^(?:.*;)?[ ]*{_escaped(name)}={_inner(value, '[^;]*')}[ ]*(?:;.*)?$"


def _inner(value: StringMatch, anything: str) -> str:
    if value.exact is not None:
        return _escaped(value.exact)
    if value.prefix is not None:
        return _escaped(value.prefix) + anything
    return f"(?:{_read(value.regex or '')})"


def _read(regex: str) -> str:
    try:
        re.compile(regex)
    except re.error as error:
        raise Inexpressible(f"can't read the expression {regex!r}: {error}") from error
    if _NOT_RE2.search(_CLASS.sub("[]", regex)):
        raise Inexpressible(f"can't have the expression {regex!r}: RE2 does not know all of it")
    return regex


def _escaped(text: str) -> str:
    # Traefik writes the expression between backticks, so that none may be in it.
    return re.escape(text).replace("`", r"\x60")
