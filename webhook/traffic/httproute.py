"""HTTPRoute (Gateway API v1): the split is written into ``backendRefs[].weight``.

Only the share of a split Service is divided, in proportion: its own entry keeps the stable
part and an entry for the canary Service follows it. Other backends, filters, order and rules
without backends stay. To have whole percents of small weights, all weights of a route are
multiplied by one scale (100, or 1 where the user's own weights are large); the inverse takes
out what is ours and divides.

Source: Gateway API v1 ``BackendRef.weight``, 0 to 1,000,000, relative, default 1.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from webhook import names
from webhook.objects.intent import Share, Split, read_intent
from webhook.objects.raw import Object
from webhook.projection.fields import ABSENT, annotate, annotations, read, write
from webhook.traffic.contract import Annotate, Found, Objects, Router, Target, Write

_RULES = ("spec", "rules")
_SCALE: Final = 100
_LARGEST: Final = 1_000_000

_Backends = list[Any]


def split_of(obj: Object | None) -> Split | None:
    """The split on a route, None if it has none."""
    return read_intent(Split, annotations(obj).get(names.SPLIT)) if obj else None


def services_of(route: Object) -> frozenset[tuple[str, str]]:
    """(namespace, name) of every Service that the route sends requests to."""
    home = _home(route)
    return frozenset(
        (ref.get("namespace") or home, str(ref.get("name")))
        for rule in _rules(route)
        for ref in _backends(rule)
        if _is_service(ref)
    )


def project(users: Object, split: Split | None) -> Object:
    """The user's route with the split shown in it, or, with None, the route as it is."""
    if split is None or not split.shares:
        return annotate(users, {names.SPLIT: None, names.ORIGINAL: None})
    scale = _scale_for(users)
    home = _home(users)
    shown = _each_rule(users, lambda refs: _divided(refs, split, scale, home))
    memory = _Memory(
        scale, {_beside(root, share.canary): root for root, share in split.shares.items()}
    )
    return annotate(shown, {names.SPLIT: split.text(), names.ORIGINAL: memory.text()})


def restore(new: Object, old: Object | None = None) -> Object:
    """The user's route behind ``new``.

    A rule with an entry of ours was read from the cluster and shows a projection: what is
    ours goes, weights are divided. A rule without one was written by the user as it stands.
    """
    memory = _Memory.of(new) or _Memory.of(old)
    if memory is None:
        return new
    home = _home(new)
    return _each_rule(new, lambda refs: _united(refs, memory, home))


def projected(obj: Object) -> Object:
    """``obj`` as the webhook would have stored it: equal, unless a write passed without it."""
    return project(restore(obj), split_of(obj))


def _divided(refs: _Backends, split: Split, scale: int, home: str) -> _Backends:
    if not any(_key(ref, home) in split.shares for ref in refs):
        return refs
    out: _Backends = []
    for ref in refs:
        if not isinstance(ref, dict):
            out.append(ref)
            continue
        whole = _weight(ref) * scale
        share = split.shares.get(_key(ref, home) or "")
        if share is None:
            out.append({**ref, "weight": whole})
            continue
        canary = round(whole * share.weight / 100)
        out.append({**ref, "weight": whole - canary})
        out.append({**ref, "name": share.canary, "weight": canary})
    return out


def _united(refs: _Backends, memory: "_Memory", home: str) -> _Backends:
    ours, scale = memory.canaries, memory.scale
    if not any(_key(ref, home) in ours for ref in refs):
        return refs
    given: dict[int, int] = {}
    kept: _Backends = []
    for ref in refs:
        key = _key(ref, home)
        if key in ours:
            root = _last_keyed(kept, ours[key], home)
            if root is not None:
                given[root] = given.get(root, 0) + _weight(ref)
        else:
            kept.append(ref)
    return [
        {**ref, "weight": _unscaled(_weight(ref) + given.get(i, 0), scale)}
        if isinstance(ref, dict)
        else ref
        for i, ref in enumerate(kept)
    ]


def _last_keyed(refs: _Backends, key: str, home: str) -> int | None:
    found = [i for i, ref in enumerate(refs) if _key(ref, home) == key]
    return found[-1] if found else None


def _home(route: Object) -> str:
    return str((route.get("metadata") or {}).get("namespace") or "")


def _key(ref: Any, home: str) -> str | None:
    """A Service backend's name, with its namespace where that is not the route's own."""
    if not _is_service(ref):
        return None
    return key_of(ref.get("namespace") or home, str(ref.get("name")), home)


def key_of(namespace: str, service: str, home: str) -> str:
    """How a split in a route of namespace ``home`` names a Service."""
    return service if namespace == home else f"{namespace}/{service}"


def _beside(root: str, canary: str) -> str:
    """The key of a canary Service, which is where its root is."""
    namespace, slash, _ = root.rpartition("/")
    return f"{namespace}{slash}{canary}"


def _unscaled(weight: int, scale: int) -> int:
    """A weight that the scale does not divide was never shown by us: the user set it."""
    return weight // scale if weight % scale == 0 else weight


def _scale_for(users: Object) -> int:
    largest = max(
        (
            _weight(ref)
            for rule in _rules(users)
            for ref in _backends(rule)
            if isinstance(ref, dict)
        ),
        default=1,
    )
    return _SCALE if largest * _SCALE <= _LARGEST else 1


class _Memory(msgspec.Struct, frozen=True):
    """What tells our part of a route from the user's; it describes the route as it is."""

    scale: int
    canaries: dict[str, str]
    """Canary Services that were put in, each with its root Service."""

    @classmethod
    def of(cls, obj: Object | None) -> "_Memory | None":
        """Read it off a route; None where nothing of ours is in the rules."""
        text = annotations(obj).get(names.ORIGINAL) if obj else None
        try:
            return msgspec.json.decode(text, type=cls) if isinstance(text, str) else None
        except (msgspec.DecodeError, ValueError):
            return None

    def text(self) -> str:
        """The annotation's value."""
        return msgspec.json.encode(self, order="deterministic").decode()


def _weight(ref: Any) -> int:
    weight = ref.get("weight", 1)
    return weight if isinstance(weight, int) else 1


def _is_service(ref: Any) -> bool:
    return (
        isinstance(ref, dict)
        and ref.get("kind", "Service") == "Service"
        and ref.get("group", "") in ("", "core")
    )


def _rules(route: Object) -> list[Any]:
    rules = read(route, _RULES)
    return rules if isinstance(rules, list) else []


def _backends(rule: Any) -> _Backends:
    refs = rule.get("backendRefs") if isinstance(rule, dict) else None
    return refs if isinstance(refs, list) else []


def _each_rule(route: Object, change: Callable[[_Backends], _Backends]) -> Object:
    """The route with each rule's backends changed; rules without a change are shared."""
    rules = []
    for rule in _rules(route):
        refs = _backends(rule)
        changed = change(refs) if refs else refs
        rules.append(rule if changed is refs else {**rule, "backendRefs": changed})
    if read(route, _RULES) is ABSENT or all(
        a is b for a, b in zip(rules, _rules(route), strict=True)
    ):
        return route
    return write(route, _RULES, rules)


def unprogrammed(route: Object) -> str | None:
    """Why the route's present generation is not known to be accepted; None if it is.

    Every parent that reports must say Accepted and ResolvedRefs True at the generation of the
    object. A route that nobody reports on has nothing to wait for.
    """
    generation = (route.get("metadata") or {}).get("generation", 0)
    for parent in (route.get("status") or {}).get("parents") or []:
        name = (parent.get("parentRef") or {}).get("name", "?")
        there = {c.get("type"): c for c in parent.get("conditions") or []}
        for kind in ("Accepted", "ResolvedRefs"):
            condition = there.get(kind)
            if condition is None or condition.get("observedGeneration", 0) < generation:
                return f"Gateway {name} has not reported {kind} for generation {generation}"
            if condition.get("status") != "True":
                value, message = condition.get("status"), condition.get("message")
                return f"Gateway {name} says {kind} is {value}: {message}"
    return None


def _finds(objects: Objects, namespace: str, services: frozenset[str]) -> list[Found]:
    found = []
    for route in objects.get(KIND, ()):
        roots = {name for home, name in services_of(route) if home == namespace}
        if roots & services:
            found.append(Found(route, frozenset(roots & services)))
    return found


def _shares(_objects: Objects, route: Object, namespace: str) -> dict[str, Share]:
    split = split_of(route)
    prefix = key_of(namespace, "", _home(route))
    return {
        key.removeprefix(prefix): share
        for key, share in (split.shares.items() if split else ())
        if key.rpartition("/")[0] == prefix.rstrip("/")
    }


def _writes(
    _objects: Objects, route: Object, shares: Mapping[str, Share], target: Target
) -> list[Write]:
    """Other Deployments' shares in the same route stay."""
    home, present = _home(route), split_of(route)
    mine = {key_of(target.namespace, service, home) for service in target.services}
    wanted = {
        key: share for key, share in (present.shares.items() if present else ()) if key not in mine
    }
    wanted |= {key_of(target.namespace, root, home): share for root, share in shares.items()}
    split = Split(term=target.term, shares=wanted) if wanted else None
    return [Annotate(KIND, route, {names.SPLIT: split.text() if split else None})]


KIND: Final = "HTTPRoute"
ROUTER: Final = Router(
    kind=KIND,
    finds=_finds,
    shares=_shares,
    unprogrammed=unprogrammed,
    projected=projected,
    strays=lambda _objects, _namespace, _services: [],
    writes=_writes,
)
