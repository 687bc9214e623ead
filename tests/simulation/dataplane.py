"""Proxies that learn of routes and slices late, and of the two in any order.

Each proxy applies a change at its own moment, at the latest ``lag`` after the change could be
known: a route's after its Gateway has reported it, a slice's after it was written.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.simulation.api_server import ApiServer
from tests.simulation.clock import Clock
from tests.simulation.patches import Object, with_status
from tests.simulation.slices import SERVICE
from tests.simulation.targets import Target, targets_of_ingress, targets_of_route
from webhook.cluster.kinds import ENDPOINTSLICES, HTTPROUTES, INGRESSES, SERVICES, Kind
from webhook.cluster.table import version_of

Name = tuple[str, str]


@dataclass
class Proxy:
    """One instance with what it has applied. ``inside``: of clients in the cluster, no routes."""

    name: str
    inside: bool = False
    routes: dict[Name, Object] = field(default_factory=dict)
    """HTTPRoutes and Ingresses by kind and name."""
    slices: dict[str, frozenset[str]] = field(default_factory=dict)
    """Uids of ready pods by Service; a Service that it does not know is not there."""
    targets: list[Target] = field(default_factory=list)
    """Where requests may go now."""
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    waiting: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many changes of an object are on the way."""

    def pods(self, besides: set[str]) -> set[str]:
        """Uids of the pods that a request may reach through this proxy, not by some Services."""
        out: set[str] = set()
        for target in self.targets:
            if target.weight and target.service not in besides:
                out |= self.slices.get(target.service, frozenset())
        return out


class DataPlane:
    """All proxies. ``moved`` is told after each change of one."""

    def __init__(
        self,
        clock: Clock,
        api: ApiServer,
        dice: random.Random,
        lag: int,
        moved: Callable[[Proxy], None],
    ) -> None:
        self._clock, self._api, self._dice, self._lag, self._moved = clock, api, dice, lag, moved
        self.proxies = [Proxy("gateway-0"), Proxy("gateway-1"), Proxy("inside", inside=True)]
        self._reports: set[str] = set()
        api.subscribe(self._changed)

    def names(self, service: str) -> Iterable[str]:
        """Proxies whose applied routes name a Service, at whatever weight."""
        for proxy in self.proxies:
            if any(t.service == service for t in proxy.targets) and not proxy.inside:
                yield proxy.name

    def known(self, kind: Kind, name: str) -> Iterable[Object]:
        """A route as each proxy that knows it has applied it."""
        for proxy in self.proxies:
            if (kind.kind, name) in proxy.routes:
                yield proxy.routes[kind.kind, name]

    def _changed(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        gone = type_ == "DELETED"
        if kind is HTTPROUTES:
            if old is not None and not gone and obj["spec"] == old["spec"]:
                return
            report = self._dice.randrange(5, 300)
            self._spread(kind, obj, gone, report)
            if not gone:
                meta = obj["metadata"]
                self._clock.after(report, self._report, meta["uid"], meta["generation"])
        elif kind is INGRESSES or kind is ENDPOINTSLICES:
            self._spread(kind, obj, gone, 0)
        elif kind is SERVICES and (gone or old is None):
            # A user's Service is a target of clients in the cluster; it has no slice yet.
            self._clock.after(0, self._retarget, self.proxies[-1])

    def _spread(self, kind: Kind, obj: Object, gone: bool, report: int) -> None:
        for proxy in self.proxies:
            if proxy.inside and kind is not ENDPOINTSLICES:
                continue
            late = self._dice.randrange(self._lag + 1) if self._lag else 0
            early = self._dice.randrange(report + 1)
            delay = report + late if self._lag and self._dice.random() < 0.7 else min(early, late)
            where = (kind.kind, obj["metadata"]["name"])
            proxy.waiting[where] = proxy.waiting.get(where, 0) + 1
            self._clock.after(delay, self._apply, proxy, kind, obj, gone)

    def _apply(self, proxy: Proxy, kind: Kind, obj: Object, gone: bool) -> None:
        name = obj["metadata"]["name"]
        where, version = (kind.kind, name), version_of(obj)
        proxy.waiting[where] -= 1
        if proxy.versions.get(where, 0) > version:
            return
        proxy.versions[where] = version
        if kind is ENDPOINTSLICES:
            service = obj["metadata"]["labels"][SERVICE]
            if gone:
                proxy.slices.pop(service, None)
            else:
                proxy.slices[service] = _offered(obj)
        elif gone:
            proxy.routes.pop(where, None)
        else:
            proxy.routes[where] = obj
        self._retarget(proxy)

    def _retarget(self, proxy: Proxy) -> None:
        if proxy.inside:
            services = [s["metadata"]["name"] for s in self._api.all(SERVICES) if _is_users(s)]
            proxy.targets = [Target("", name, 100) for name in services]
        else:
            ingresses = [r for (kind, _), r in proxy.routes.items() if kind == "Ingress"]
            proxy.targets = [
                *(
                    target
                    for (kind, _), route in proxy.routes.items()
                    if kind == "HTTPRoute"
                    for target in targets_of_route(route)
                ),
                *targets_of_ingress(ingresses),
            ]
        self._moved(proxy)

    def _report(self, uid: str, generation: int) -> None:
        """A Gateway says that it has accepted a generation, if that is still the present one."""
        route = self._api.by_uid(uid)
        if route is None or route["metadata"]["generation"] != generation:
            return
        conditions = [
            {"type": kind, "status": "True", "observedGeneration": generation}
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = [{"parentRef": {"name": "gateway"}, "conditions": conditions}]
        self._api.write(HTTPROUTES, with_status(route, parents=parents))


def _offered(slice_: Object) -> frozenset[str]:
    return frozenset(
        each["targetRef"]["uid"]
        for each in slice_["endpoints"]
        if each["conditions"]["ready"] and not each["conditions"]["terminating"]
    )


def _is_users(service: Object) -> bool:
    return "slipway.dev/canary-of" not in (service["metadata"].get("labels") or {})
