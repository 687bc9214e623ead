"""Ingresses whose weights stand in annotations as JSON: what the dialects have in common.

The split is shown in the user's own Ingress. Texts come back byte for byte, since the user's own
are remembered; one that somebody edited while it was shown comes back by value.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import field
from msgspec.structs import replace

from webhook import names
from webhook.objects.intent import Share, Split
from webhook.objects.raw import Object
from webhook.projection.fields import annotate, annotations
from webhook.traffic.contract import Annotate, Objects, Target, Write
from webhook.traffic.patterns import Inexpressible
from webhook.traffic.splits import Noted, home_of, split_of, with_shares
from webhook.traffic.weights_only import more_than_weights, named

KIND: Final = "Ingress"


class Kept(Noted, frozen=True, omit_defaults=True):
    """What the user had where a split is shown."""

    canaries: dict[str, str]
    """Canary Services that were put in, each with its root Service."""
    texts: dict[str, str | None] = field(default_factory=dict)
    """Annotations as the user wrote them; None for one that was not there."""
    shown: dict[str, str] = field(default_factory=dict)
    """Digests of what these annotations show instead: by them an edit is known."""
    ports: dict[str, Any] = field(default_factory=dict)
    """The port of a backend that became an action, by Service."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one controller is told about weights."""

    speaks: Callable[[Object], bool]
    """Whether the Ingress, by what it says itself, is for this controller."""
    controls: Callable[[str], bool]
    """Whether an IngressClass of this ``spec.controller`` is the controller's."""
    services: Callable[[Object], frozenset[str]]
    """Names of the Services that an Ingress sends to."""
    divided: Callable[[Object, Mapping[str, Share]], tuple[Object, Kept]]
    """The user's Ingress with these shares in it; raises `Inexpressible`."""
    hidden: Callable[[Object, Kept], Object]
    """The user's Ingress behind a written one."""
    affected: Callable[[Object, frozenset[str]], tuple[str, ...]]
    """Hosts and paths that lead to these Services."""
    forfeits: Callable[[Object], str | None] = lambda _service: None
    """What a Service says that would not hold any more while its traffic is divided."""


def project(dialect: Dialect, users: Object, split: Split | None) -> Object:
    """The user's Ingress with the split shown in it, or, with None, as it is."""
    if split is None or not split.shares:
        return annotate(users, {names.SPLIT: None, names.ORIGINAL: None})
    try:
        shown, kept = dialect.divided(users, split.shares)
    except Inexpressible:
        return annotate(users, {names.SPLIT: split.text(), names.ORIGINAL: None})
    texts = {key: annotations(shown).get(key) for key in kept.texts}
    kept = replace(kept, shown={key: _digest(text) for key, text in texts.items()})
    return annotate(shown, {names.SPLIT: split.text(), names.ORIGINAL: kept.text()})


def restore(dialect: Dialect, new: Object, old: Object | None = None) -> Object:
    """The user's Ingress behind a written one."""
    kept = Kept.of(new) or Kept.of(old)
    return new if kept is None else dialect.hidden(new, kept)


def lacks(
    dialect: Dialect, objects: Objects, obj: Object, shares: Mapping[str, Share]
) -> str | None:
    """Why the Ingress can't carry these shares."""
    for service in objects.get("Service", ()):
        mine = home_of(service) == home_of(obj) and service["metadata"]["name"] in shares
        if mine and (why := dialect.forfeits(service)):
            return f"{named(KIND, obj)} can't divide its traffic: {why}"
    present = split_of(obj)
    try:
        dialect.divided(restore(dialect, obj), {**(present.shares if present else {}), **shares})
    except Inexpressible as error:
        return f"{named(KIND, obj)} can't divide its traffic: it {error}"
    return more_than_weights(KIND, obj, shares)


def writes(obj: Object, shares: Mapping[str, Share], target: Target) -> list[Write]:
    """The object itself: its webhook shows what the annotation says."""
    wanted = with_shares(split_of(obj), shares, target, home_of(obj))
    split = Split(term=target.term, shares=wanted) if wanted else None
    return [Annotate(KIND, obj, {names.SPLIT: split.text() if split else None})]


def text_of_users(
    new: Object, kept: Kept, key: str, united: Callable[[str], str | None]
) -> str | None:
    """An annotation as the user has it behind a written Ingress.

    ``united`` takes what is ours out of a text; None where nothing of ours is in it.
    """
    here = annotations(new).get(key)
    if _digest(here) == kept.shown.get(key):
        return kept.texts.get(key)
    if not isinstance(here, str) or (plain := united(here)) is None:
        return here
    return plain if kept.texts.get(key) is not None else None


def _digest(text: Any) -> str:
    return hashlib.blake2s(str(text).encode(), digest_size=8).hexdigest()


def backends(ingress: Object) -> Iterator[Any]:
    """Every backend, the default one first."""
    spec = ingress.get("spec") or {}
    if spec.get("defaultBackend"):
        yield spec["defaultBackend"]
    for rule in spec.get("rules") or []:
        for path in (rule.get("http") or {}).get("paths") or []:
            yield path.get("backend")


def with_paths(ingress: Object, change: Callable[[Any], list[Any]]) -> Object:
    """The Ingress with other paths for each of its paths; the very same if all stay."""
    spec = ingress.get("spec") or {}
    rules, changed = [], False
    for rule in spec.get("rules") or []:
        http = rule.get("http") or {}
        there = http.get("paths") or []
        paths = [made for path in there for made in change(path)]
        same = len(paths) == len(there) and all(a is b for a, b in zip(paths, there, strict=True))
        rules.append(rule if same else {**rule, "http": {**http, "paths": paths}})
        changed = changed or not same
    return {**ingress, "spec": {**spec, "rules": rules}} if changed else ingress
