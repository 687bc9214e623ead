"""HTTPRoute (Gateway API v1): the split is shown in the user's own rules.

Weights stand in ``backendRefs[].weight`` (`httproute_weights`); header routes, cookies and mirrors
are rules that are put in, and filters (`httproute_rules`). All of it comes out again, whatever
was written in between. A preview is a second route, which Slipway owns (`httproute_preview`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from webhook import names
from webhook.objects.intent import Feature, Share, Split
from webhook.objects.raw import Object
from webhook.projection.fields import annotate, annotations, write
from webhook.traffic import gateway_features
from webhook.traffic.contract import (
    Annotate,
    Delete,
    Found,
    Objects,
    Put,
    Router,
    Shown,
    Target,
    Write,
)
from webhook.traffic.gateway_status import unprogrammed
from webhook.traffic.httproute_parts import (
    RULES,
    backends_of,
    filters_of,
    is_service,
    matches_of,
    rules_of,
)
from webhook.traffic.httproute_preview import (
    host_of,
    is_preview,
    no_preview,
    previews,
    roots_of,
    stands_beside,
)
from webhook.traffic.httproute_rules import hidden, show
from webhook.traffic.splits import (
    Memory,
    home_of,
    keyed,
    remembered,
    roots_in,
    shares_in,
    split_of,
    with_shares,
)


def services_of(route: Object) -> frozenset[tuple[str, str]]:
    """(namespace, name) of every Service that the route sends requests to."""
    home = home_of(route)
    return frozenset(
        (ref.get("namespace") or home, str(ref.get("name")))
        for rule in rules_of(route)
        for ref in backends_of(rule)
        if is_service(ref)
    )


def project(users: Object, split: Split | None) -> Object:
    """The user's route with the split shown in it, or, with None, the route as it is."""
    if split is None or not split.shares:
        return annotate(users, {names.SPLIT: None, names.ORIGINAL: None})
    seen = show(users, split)
    memory = remembered(split, seen.scale).text()
    shown = _with_rules(users, seen.rules)
    return annotate(shown, {names.SPLIT: split.text(), names.ORIGINAL: memory})


def restore(new: Object, old: Object | None = None) -> Object:
    """The user's route behind ``new``.

    A rule with an entry of ours was read from the cluster and shows a projection: what is
    ours goes, weights are divided. A rule without one was written by the user as it stands.
    """
    memory = Memory.of(new) or Memory.of(old)
    if memory is None:
        return new
    return _with_rules(new, hidden(rules_of(new), memory, home_of(new)))


def projected(obj: Object) -> Object:
    """``obj`` as the webhook would have stored it: equal, unless a write passed without it."""
    return project(restore(obj), split_of(obj))


def _with_rules(route: Object, rules: list[Any]) -> Object:
    """A route without any change is the very same."""
    there = rules_of(route)
    if len(rules) == len(there) and all(a is b for a, b in zip(rules, there, strict=True)):
        return route
    return write(route, RULES, rules)


def _finds(objects: Objects, namespace: str, services: frozenset[str]) -> list[Found]:
    found = []
    for route in objects.get(KIND, ()):
        roots = roots_in(services_of(route), namespace) & services
        if roots and not is_preview(route):
            found.append(Found(route, roots))
    return found


def _shares(objects: Objects, route: Object, namespace: str) -> dict[str, Share]:
    """What is asked for and shown; a part that has to be written again is left out."""
    split = split_of(route)
    if split is None:
        return {}
    can = _features(objects, route, split.shares)
    there = {item["metadata"]["name"]: item["spec"] for item in _previews_there(objects, route)}
    missing = {
        host_of(item)
        for item in _previews_wanted(route, split.shares, {})
        if there.get(item["metadata"]["name"]) != item["spec"]
    }
    changed = set(split.features) ^ set(can)
    mine = shares_in(split, namespace, home_of(route))
    return {root: _as_shown(share, changed, missing) for root, share in mine.items()}


def _as_shown(share: Share, changed: set[Feature], missing: set[str]) -> Share:
    if "mirror" in changed:
        share = replace(share, mirrors=())
    if "cookie" in changed:
        share = replace(share, sticky=None)
    return replace(share, preview="") if share.preview in missing else share


def _writes(
    objects: Objects, route: Object, shares: Mapping[str, Share], target: Target
) -> list[Write]:
    """Other Deployments' shares in the same route stay.

    A preview goes before the split that asked for it, and comes after: so one that is there and
    was not asked for is a stray.
    """
    wanted = with_shares(split_of(route), shares, target, home_of(route))
    features = _features(objects, route, wanted)
    split = Split(term=target.term, shares=wanted, features=features) if wanted else None
    there = {item["metadata"]["name"]: item for item in _previews_there(objects, route)}
    needed = {
        item["metadata"]["name"]: item for item in _previews_wanted(route, wanted, target.owner)
    }
    return [
        *(Delete(KIND, item) for name, item in there.items() if name not in needed),
        Annotate(KIND, route, {names.SPLIT: split.text() if split else None}),
        *(
            Put(KIND, item)
            for name, item in needed.items()
            if name not in there or there[name]["spec"] != item["spec"]
        ),
    ]


def _previews_wanted(route: Object, shares: Mapping[str, Share], owner: Object) -> list[Object]:
    if not any(share.preview for share in shares.values()):
        return []
    return previews(restore(route), shares, owner)


def _previews_there(objects: Objects, route: Object) -> Iterator[Object]:
    return (item for item in objects.get(KIND, ()) if stands_beside(item, route))


def _strays(objects: Objects, namespace: str, services: frozenset[str]) -> list[str]:
    """Previews whose route is gone, or does not ask for them any more."""
    asked = {
        (route["metadata"]["name"], share.preview)
        for route in objects.get(KIND, ())
        if home_of(route) == namespace and (split := split_of(route))
        for share in split.shares.values()
    }
    return [
        str(item["metadata"]["name"])
        for item in objects.get(KIND, ())
        if is_preview(item)
        and home_of(item) == namespace
        and roots_of(item) & services
        and (annotations(item)[names.PRIMARY_ROUTE], host_of(item)) not in asked
    ]


def _features(objects: Objects, route: Object, shares: Mapping[str, Share]) -> tuple[Feature, ...]:
    """Of what the shares ask for, what every Gateway is known to do."""
    can: list[Feature] = []
    mirrored = any(share.mirrors for share in shares.values())
    if mirrored and _no_mirror(objects, route, shares.values()) is None:
        can.append("mirror")
    sticky = any(share.sticky for share in shares.values())
    if sticky and gateway_features.missing(objects, route, gateway_features.COOKIE) is None:
        can.append("cookie")
    return tuple(can)


def _no_mirror(objects: Objects, route: Object, shares: Iterable[Share]) -> str | None:
    mirrors = [m for share in shares for m in share.mirrors if m.percentage]
    needed = {gateway_features.MIRROR} if mirrors else set()
    if any(mirror.percentage < 100 for mirror in mirrors):
        needed.add(gateway_features.PERCENTAGE)
    if any(entry.method for mirror in mirrors for entry in mirror.match):
        needed.add(gateway_features.METHOD)
    theirs = any(
        item.get("type") == "RequestMirror"
        for rule in rules_of(restore(route))
        for item in filters_of(rule)
    )
    if mirrors and (theirs or len(mirrors) > 1):
        needed.add(gateway_features.SEVERAL)
    return gateway_features.missing(objects, route, needed) if needed else None


_ASKED: Final = {
    "weight": "divide its traffic",
    "headers": "carry the header route",
    "mirrors": "mirror requests",
    "sticky": "bring users back to their version",
}


def _lacks(
    objects: Objects, route: Object, namespace: str, shares: Mapping[str, Share]
) -> str | None:
    home, name = home_of(route), f"HTTPRoute {home_of(route)}/{route['metadata']['name']}"
    present = split_of(route)
    carried = {**(present.shares if present else {}), **keyed(shares, namespace, home)}
    why = _no_mirror(objects, route, carried.values())
    if why:
        return f"{name} can't {_ASKED['mirrors']}: {why}"
    split = Split(shares=carried, features=_features(objects, route, carried))
    for refusal in show(restore(route), split).refused:
        if refusal.part != "sticky":
            return f"{name} can't {_ASKED[refusal.part]}: it {refusal.why}"
    for share in shares.values():
        if not share.preview:
            continue
        why = no_preview(objects, route, share.preview)
        if home != namespace:
            why = f"it is not in the namespace {namespace} of the Service"
        if why:
            return f"{name} can't be previewed at {share.preview}: {why}"
    return None


def _without(
    objects: Objects, route: Object, namespace: str, shares: Mapping[str, Share]
) -> tuple[str, ...]:
    if not any(share.sticky for share in shares.values()):
        return ()
    home = home_of(route)
    name = f"HTTPRoute {home}/{route['metadata']['name']}"
    why = gateway_features.missing(objects, route, gateway_features.COOKIE)
    if why is None:
        mine = keyed(shares, namespace, home).items()
        asked = {key: replace(share, weight=share.weight or 1) for key, share in mine}
        refused = show(restore(route), Split(shares=asked, features=("cookie",))).refused
        why = next((f"it {refusal.why}" for refusal in refused if refusal.part == "sticky"), None)
    return (f"{name} does not {_ASKED['sticky']}: {why}",) if why else ()


def _affected(
    _objects: Objects, route: Object, namespace: str, services: frozenset[str]
) -> tuple[str, ...]:
    """The route's own hosts, with the paths that lead to the Services."""
    hosts = (route.get("spec") or {}).get("hostnames") or ["*"]
    home = home_of(route)
    paths = {
        str((match.get("path") or {}).get("value", "/"))
        for rule in rules_of(restore(route))
        if any(
            is_service(ref)
            and (ref.get("namespace") or home) == namespace
            and ref.get("name") in services
            for ref in backends_of(rule)
        )
        for match in matches_of(rule)
    }
    return tuple(f"{host}{path}" for host in hosts for path in sorted(paths))


KIND: Final = "HTTPRoute"
ROUTER: Final = Router(
    group="gateway.networking.k8s.io",
    kind=KIND,
    services_of=services_of,
    finds=_finds,
    shares=_shares,
    unprogrammed=unprogrammed,
    projected=projected,
    strays=_strays,
    writes=_writes,
    lacks=_lacks,
    without=_without,
    affected=_affected,
    shown=Shown(project, restore),
)
