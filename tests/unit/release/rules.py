"""The rules of the design that must never break, asserted on the model after every move."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from cluster_model import SECOND, Cluster, Route
from native import Pod

from webhook.objects.intent import Share
from webhook.release import actions as act


@dataclass
class Rules:
    """Watches one cluster."""

    cluster: Cluster
    drain: timedelta
    lossy: bool = False
    """Pods were taken away by the test: an empty Service may be nobody's fault."""
    forgotten: bool = False
    """A Release was deleted: who begins anew may find canary Services of another version."""
    taken_back: set[str] = field(default_factory=set)
    """Releases that have begun to go back."""
    answered: set[str] = field(default_factory=set)
    """Services that ever had an endpoint."""

    def forget(self) -> None:
        """Somebody deleted the Release: what follows is a new one, maybe by the same name."""
        self.forgotten = True
        self.taken_back.clear()

    # Before an action

    def may(self, action: act.Action) -> None:
        """Assert that an action is allowed now."""
        match action:
            case act.SetSplit(route=ref, shares=shares):
                self._grants(self.cluster.routes[ref], shares)
            case act.SetPin(service=name, hash=hash_):
                self._pins(name, hash_)
            case act.DeleteCanary(service=name):
                assert name not in self._named(), "a backend that may be routed to is deleted"
            case act.ScaleReplicaSet(name=name, replicas=0):
                for pod in self.cluster.replicasets[name.removeprefix("web-")].pods:
                    self._drained(pod)
            case act.LiftHold():
                for route in self.cluster.routes.values():
                    assert not route.shares, "pods may go while a route is split"

    def _grants(self, route: Route, shares: dict[str, Share]) -> None:
        """Rules 1 and 4: no weight above what the Release has recorded, none after an abort."""
        release = self.cluster.release
        asked = release.status.weight.asked if release else 0
        for root, share in shares.items():
            had = route.shares.get(root)
            assert share.weight <= max(asked, had.weight if had else 0), "weight without a grant"
            assert share.canary in self.cluster.canaries, "a backend that is not there"
            if share.weight > (had.weight if had else 0):
                there = self.cluster.canaries[share.canary].endpoints
                assert there, "weight for a Service that nobody answers for"
            if had is None:
                assert share.weight == 0, "a backend gets weight before the proxy knows it"
            if release and release.name in self.taken_back and had:
                assert share.weight <= had.weight, "weight rises after an abort"

    def _pins(self, name: str, hash_: str | None) -> None:
        """Traffic moves first: no pin to, and no opening for, pods that were not granted it."""
        release = self.cluster.release
        service = self.cluster.services[name]
        stable = release.spec.stable.hash if release else None
        assert not (service.shared and hash_), "a shared Service is pinned"
        if release is None or hash_ == stable:
            return
        if hash_ is not None:
            assert release.status.weight.asked == 100
            for route in self.cluster.routes.values():
                if name in route.roots:
                    assert route.shares[name].weight == 100, "a pin moves under traffic"
        elif any(p.ready(self.cluster.now) and p.hash != stable for p in self.cluster.pods()):
            over = self.cluster.hold is None
            assert over or release.status.weight.asked > 0, "a Service is opened without a grant"

    # After each move

    def check(self) -> None:
        """Assert what must be true at any moment, and note which pods may have traffic."""
        cluster = self.cluster
        release = cluster.release
        if release and release.status.outcome:
            self.taken_back.add(release.name)
        for service in cluster.services.values():
            stable = release is None or service.hash in (None, release.spec.stable.hash)
            if service.endpoints:
                self.answered.add(service.name)
            # Of a changed selector: until there are pods for it, nobody can help.
            waits = service.only and (self.lossy or service.name not in self.answered)
            if not waits and not (self.lossy and not stable):
                assert service.endpoints, f"Service {service.name} is left with no endpoint"
        for name in self._named():
            canary = cluster.canaries.get(name)
            assert canary is not None, f"a route names Service {name}, which is gone"
            if not self.lossy and not self.forgotten:
                assert canary.endpoints, f"Service {name} is named by a route and empty"
        served = self._served()
        for pod in cluster.pods():
            if pod.name in served:
                pod.served_at = cluster.now
                self._granted(pod)

    def check_ended(self, before: list[Pod]) -> None:
        """Rule 3: a pod that is ended had no traffic for the drain time."""
        for pod in before:
            if pod.gone_at is None:
                continue
            self._drained(pod)

    def _drained(self, pod: Pod) -> None:
        if pod.served_at is None or not self._guarded(pod):
            return
        quiet = self.cluster.now - pod.served_at
        assert quiet >= self.drain, f"pod {pod.name} goes {quiet} after its last request"

    def _guarded(self, pod: Pod) -> bool:
        """A pod of a version that no release is about is its user's and the controller's."""
        return self.cluster.release is not None and not pod.lost

    def _granted(self, pod: Pod) -> None:
        """Rule 1 for pods: traffic only to released pods, or with a grant."""
        release, hold = self.cluster.release, self.cluster.hold
        if release is None or hold is None or pod.hash == release.spec.stable.hash:
            return
        if release.status.granted or pod.served_at is not None:
            return
        raise AssertionError(f"pod {pod.name} has traffic before the step that grants it")

    def _recent(self, route: Route) -> list[dict[str, Share]]:
        """What a route says, and what its proxy may still do."""
        since = self.cluster.now - self.cluster.lag - SECOND
        return [route.shares, *(shares for ended, shares in route.before if ended >= since)]

    def _named(self) -> set[str]:
        """Canary Services that proxies may know."""
        return {
            share.canary
            for route in self.cluster.routes.values()
            for shares in self._recent(route)
            for share in shares.values()
        }

    def _served(self) -> set[str]:
        """Pods that requests may reach at this moment; a shared Service can't be guarded."""
        cluster, out = self.cluster, set[str]()
        for service in cluster.services.values():
            if (
                not service.shared and not service.only
            ):  # also of a routed one: there are clients in the cluster
                out |= service.endpoints
        for route in cluster.routes.values():
            for shares in self._recent(route):
                for root in route.roots:
                    share = shares.get(root)
                    if share is None or share.weight < 100:
                        out |= cluster.services[root].endpoints
                    reached = share is not None and (share.weight > 0 or share.headers)
                    if share is not None and reached and share.canary in cluster.canaries:
                        out |= cluster.canaries[share.canary].endpoints
        return out


class Unruled(Rules):
    """Asserts nothing: a user took away what the rules speak of."""

    def check(self) -> None:
        """Nothing."""

    def check_ended(self, before: list[Pod]) -> None:
        """Nothing."""
