"""From raw Services, slices and routes to how traffic reaches a Deployment's pods."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from webhook import names
from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.objects.release import Feature, Release, ReleaseSpec
from webhook.objects.selector import selects
from webhook.projection.fields import annotations, labels, read
from webhook.projection.service import pin_of, projected_service, users_service
from webhook.release.gathered import owned_by
from webhook.release.observed import CanaryView, RouteRef, RouteView
from webhook.release.program import shares_needed
from webhook.traffic.contract import Found, Objects, Router
from webhook.traffic.routers import ROUTERS


@dataclass(frozen=True, slots=True)
class Root:
    """A user's Service that takes in the Deployment's pods."""

    name: str
    pin: str | None
    endpoints: frozenset[str]
    shared: bool
    projected: bool
    fenced: bool
    selector: Mapping[str, str]
    foreign: bool


def services_of(
    services: Sequence[Object],
    slices: Sequence[Object],
    others: Sequence[Object],
    uid: str,
    pod_labels: Mapping[str, str],
    stable: Mapping[str, str],
) -> tuple[tuple[Root, ...], tuple[CanaryView, ...]]:
    """The user's Services that take in the pods, and those that Slipway made beside them.

    ``others`` are pods of other workloads; ``pod_labels`` those of the Deployment's present pods,
    ``stable`` of its released ones.
    """
    offered = _endpoints(slices)
    roots, canaries = [], []
    for service in services:
        name = service["metadata"]["name"]
        ready = offered.get(name, frozenset())
        if names.CANARY_OF in labels(service):
            if _owned_by_plainly(service, uid):
                selector = service["spec"].get("selector") or {}
                hash_ = str(selector.get(names.POD_TEMPLATE_HASH, ""))
                root = str(annotations(service).get(names.ROOT_SERVICE, ""))
                canaries.append(CanaryView(name, root, hash_, ready))
            continue
        if service["spec"].get("type") == "ExternalName":
            continue  # a name for something else, whatever it selects
        selector = read(users_service(service), ("spec", "selector"))
        if isinstance(selector, dict) and selector and selects(selector, pod_labels):
            pin = pin_of(service)
            shared = any(selects(selector, labels(pod)) for pod in others)
            sound = projected_service(service) == service
            at = (pin.hash or None) if pin else None
            foreign = any(stable.get(key, value) != value for key, value in selector.items())
            fenced = bool(pin and pin.fenced)
            roots.append(Root(name, at, ready, shared, sound, fenced, selector, foreign))
    by_name = sorted(roots, key=lambda r: r.name)
    return tuple(by_name), tuple(sorted(canaries, key=lambda c: c.name))


def _owned_by_plainly(obj: Object, uid: str) -> bool:
    return any(o.get("uid") == uid for o in obj["metadata"].get("ownerReferences") or [])


def pods_of_others(pods: Sequence[Object], replicasets: Sequence[Object], uid: str) -> list[Object]:
    """Pods that are surely another workload's.

    One whose ReplicaSet is not known is not: the two kinds are watched apart, and a ReplicaSet
    goes before its pods do.
    """
    known = {rs["metadata"]["uid"]: owned_by(rs, uid) for rs in replicasets}
    return [pod for pod in pods if _is_others(pod, known)]


def _is_others(pod: Object, known: Mapping[str, bool]) -> bool:
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and owner.get("kind") == "ReplicaSet":
            return not known.get(owner["uid"], True)
    return True


def _endpoints(slices: Iterable[Object]) -> Mapping[str, frozenset[str]]:
    """By Service: uids of the pods that it offers, ready and not terminating."""
    ready: dict[str, set[str]] = {}
    for item in slices:
        service = labels(item).get("kubernetes.io/service-name", "")
        for endpoint in item.get("endpoints") or []:
            uid = (endpoint.get("targetRef") or {}).get("uid")
            conditions = endpoint.get("conditions") or {}
            offered = conditions.get("ready") is not False and not conditions.get("terminating")
            if uid and offered:
                ready.setdefault(service, set()).add(uid)
    return {name: frozenset(uids) for name, uids in ready.items()}


def splittable(
    roots: Sequence[Root], canaries: Sequence[CanaryView], running: Release | None
) -> frozenset[str]:
    """Services whose routes matter: also of those that are gone, and may still be split."""
    gone = {canary.root for canary in canaries} | {
        pair.root for pair in (running.status.exposed if running else ())
    }
    shared = {root.name for root in roots if root.shared or root.foreign}
    return frozenset({root.name for root in roots} | gone) - shared


def routes_of(
    objects: Objects, namespace: str, wanted: frozenset[str], running: ReleaseSpec | None
) -> tuple[tuple[RouteView, ...], frozenset[str], tuple[RouteRef, ...]]:
    """Routes to these Services, but for their `state_of`, which of the Services have one, and
    the routes that the policy leaves out."""
    out: list[RouteView] = []
    left: list[RouteRef] = []
    for router in ROUTERS.values():
        for found in router.finds(objects, namespace, wanted):
            meta = found.object["metadata"]
            shares = router.shares(objects, found.object, namespace)
            ref = RouteRef(router.kind, meta["namespace"], meta["name"])
            chosen = running is None or running.traffic.routes.divides(*astuple(ref))
            if not chosen and not shares:  # one that was divided has to become its user's own
                left.append(ref)
                continue
            asked = shares_needed(running, found.roots) if running else {}
            about = objects, found.object, namespace
            out.append(
                RouteView(
                    ref=ref,
                    roots=found.roots,
                    shares={root: s for root, s in shares.items() if root in wanted},
                    unprogrammed=None,
                    projected=router.projected(found.object) == found.object,
                    lacks=(lacks := router.lacks(*about, asked)),
                    lacking=_lacking(router, about, asked) if lacks else (),
                    notes=(*router.without(*about, asked), *_affected(router, about, found)),
                )
            )
    routed = frozenset[str]().union(*(route.roots for route in out))
    return tuple(sorted(out, key=lambda route: route.ref)), routed, tuple(sorted(left))


def _lacking(
    router: Router, about: tuple[Objects, Object, str], asked: Mapping[str, Share]
) -> tuple[tuple[Feature, str], ...]:
    """What a route can't carry even where nothing else is asked of it, and why."""
    alone: dict[Feature, dict[str, Share]] = {
        "headers": {r: Share(s.canary, s.weight, headers=s.headers) for r, s in asked.items()},
        "mirrors": {r: Share(s.canary, s.weight, mirrors=s.mirrors) for r, s in asked.items()},
        "preview": {r: Share(s.canary, s.weight, preview=s.preview) for r, s in asked.items()},
    }
    found = ((feature, router.lacks(*about, shares)) for feature, shares in alone.items())
    return tuple((feature, why) for feature, why in found if why)


def asked_of(objects: Objects) -> Objects:
    """Route objects without what their controllers report, which changes after each write."""
    return {
        kind: [_asked(obj) for obj in found] if kind in ROUTERS else found
        for kind, found in objects.items()
    }


def _asked(obj: Object) -> Object:
    if "status" not in obj:
        return obj
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "generation")}
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": meta}


def state_of(views: tuple[RouteView, ...], objects: Objects) -> tuple[RouteView, ...]:
    """These routes with what is known of their being live."""
    there = {
        RouteRef(kind, obj["metadata"]["namespace"], obj["metadata"]["name"]): obj
        for kind in ROUTERS
        for obj in objects.get(kind, ())
    }
    return tuple(
        replace(view, unprogrammed=ROUTERS[view.ref.kind].unprogrammed(there[view.ref]))
        for view in views
    )


def _affected(router: Router, about: tuple[Objects, Object, str], found: Found) -> tuple[str, ...]:
    places = ", ".join(router.affected(*about, found.roots))
    return (f"{router.kind} {found.object['metadata']['name']}: {places}",) if places else ()


def strays_of(objects: Objects, namespace: str, wanted: frozenset[str]) -> tuple[RouteRef, ...]:
    """Objects of ours that no route to these Services needs any more."""
    return tuple(
        RouteRef(router.kind, namespace, name)
        for router in ROUTERS.values()
        for name in router.strays(objects, namespace, wanted)
    )
