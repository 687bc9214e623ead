"""Ingress for Skipper: weights by Service in an annotation, a path once for each Service.

Source: Skipper, ingress usage (``zalando.org/backend-weights``) and how it reads weights: they
hold for the whole Ingress; one that is left out is 0; where all Services of a path have 0, each
gets as much.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

import msgspec

from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.projection.fields import annotate, annotations
from webhook.traffic.ingress_weights import Dialect, Kept, backends, text_of_users, with_paths
from webhook.traffic.nginx_preview import CLASS, sent_to, service_name
from webhook.traffic.patterns import Inexpressible

WEIGHTS: Final = "zalando.org/backend-weights"
_PREFIX: Final = "zalando.org/"
_WHOLE: Final = 100
"""The weight of a Service that has none, where it needs one."""


def speaks(ingress: Object) -> bool:
    """Whether it is of the class ``skipper`` or has an annotation of Skipper's."""
    notes = annotations(ingress)
    name = (ingress.get("spec") or {}).get("ingressClassName") or notes.get(CLASS)
    return name == "skipper" or any(key.startswith(_PREFIX) for key in notes)


def services(ingress: Object) -> frozenset[str]:
    """Names of the Services that it sends to."""
    return frozenset(name for b in backends(ingress) if (name := service_name(b)))


def divided(users: Object, shares: Mapping[str, Share]) -> tuple[Object, Kept]:
    """Each path to a split Service twice, and weights by which all others keep their part."""
    mine = {root: share for root, share in shares.items() if root in services(users)}
    kept = Kept({share.canary: root for root, share in mine.items()})
    if not mine:
        return users, kept
    default = service_name((users.get("spec") or {}).get("defaultBackend"))
    if default in mine:
        raise Inexpressible(f"has {default} as its default backend, which can't have a weight")
    text = annotations(users).get(WEIGHTS)
    before = _read(text)
    whole = _needed(users, before, mine)
    after = dict(whole)
    for root, share in mine.items():
        canary = whole.get(root, Fraction(0)) * share.weight / 100
        after |= {root: whole.get(root, Fraction(0)) - canary, share.canary: canary}

    def twice(path: Any) -> list[Any]:
        share = mine.get(service_name(path.get("backend")) or "")
        return [path, _to(path, share.canary)] if share else [path]

    shown = with_paths(users, twice)
    kept = Kept(kept.canaries, {WEIGHTS: text})
    return annotate(shown, {WEIGHTS: _written(after)}), kept


def hidden(new: Object, kept: Kept) -> Object:
    """Without the paths to canary Services, and with the user's weights."""

    def users(path: Any) -> list[Any]:
        return [] if service_name(path.get("backend")) in kept.canaries else [path]

    text = text_of_users(new, kept, WEIGHTS, lambda here: _united(here, kept))
    back = with_paths(new, users)
    return back if text == annotations(new).get(WEIGHTS) else annotate(back, {WEIGHTS: text})


def affected(ingress: Object, roots: frozenset[str]) -> tuple[str, ...]:
    """Hosts and paths that lead to these Services."""
    return tuple(
        f"{rule.get('host') or '*'}{path.get('path') or '/'}"
        for rule in (ingress.get("spec") or {}).get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
        if service_name(path.get("backend")) in roots
    )


def _needed(
    users: Object, weights: Mapping[str, Fraction], mine: Mapping[str, Share]
) -> dict[str, Fraction]:
    """Weights with which every path divides as before, and the split Services count.

    Raises:
        Inexpressible: a weight that one path needs would change another path.

    """
    out = dict(weights)
    for there in _paths(users):
        if there & mine.keys() and not any(weights.get(name) for name in there):
            out |= dict.fromkeys(there, Fraction(_WHOLE))
    for there in _paths(users):
        if _parts(there, weights) != _parts(there, out):
            which = ", ".join(sorted(there))
            raise Inexpressible(f"has one weight for a Service in all paths, and {which} need two")
    return out


def _paths(ingress: Object) -> Iterator[frozenset[str]]:
    """The Services of each host and path."""
    for rule in (ingress.get("spec") or {}).get("rules") or []:
        found: dict[str, set[str]] = {}
        for path in (rule.get("http") or {}).get("paths") or []:
            if name := service_name(path.get("backend")):
                found.setdefault(str(path.get("path") or ""), set()).add(name)
        yield from map(frozenset, found.values())


def _parts(there: frozenset[str], weights: Mapping[str, Fraction]) -> dict[str, Fraction]:
    total = sum((weights.get(name, Fraction(0)) for name in there), Fraction(0))
    return {
        name: weights.get(name, Fraction(0)) / total if total else Fraction(1, len(there))
        for name in there
    }


def _to(path: Object, service: str) -> Object:
    return {**path, "backend": sent_to(path["backend"], service)}


def _read(text: Any) -> dict[str, Fraction]:
    """A weight may be any number."""
    if text is None:
        return {}
    try:
        found = msgspec.json.decode(text, type=dict[str, float])
    except (msgspec.DecodeError, TypeError) as error:
        raise Inexpressible(f"has weights that can't be read: {error}") from error
    if any(weight < 0 for weight in found.values()):
        raise Inexpressible("has a weight below 0")
    return {name: Fraction(str(weight)) for name, weight in found.items()}


def _written(weights: Mapping[str, Fraction]) -> str:
    plain = {name: int(w) if w.denominator == 1 else float(w) for name, w in weights.items()}
    return msgspec.json.encode(plain, order="sorted").decode()


def _united(text: str, kept: Kept) -> str | None:
    """A text that somebody edited while it was shown."""
    try:
        weights = _read(text)
    except Inexpressible:
        return None
    if not weights.keys() & kept.canaries.keys():
        return None
    for canary, root in kept.canaries.items():
        weights[root] = weights.get(root, Fraction(0)) + weights.pop(canary, Fraction(0))
    return _written(weights)


DIALECT: Final = Dialect(
    speaks=speaks,
    controls=lambda controller: "skipper" in controller,
    services=services,
    divided=divided,
    hidden=hidden,
    affected=affected,
)
