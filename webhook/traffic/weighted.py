"""Kinds whose objects list weighted Services: what they have in common, a dialect for each.

In every list that names a split Service its entry keeps the stable part, and an entry for the
canary Service follows it. All weights of an object are multiplied by one scale, so that a percent
of a small weight is a whole number: by 1 where it is one already, else by 100. The inverse takes
out what is ours and divides; weights that the user left out are left out again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from webhook import names
from webhook.objects.intent import Share, Split
from webhook.objects.raw import Object
from webhook.projection.fields import annotate
from webhook.traffic.contract import Annotate, Found, Objects, Router, Shown, Target, Write
from webhook.traffic.splits import (
    Memory,
    home_of,
    key_of,
    keyed,
    read_list,
    remembered,
    roots_in,
    shares_in,
    split_of,
    unscaled,
    with_shares,
)
from webhook.traffic.weighted_rules import Listing, Room, Rules, without_ours
from webhook.traffic.weights_only import more_than_weights, named

Entries: TypeAlias = list[Any]
Place: TypeAlias = tuple[str | int, ...]
"""Where a list stands in an object: keys of mappings, indexes of lists."""

_FINE: Final = 100


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind lists Services and their weights."""

    group: str
    kind: str
    places: Callable[[Object], Iterable[Place]]
    """Where the lists of backends stand."""
    service: Callable[[Object, str], tuple[str, str] | None]
    """(namespace, name) of the Service that an entry of an object in a namespace names."""
    renamed: Callable[[Object, str], Object]
    """The entry with another Service of the same namespace."""
    counts: Callable[[Sequence[Any]], list[int]]
    """The weight with which each entry of a list counts, whether it is written or implied."""
    largest: int = 2**31 - 1
    """The greatest weight that the API takes."""
    most: int | None = None
    """How many backends the API takes in a list; a longer list would be refused as a whole."""
    named_at_0: bool = True
    """Whether the canary Service is listed at weight 0. A proxy that learns of backends one by one
    has to know it before it gets requests; one that reads all at once need not."""
    affected: Callable[[Object, frozenset[Place]], tuple[str, ...]] = lambda _object, _places: ()
    """Hosts and paths, for people, whose requests go through these lists."""
    unprogrammed: Callable[[Object], str | None] = lambda _object: None
    """Why what an object says is not known to be live, where its controller reports that."""
    aside: Callable[[Any], bool] = lambda _entry: False
    """Whether an entry takes no part in the weights; its own, if it has one, is something else."""
    rules: Rules | None = None
    """How some requests are treated otherwise than the others; None: the kind has only weights."""
    brings_back: Callable[[Object], bool] = lambda _object: False
    """Whether an object of itself brings users back to the Service that answered them first."""
    left_behind: Callable[[Object], str | None] = lambda _entry: None
    """What an entry says that can't be said of the canary Service; completes "in it ..."."""


def weight_in(entry: Any) -> int | None:
    """The weight that is written in an entry."""
    weight = entry.get("weight") if isinstance(entry, dict) else None
    return weight if isinstance(weight, int) and not isinstance(weight, bool) else None


def places_in(field: str, inner: str) -> Callable[[Object], list[Place]]:
    """Where lists stand of which each item of a list in ``spec`` has one."""

    def places(obj: Object) -> list[Place]:
        return [("spec", field, i, inner) for i in range(len(read_list(obj.get("spec"), field)))]

    return places


def counts_as(implied: int) -> Callable[[Sequence[Any]], list[int]]:
    """How weights count where one that is left out is this much."""

    def counts(entries: Sequence[Any]) -> list[int]:
        weights = [weight_in(entry) for entry in entries]
        return [implied if weight is None else max(0, weight) for weight in weights]

    return counts


def router(dialect: Dialect) -> Router:
    """The row of a kind."""

    def project(users: Object, split: Split | None) -> Object:
        return _project(dialect, users, split)

    def restore(new: Object, old: Object | None = None) -> Object:
        return _restore(dialect, new, old)

    def services_of(obj: Object) -> frozenset[tuple[str, str]]:
        return frozenset(
            s for _, entries in _lists(dialect, obj) for s in _named(dialect, entries, obj)
        )

    def finds(objects: Objects, namespace: str, services: frozenset[str]) -> list[Found]:
        found = (
            Found(obj, roots_in(services_of(obj), namespace) & services)
            for obj in objects.get(dialect.kind, ())
        )
        return [each for each in found if each.roots]

    return Router(
        group=dialect.group,
        kind=dialect.kind,
        services_of=services_of,
        finds=finds,
        shares=lambda _objects, obj, namespace: shares_in(split_of(obj), namespace, home_of(obj)),
        unprogrammed=dialect.unprogrammed,
        projected=lambda obj: project(restore(obj), split_of(obj)),
        strays=lambda _objects, _namespace, _services: [],
        writes=lambda _objects, obj, shares, target: _writes(dialect, obj, shares, target),
        lacks=lambda _objects, obj, namespace, shares: _lacks(
            dialect, restore(obj), keyed(shares, namespace, home_of(obj))
        ),
        without=lambda _objects, obj, namespace, shares: _without(dialect, obj, namespace, shares),
        affected=lambda _objects, obj, namespace, services: _affected(
            dialect, restore(obj), namespace, services
        ),
        shown=Shown(project, restore),
    )


# The projection and its inverse


def _project(dialect: Dialect, users: Object, split: Split | None) -> Object:
    if split is None or not split.shares:
        return annotate(users, {names.SPLIT: None, names.ORIGINAL: None})
    shares = {k: share for k, share in split.shares.items() if share.weight or dialect.named_at_0}
    scale = _scale(dialect, users, shares)
    shown, implied = users, dict[str, int | None]()
    for number, (place, entries) in enumerate(_lists(dialect, users)):
        divided = _divided(dialect, entries, shares, scale, home_of(users))
        if divided is not entries and not _too_many(dialect, divided):
            shown = _put(shown, place, divided)
            implied |= _implied(dialect, entries, number)
    if dialect.rules:
        room = _room(dialect, dialect.rules, users)
        shown = room.expanded(shown, room.carried(split.shares)[0])
    memory = remembered(split, scale, implied).text()
    return annotate(shown, {names.SPLIT: split.text(), names.ORIGINAL: memory})


def _restore(dialect: Dialect, new: Object, old: Object | None) -> Object:
    """A list with an entry of ours shows a projection; one without was written as it stands."""
    memory = Memory.of(new) or Memory.of(old)
    if memory is None:
        return new
    if dialect.rules:
        new = without_ours(dialect.rules, _listing(dialect, new), new, memory)
    users = new
    for number, (place, entries) in enumerate(_lists(dialect, new)):
        united = _united(dialect, entries, memory, number, home_of(new))
        if united is not entries:
            users = _put(users, place, united)
    return users


def _divided(
    dialect: Dialect, entries: Entries, shares: Mapping[str, Share], scale: int, home: str
) -> Entries:
    if not any(_key(dialect, entry, home) in shares for entry in entries):
        return entries
    out: Entries = []
    for entry, weight in zip(entries, dialect.counts(entries), strict=True):
        if not isinstance(entry, dict) or dialect.aside(entry):
            out.append(entry)
            continue
        whole, share = weight * scale, shares.get(_key(dialect, entry, home) or "")
        canary = round(whole * share.weight / 100) if share else 0
        out.append({**entry, "weight": whole - canary})
        if share:
            out.append({**dialect.renamed(entry, share.canary), "weight": canary})
    return out


def _too_many(dialect: Dialect, entries: Entries) -> bool:
    return dialect.most is not None and len(entries) > dialect.most


def _united(dialect: Dialect, entries: Entries, memory: Memory, number: int, home: str) -> Entries:
    keys = [_key(dialect, entry, home) for entry in entries]
    if not any(key in memory.canaries for key in keys):
        return entries
    kept: Entries = []
    for entry, key in zip(entries, keys, strict=True):
        root = memory.canaries.get(key or "")
        if root is None:
            kept.append(entry)
        elif kept and _key(dialect, kept[-1], home) == root:
            kept[-1] = {**kept[-1], "weight": (weight_in(kept[-1]) or 0) + (weight_in(entry) or 0)}
    whole = [
        entry
        if (weight := weight_in(entry)) is None or dialect.aside(entry)
        else {**entry, "weight": unscaled(weight, memory.scale)}
        for entry in kept
    ]
    return _as_written(dialect, whole, memory, number)


def _implied(dialect: Dialect, entries: Entries, number: int) -> dict[str, int | None]:
    """What was not written as it counts, by number of the list and of the entry in it."""
    return {
        f"{number}.{i}": weight_in(entry)
        for i, (entry, counts) in enumerate(zip(entries, dialect.counts(entries), strict=True))
        if isinstance(entry, dict) and not dialect.aside(entry) and weight_in(entry) != counts
    }


def _as_written(dialect: Dialect, entries: Entries, memory: Memory, number: int) -> Entries:
    """Weights that the user left out, out again, as far as that means the same still."""
    plain = [
        _with_weight(entry, memory.implied[place])
        if (place := f"{number}.{i}") in memory.implied and isinstance(entry, dict)
        else entry
        for i, entry in enumerate(entries)
    ]
    same = dialect.counts(plain) == dialect.counts(entries)
    return plain if same else entries


def _with_weight(entry: Object, weight: int | None) -> Object:
    if weight is not None:
        return {**entry, "weight": weight}
    return {key: value for key, value in entry.items() if key != "weight"}


def _scale(dialect: Dialect, users: Object, shares: Mapping[str, Share]) -> int:
    """The smallest by which every part is a whole number, if the API takes such weights."""
    home, exact, largest = home_of(users), True, 0
    for _, entries in _lists(dialect, users):
        for entry, weight in zip(entries, dialect.counts(entries), strict=True):
            if dialect.aside(entry):
                continue
            share, largest = shares.get(_key(dialect, entry, home) or ""), max(largest, weight)
            exact = exact and (share is None or weight * share.weight % 100 == 0)
    return 1 if exact or largest * _FINE > dialect.largest else _FINE


# Reading


def _lists(dialect: Dialect, obj: Object) -> Iterator[tuple[Place, Entries]]:
    for place in dialect.places(obj):
        found = _get(obj, place)
        if isinstance(found, list):
            yield place, found


def _named(dialect: Dialect, entries: Entries, obj: Object) -> Iterator[tuple[str, str]]:
    for entry in entries:
        found = dialect.service(entry, home_of(obj)) if isinstance(entry, dict) else None
        if found:
            yield found


def _key(dialect: Dialect, entry: Any, home: str) -> str | None:
    found = dialect.service(entry, home) if isinstance(entry, dict) else None
    return key_of(*found, home) if found else None


def _listing(dialect: Dialect, obj: Object) -> Listing:
    home = home_of(obj)
    return Listing(lambda entry: _key(dialect, entry, home), dialect.renamed, dialect.counts)


def _room(dialect: Dialect, rules: Rules, users: Object) -> Room:
    lists = [entries for _, entries in _lists(dialect, users)]
    return Room(rules, _listing(dialect, users), users, lists)


def _get(obj: Any, place: Place) -> Any:
    for step in place:
        try:
            obj = obj[step]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


def _put(obj: Any, place: Place, value: Any) -> Any:
    """A copy with another value at a place that is there."""
    if not place:
        return value
    copied = obj.copy()
    copied[place[0]] = _put(obj[place[0]], place[1:], value)
    return copied


# What the engine asks


def _writes(
    dialect: Dialect, obj: Object, shares: Mapping[str, Share], target: Target
) -> list[Write]:
    """The object itself: its webhook shows what the annotation says."""
    wanted = with_shares(split_of(obj), shares, target, home_of(obj))
    split = Split(term=target.term, shares=wanted) if wanted else None
    return [Annotate(dialect.kind, obj, {names.SPLIT: split.text() if split else None})]


_ASKED: Final = {"headers": "carry the header route", "mirrors": "mirror requests"}


def _lacks(dialect: Dialect, users: Object, shares: Mapping[str, Share]) -> str | None:
    """Shares of other Deployments count too: they must not lose what is shown of them."""
    if dialect.rules is None and (why := more_than_weights(dialect.kind, users, shares)):
        return why
    name, present = named(dialect.kind, users), split_of(users)
    carried = {**(present.shares if present else {}), **shares}
    room = _room(dialect, dialect.rules, users) if dialect.rules else None
    for refusal in room.carried(carried)[1] if room else ():
        return f"{name} can't {_ASKED[refusal.part]}: it {refusal.why}"
    for share in shares.values():
        if share.preview:
            return f"{name} can't be previewed at {share.preview}: Slipway makes no second one"
    for _, entries in _lists(dialect, users):
        divided = _divided(dialect, entries, shares, 1, home_of(users))
        if _too_many(dialect, divided):
            return (
                f"{name} can't divide its traffic: it would have "
                f"{len(divided)} backends in a rule, which has at most {dialect.most}"
            )
    return None


def _without(
    dialect: Dialect, obj: Object, namespace: str, shares: Mapping[str, Share]
) -> tuple[str, ...]:
    name, home = named(dialect.kind, obj), home_of(obj)
    asked = keyed(shares, namespace, home)
    notes = [
        f"in {name} {said}"
        for _, entries in _lists(dialect, obj)
        for entry in entries
        if _key(dialect, entry, home) in asked and (said := dialect.left_behind(entry))
    ]
    if any(share.sticky for share in shares.values()) and not dialect.brings_back(obj):
        notes.insert(0, f"{name} does not bring users back to their version: no cookie is set")
    return tuple(dict.fromkeys(notes))


def _affected(
    dialect: Dialect, users: Object, namespace: str, services: frozenset[str]
) -> tuple[str, ...]:
    through = frozenset(
        place
        for place, entries in _lists(dialect, users)
        if roots_in(_named(dialect, entries, users), namespace) & services
    )
    return dialect.affected(users, through)
