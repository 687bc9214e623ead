"""The weights of an HTTPRoute: only the share of a split Service is divided, in proportion.

Its own entry keeps the stable part and an entry for the canary Service follows it. Other
backends, filters and order stay. To have whole percents of small weights, all weights of a route
are multiplied by one scale (100, or 1 where the user's own weights are large); the inverse takes
out what is ours and divides.

Source: Gateway API v1 ``BackendRef.weight``, 0 to 1,000,000, relative, default 1.
"""

from collections.abc import Mapping
from typing import Any, Final

from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.traffic.httproute_parts import (
    Backends,
    backends_of,
    filters_of,
    key_in,
    objects_in,
    part_of,
    rules_of,
    weight_of,
)
from webhook.traffic.splits import Memory, unscaled

_SCALE: Final = 100
LARGEST: Final = 1_000_000


def scale_for(users: Object) -> int:
    """By how much the user's weights are multiplied."""
    largest = max(
        (
            weight_of(ref)
            for rule in rules_of(users)
            for ref in backends_of(rule)
            if isinstance(ref, dict)
        ),
        default=1,
    )
    return _SCALE if largest * _SCALE <= LARGEST else 1


def divided(refs: Backends, shares: Mapping[str, Share], scale: int, home: str) -> Backends:
    """The backends with the canary's entries; the same list if it names no split Service."""
    if not any(key_in(ref, home) in shares for ref in refs):
        return refs
    out: Backends = []
    for ref in refs:
        if not isinstance(ref, dict):
            out.append(ref)
            continue
        whole = weight_of(ref) * scale
        share = shares.get(key_in(ref, home) or "")
        if share is None:
            out.append({**ref, "weight": whole})
            continue
        canary = round(whole * share.weight / 100)
        out.append({**ref, "weight": whole - canary})
        out.append(_remembered({**ref, "name": share.canary, "weight": canary}, share))
    return out


def united(refs: Backends, memory: Memory, home: str) -> Backends:
    """The inverse of `divided`."""
    ours, scale = memory.canaries, memory.scale
    if not any(key_in(ref, home) in ours for ref in refs):
        return refs
    given: dict[int, int] = {}
    kept: Backends = []
    for ref in refs:
        key = key_in(ref, home)
        if key in ours:
            root = _last_keyed(kept, ours[key], home)
            if root is not None:
                given[root] = given.get(root, 0) + weight_of(ref)
        else:
            kept.append(ref)
    return [
        {**ref, "weight": unscaled(weight_of(ref) + given.get(i, 0), scale)}
        if isinstance(ref, dict)
        else ref
        for i, ref in enumerate(kept)
    ]


def takes_cookie(ref: Any) -> bool:
    """Whether a cookie can be set by a copy of this backend beside what its filters do."""
    return "set-cookie" not in {
        str(header.get("name")).lower()
        for item in filters_of(ref)
        for kind in ("add", "set")
        for header in objects_in(part_of(item, "responseHeaderModifier"), kind)
    }


def _remembered(ref: Object, share: Share) -> Object:
    """The canary's entry, setting the cookie that brings its users back."""
    sticky = share.sticky
    if sticky is None or not weight_of(ref):
        return ref
    cookie = {
        "name": "Set-Cookie",
        "value": f"{sticky.cookie}={sticky.value}; Path=/; Max-Age={sticky.seconds}",
    }
    kept: list[Any] = []
    there: Object = {}
    for item in filters_of(ref):
        if item.get("type") == "ResponseHeaderModifier":  # at most one is allowed
            there = part_of(item, "responseHeaderModifier")
        else:
            kept.append(item)
    change = {**there, "add": [*objects_in(there, "add"), cookie]}
    setter = {"type": "ResponseHeaderModifier", "responseHeaderModifier": change}
    return {**ref, "filters": [*kept, setter]}


def _last_keyed(refs: Backends, key: str, home: str) -> int | None:
    found = [i for i, ref in enumerate(refs) if key_in(ref, home) == key]
    return found[-1] if found else None
