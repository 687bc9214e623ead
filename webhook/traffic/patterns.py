"""What a policy's author wrote about a text, as a regular expression that every router reads alike.

Where an expression begins and ends is left to implementations of the Gateway API: Traefik looks
for it anywhere, Envoy wants all of the text. With both anchors it is the same.
"""

import re

from webhook.objects.steps import StringMatch


class Inexpressible(Exception):
    """What a step asks for can't be said to this router; the message completes "it ..."."""


def text_pattern(value: StringMatch) -> str:
    """A whole text, with both anchors."""
    return f"^{_inner(value, '.*')}$"


def cookie_pattern(name: str, value: StringMatch) -> str:
    """A ``Cookie`` header in which one cookie has this value."""
    return f"^(?:.*;)?[ ]*{_escaped(name)}={_inner(value, '[^;]*')}[ ]*(?:;.*)?$"


def _inner(value: StringMatch, anything: str) -> str:
    if value.exact is not None:
        return _escaped(value.exact)
    if value.prefix is not None:
        return _escaped(value.prefix) + anything
    return f"(?:{value.regex})"


def _escaped(text: str) -> str:
    # Traefik writes the expression between backticks, so that none may be in it.
    return re.escape(text).replace("`", r"\x60")
