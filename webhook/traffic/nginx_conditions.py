"""Which requests go to the canary whatever its weight, in the annotations of the nginx dialect.

One canary Ingress has room for one header and one cookie. A header is looked at first, then the
cookie, then the weight. Source: ingress-nginx annotations reference, section Canary.
"""

from webhook.objects.intent import Share
from webhook.objects.steps import HeaderMatch
from webhook.traffic.patterns import Inexpressible, cookie_pattern, text_pattern

_ALWAYS = "always"
"""The only value of a cookie that the dialect itself knows how to ask for."""


def conditions(share: Share) -> dict[str, str]:
    """Annotations without their prefix.

    Raises:
        Inexpressible: there is no room for all entries.

    """
    out: dict[str, str] = {}
    entries = [entry for header in share.headers for entry in header.match]
    for entry in dict.fromkeys(entries):
        wanted = _condition(entry)
        if wanted.keys() & out.keys():
            raise Inexpressible(
                f"has room for one header and one cookie with the value {_ALWAYS}, and "
                f"{len(entries)} conditions are asked for"
            )
        out |= wanted
    return out


def shown(share: Share) -> dict[str, str]:
    """`conditions`, or none of them where there is no room for all."""
    try:
        return conditions(share)
    except Inexpressible:
        return {}


def _condition(entry: HeaderMatch) -> dict[str, str]:
    if entry.cookie_name is not None and entry.cookie_value is not None:
        if entry.cookie_value.exact == _ALWAYS:
            return {"canary-by-cookie": entry.cookie_name}
        pattern = cookie_pattern(entry.cookie_name, entry.cookie_value)
        return {"canary-by-header": "Cookie", "canary-by-header-pattern": pattern}
    value, name = entry.header_value, entry.header_name or ""
    if value is None or value.exact == "" or not name:
        raise Inexpressible("can't ask for an empty header")
    if value.exact is not None:
        return {"canary-by-header": name, "canary-by-header-value": value.exact}
    return {"canary-by-header": name, "canary-by-header-pattern": text_pattern(value)}
