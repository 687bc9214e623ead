"""Rules that are put into an object which lists weighted Services, and taken out again.

Requests that match a header route have a copy of their rule with one condition more, whose
backends are the canary Service alone. Requests to be mirrored have a mirror in the rule itself, or,
where only some are, in a copy of it that begins with a canary Service. So both are known again: in
rules of the user's a canary Service always follows its root.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from msgspec.structs import replace

from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.objects.steps import HeaderMatch, MirrorRoute, RequestMatch
from webhook.projection.fields import write
from webhook.traffic.patterns import Inexpressible
from webhook.traffic.splits import Memory, beside, read_list

Part: TypeAlias = Literal["headers", "mirrors"]


@dataclass(frozen=True, slots=True)
class At:
    """A rule of the user's in its place."""

    object: Object
    rules: Sequence[Any]
    place: int
    sends: Callable[[Any], bool]
    """Whether a rule sends to the Service of which requests are to go over."""
    to: str
    """The canary Service."""

    @property
    def rule(self) -> Object:
        """The rule itself."""
        found: Object = self.rules[self.place]
        return found


def _not_some(_at: At, _entries: Sequence[RequestMatch]) -> list[Object]:
    raise Inexpressible("mirrors all requests of a rule, and not some")


def _no_mirror(_rule: Object, _backend: Object, _percent: int) -> Object:
    raise Inexpressible("has no room for mirrors, and Slipway makes no second object for them")


@dataclass(frozen=True, slots=True)
class Rules:
    """How a kind says that some requests are treated otherwise than the others."""

    field: str
    """The list in ``spec`` where rules stand."""
    backends: str
    """The list of backends in a rule."""
    narrowed: Callable[[At, Sequence[HeaderMatch]], list[Object]]
    """Copies for the requests that meet one of the entries; none if no request can. Their backends
    do not matter. Raises `Inexpressible`."""
    some: Callable[[At, Sequence[RequestMatch]], list[Object]] = _not_some
    """The same by other conditions, for requests that are mirrored."""
    mirrored: Callable[[Object, Object, int], Object] = _no_mirror
    """The rule with copies of so many percent for a backend. Raises `Inexpressible`."""
    unmirrored: Callable[[Object, Callable[[Object], bool]], Object] = lambda rule, _ours: rule
    """The same rule without a mirror to a backend of ours."""
    last: bool = False
    """Whether copies stand after all rules, where their order does not matter."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How an object's lists of backends are read."""

    key: Callable[[Any], str | None]
    """How a split names an entry's Service."""
    renamed: Callable[[Object, str], Object]
    counts: Callable[[Sequence[Any]], list[int]]

    def sent(self, entries: Sequence[Any], key: str) -> list[tuple[Object, int]]:
        """A Service's entries that get requests: weight 0 is the user's own no."""
        weighed = zip(entries, self.counts(entries), strict=True)
        return [(entry, count) for entry, count in weighed if count and self.key(entry) == key]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a share that an object can't show."""

    part: Part
    why: str
    """Completes "it ..."."""


@dataclass(frozen=True, slots=True)
class Room:
    """An object of the user's and how its kind is written."""

    rules: Rules
    listing: Listing
    users: Object
    lists: Sequence[Sequence[Any]]
    """All lists of backends, also those that stand in no rule."""

    def carried(self, shares: Mapping[str, Share]) -> tuple[dict[str, Share], list[Refusal]]:
        """The shares with only what the object has room and words for, and why not the rest."""
        kept: dict[str, Share] = {}
        refused: list[Refusal] = []
        for key, part in parts_of(shares):
            share = shares[key]
            bare = kept.get(key) or Share(canary=share.canary, weight=share.weight)
            tried = {**kept, key: replace(bare, **{part: getattr(share, part)})}
            try:
                self._has_requests(key)
                self.expanded(self.users, tried)
            except Inexpressible as error:
                refused.append(Refusal(part, str(error)))
            else:
                kept = tried
        return kept, refused

    def expanded(self, weighted: Object, shares: Mapping[str, Share]) -> Object:
        """The object, in which weights are shown, with mirrors and copies of its rules.

        Raises `Inexpressible`.
        """
        if not any(share.headers or share.mirrors for share in shares.values()):
            return weighted
        rules, out, after = self._rules_of(self.users), list[Any](), list[Any]()
        for place, shown in enumerate(self._rules_of(weighted)):
            mine = {
                key: share
                for key, share in sorted(shares.items())
                if self._over(rules[place], key, share.canary)
            }
            copies = [*self._sent_over(place, mine), *self._some_mirrored(place, shown, mine)]
            (after if self.rules.last else out).extend(copies)
            out.append(self._all_mirrored(place, shown, mine))
        return _with_rules(weighted, self.rules.field, [*out, *after])

    def _sent_over(self, place: int, shares: Mapping[str, Share]) -> Iterator[Object]:
        """Copies to a canary Service alone."""
        for key, share in shares.items():
            at = self._at(place, key, share)
            entries = [entry for header in share.headers for entry in header.match]
            for made in self.rules.narrowed(at, entries) if entries else ():
                yield {**made, self.rules.backends: self._over(at.rule, key, share.canary)}

    def _some_mirrored(
        self, place: int, shown: Object, shares: Mapping[str, Share]
    ) -> Iterator[Object]:
        """Copies that divide requests as the rule does, for those of which only some are meant."""
        ours = {beside(key, share.canary) for key, share in shares.items()}
        entries = read_list(shown, self.rules.backends)
        first = sorted(entries, key=lambda entry: self.listing.key(entry) not in ours)
        for key, share in shares.items():
            for mirror in share.mirrors:
                if not mirror.match or not mirror.percentage:
                    continue
                for copy in self.rules.some(self._at(place, key, share), mirror.match):
                    made = {**copy, self.rules.backends: first}
                    yield self._with_mirror(made, place, key, share, mirror)

    def _all_mirrored(self, place: int, shown: Any, shares: Mapping[str, Share]) -> Any:
        for key, share in shares.items():
            for mirror in share.mirrors:
                if not mirror.match and mirror.percentage:
                    shown = self._with_mirror(shown, place, key, share, mirror)
        return shown

    def _with_mirror(
        self, rule: Object, place: int, key: str, share: Share, mirror: MirrorRoute
    ) -> Object:
        [to, *_] = self._over(self._rules_of(self.users)[place], key, share.canary)
        return self.rules.mirrored(rule, to, mirror.percentage)

    def _at(self, place: int, key: str, share: Share) -> At:
        rules, to = self._rules_of(self.users), share.canary
        return At(self.users, rules, place, lambda rule: bool(self._over(rule, key, to)), to)

    def _over(self, rule: Any, key: str, canary: str) -> list[Object]:
        """A rule's entries for one Service, as they are for its canary Service alone."""
        sums: list[tuple[Object, int]] = []
        for entry, count in self.listing.sent(read_list(rule, self.rules.backends), key):
            made = self.listing.renamed(entry, canary)
            made = {name: value for name, value in made.items() if name != "weight"}
            before = next((n for there, n in sums if there == made), 0)
            sums = [(there, n) for there, n in sums if there != made]
            sums.append((made, before + count))
        if len(sums) < 2:
            return [made for made, _ in sums]
        return [{**made, "weight": count} for made, count in sums]

    def _rules_of(self, obj: Object) -> list[Any]:
        return read_list(obj.get("spec"), self.rules.field)

    def _has_requests(self, key: str) -> None:
        if any(self._over(rule, key, "") for rule in self._rules_of(self.users)):
            return
        if any(self.listing.sent(entries, key) for entries in self.lists):
            raise Inexpressible("divides only connections, and looks at no requests")


def without_ours(rules: Rules, listing: Listing, obj: Object, memory: Memory) -> Object:
    """The object without the rules and mirrors that were put in; weights stay as they are."""
    there = read_list(obj.get("spec"), rules.field)
    kept = [
        _users(rules, listing, rule, memory)
        for rule in there
        if not _put_in(rules, listing, rule, memory)
    ]
    return _with_rules(obj, rules.field, kept)


def _with_rules(obj: Object, field: str, rules: list[Any]) -> Object:
    """An object without any change is the very same."""
    there = read_list(obj.get("spec"), field)
    if len(rules) == len(there) and all(a is b for a, b in zip(rules, there, strict=True)):
        return obj
    return write(obj, ("spec", field), rules)


def _put_in(rules: Rules, listing: Listing, rule: Any, memory: Memory) -> bool:
    keys = [listing.key(entry) for entry in read_list(rule, rules.backends)]
    root = memory.canaries.get(keys[0] or "") if keys else None
    if root is None:
        return False
    if all(key in memory.canaries for key in keys):
        return True
    return root in keys and _users(rules, listing, rule, memory) is not rule


def _users(rules: Rules, listing: Listing, rule: Any, memory: Memory) -> Any:
    if not isinstance(rule, dict):
        return rule
    return rules.unmirrored(rule, lambda entry: listing.key(entry) in memory.canaries)


def parts_of(shares: Mapping[str, Share]) -> Iterator[tuple[str, Part]]:
    """What the shares ask for beyond weights."""
    for key, share in sorted(shares.items()):
        if any(header.match for header in share.headers):
            yield key, "headers"
        if any(mirror.percentage for mirror in share.mirrors):
            yield key, "mirrors"
