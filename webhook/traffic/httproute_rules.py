"""The rules that an HTTPRoute shows while it is split: weights, and rules that are put in.

A rule that is put in stands before the user's rule that it was made from, and its first backend
is a canary Service: so it is known again. In a rule of the user's a canary Service always follows
its root. Requests that match a header route, or carry the cookie of a user who saw the new
version, have a rule to the canary Service alone; requests to be mirrored have a copy of the rule
with a filter, or, where all are mirrored, the filter is on the rule itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from msgspec.structs import replace

from webhook.objects.intent import Share, Split
from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, MirrorRoute, StringMatch
from webhook.traffic.httproute_limits import beyond
from webhook.traffic.httproute_matches import (
    disjoint,
    narrowed_by_header,
    narrowed_by_request,
    rank,
)
from webhook.traffic.httproute_parts import (
    backends_of,
    filters_of,
    key_in,
    matches_of,
    part_of,
    rules_of,
    sends_to,
)
from webhook.traffic.httproute_weights import divided, scale_for, takes_cookie, united
from webhook.traffic.patterns import Inexpressible
from webhook.traffic.splits import Memory, beside, home_of

Part: TypeAlias = Literal["weight", "headers", "mirrors", "sticky"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a share that the route can't show."""

    key: str
    part: Part
    why: str
    """Completes "it ..."."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a route shows of a split."""

    rules: list[Any]
    scale: int
    refused: tuple[Refusal, ...]


def show(users: Object, split: Split) -> Shown:
    """Every part of the split that the user's route has room and words for, weights first."""
    scale = scale_for(users)
    rules, refused = rules_of(users), []
    shown: dict[str, Share] = {}
    for key, part in _parts(split):
        tried = {**shown, key: _with_part(split.shares[key], shown.get(key), part)}
        try:
            made = _rules(users, tried, scale)
            why = beyond(made)
        except Inexpressible as error:
            why = str(error)
        if why is None:
            shown, rules = tried, made
        else:
            refused.append(Refusal(key, part, why))
    return Shown(rules, scale, tuple(refused))


def hidden(rules: Sequence[Any], memory: Memory, home: str) -> list[Any]:
    """The inverse of `show`: the user's rules behind what a route shows.

    A list of filters that was empty comes back as none.
    """
    return [_users(rule, memory, home) for rule in rules if not _put_in(rule, memory, home)]


def _parts(split: Split) -> Iterator[tuple[str, Part]]:
    shares = sorted(split.shares.items())
    yield from ((key, "weight") for key, _ in shares)
    yield from ((key, "headers") for key, share in shares if any(h.match for h in share.headers))
    if "mirror" in split.features:
        yield from ((key, "mirrors") for key, share in shares if share.mirrors)
    if "cookie" in split.features:
        yield from ((key, "sticky") for key, share in shares if share.sticky and share.weight)


def _with_part(share: Share, shown: Share | None, part: Part) -> Share:
    if part == "weight" or shown is None:
        return Share(canary=share.canary, weight=share.weight)
    return replace(shown, **{part: getattr(share, part)})


@dataclass(frozen=True, slots=True)
class _At:
    """A user's rule in its place."""

    rules: Sequence[Any]
    place: int
    home: str

    @property
    def rule(self) -> Any:
        return self.rules[self.place]

    def rewrites_prefix(self) -> bool:
        """Whether its prefix is part of what it does: then it must have one match, with it."""
        parts = [self.rule, *backends_of(self.rule)]
        return any(
            part_of(item, "urlRewrite", "path").get("type") == "ReplacePrefixMatch"
            for part in parts
            for item in filters_of(part)
        )


def _rules(users: Object, shares: Mapping[str, Share], scale: int) -> list[Any]:
    rules, home = rules_of(users), home_of(users)
    out: list[Any] = []
    for place in range(len(rules)):
        out += _expanded(_At(rules, place, home), shares, scale)
    return out


def _expanded(at: _At, shares: Mapping[str, Share], scale: int) -> list[Any]:
    """The rule with its weights, and before it the rules made from it."""
    refs = backends_of(at.rule)
    changed = divided(refs, shares, scale, at.home) if refs else refs
    weighted = at.rule if changed is refs else {**at.rule, "backendRefs": changed}
    mine = {
        key: share
        for key, share in sorted(shares.items())
        if (share.headers or share.mirrors or share.sticky) and sends_to(at.rule, key, at.home)
    }
    out: list[Any] = []
    for base in (*_mirrored_copies(at, weighted, mine), _mirrored(at, weighted, mine)):
        for key, share in mine.items():
            out += _sent_over(at, base, key, share)
        out.append(base)
    return out


def _sent_over(at: _At, base: Any, key: str, share: Share) -> list[Any]:
    """Rules to the canary Service alone."""
    entries = [entry for header in share.headers for entry in header.match]
    refs = sends_to(at.rule, key, at.home)
    if share.sticky:
        if not all(takes_cookie(ref) for ref in refs):
            raise Inexpressible("has a filter that sets a cookie already")
        said = StringMatch(exact=share.sticky.value)
        entries.append(HeaderMatch(cookie_name=share.sticky.cookie, cookie_value=said))
    matches = _narrowed(at, matches_of(base), entries, narrowed_by_header, key)
    body = {**at.rule, "backendRefs": [{**ref, "name": share.canary} for ref in refs]}
    return _with_matches(at, body, matches)


def _mirrored_copies(at: _At, weighted: Any, mine: Mapping[str, Share]) -> list[Any]:
    """For mirror routes that match some requests: the rule, for those, with the filter."""
    out: list[Any] = []
    ours = {beside(key, share.canary) for key, share in mine.items()}
    for key, share in mine.items():
        others = {k: s for k, s in mine.items() if k != key}
        for mirror in share.mirrors:
            if not mirror.match or not mirror.percentage:
                continue
            matches = _narrowed(at, matches_of(at.rule), mirror.match, narrowed_by_request, key)
            if at.rewrites_prefix() and not _same_paths(matches, matches_of(at.rule)):
                raise Inexpressible("rewrites a path prefix, so no other path can be mirrored")
            made = _mirrored(at, weighted, others)
            filters = [*filters_of(made), _mirror(at, key, share, mirror)]
            refs = sorted(backends_of(weighted), key=lambda ref: key_in(ref, at.home) not in ours)
            body = {**made, "filters": filters, "backendRefs": refs}
            out += _with_matches(at, body, matches)
    return out


def _mirrored(at: _At, weighted: Any, mine: Mapping[str, Share]) -> Any:
    """The rule itself, with the filters of mirror routes that match all requests."""
    added = [
        _mirror(at, key, share, mirror)
        for key, share in mine.items()
        for mirror in share.mirrors
        if not mirror.match and mirror.percentage
    ]
    return {**weighted, "filters": [*filters_of(weighted), *added]} if added else weighted


def _mirror(at: _At, key: str, share: Share, mirror: MirrorRoute) -> Object:
    ref = sends_to(at.rule, key, at.home)[0]
    to = {"group": "", "kind": "Service", "name": share.canary}
    to |= {field: ref[field] for field in ("namespace", "port") if field in ref}
    request: Object = {"backendRef": to}
    if mirror.percentage < 100:
        request["percent"] = mirror.percentage
    return {"type": "RequestMirror", "requestMirror": request}


def _with_matches(at: _At, body: Object, matches: Sequence[Object]) -> list[Any]:
    """The rule under these matches; a name may be there only once in a route."""
    body = {field: value for field, value in body.items() if field != "name"}
    if at.rewrites_prefix():
        return [{**body, "matches": [match]} for match in matches]
    return [{**body, "matches": list(matches)}] if matches else []


def _narrowed(
    at: _At,
    matches: Sequence[Object],
    entries: Sequence[T],
    narrow: Callable[[Object, T], Object | None],
    key: str,
) -> list[Object]:
    """Every match with every entry; refused where another rule would lose requests."""
    out: list[Object] = []
    for match in matches:
        for entry in entries:
            made = narrow(match, entry)
            if made is not None and made not in out:
                _overtakes_nobody(at, match, made, key)
                out.append(made)
    return out


def _overtakes_nobody(at: _At, match: Object, made: Object, key: str) -> None:
    """A narrower match goes first; a rule that went before the user's must still do so.

    Rules that send to the same Service get a rule of their own for the same requests.
    """
    before, after = rank(match, at.place), rank(made, at.place)
    for place, rule in enumerate(at.rules):
        if place == at.place or sends_to(rule, key, at.home):
            continue
        for other in matches_of(rule):
            if before < rank(other, place) < after and not disjoint(made, other):
                raise Inexpressible(f"would take requests from its rule {place + 1}")


def _same_paths(some: Sequence[Object], others: Sequence[Object]) -> bool:
    paths = [match.get("path") for match in others]
    return all(match.get("path") in paths for match in some)


def _put_in(rule: Any, memory: Memory, home: str) -> bool:
    ours = [key_in(ref, home) in memory.canaries for ref in backends_of(rule)]
    if not ours or not ours[0]:
        return False
    return all(ours) or any(_mirrors_to_ours(f, memory, home) for f in filters_of(rule))


def _users(rule: Any, memory: Memory, home: str) -> Any:
    refs, filters = backends_of(rule), filters_of(rule)
    kept = [item for item in filters if not _mirrors_to_ours(item, memory, home)]
    back = united(refs, memory, home)
    if back is not refs:
        rule = {**rule, "backendRefs": back}
    if len(kept) == len(filters):
        return rule
    rest = {field: value for field, value in rule.items() if field != "filters"}
    return {**rest, "filters": kept} if kept else rest


def _mirrors_to_ours(item: Any, memory: Memory, home: str) -> bool:
    return key_in(part_of(item, "requestMirror", "backendRef"), home) in memory.canaries
