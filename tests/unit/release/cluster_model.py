"""A perfect cluster as plain values: controllers that do their work, and no surprise but ours.

It knows what the engine looks at (`Observed`) and what the engine can ask for (`Action`), and
steps on a virtual clock. `native.py` has the Deployment controller, `rules.py` what must hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace
from native import Pod, ReplicaSet, roll

from webhook.objects.counted import Sample
from webhook.objects.intent import Hold, Share
from webhook.objects.policy import Policy
from webhook.objects.release import Release, ReleaseStatus
from webhook.projection.template import Keys, Stable
from webhook.release import actions as act
from webhook.release.observed import (
    CanaryView,
    DeploymentView,
    Observed,
    PodView,
    RootView,
    RouteRef,
    RouteView,
    Side,
)

EPOCH = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class Service:
    """A user's Service, or a canary Service of ours (then with ``root``)."""

    name: str
    hash: str | None = None
    """The pod-template-hash in its selector."""
    root: str = ""
    shared: bool = False
    endpoints: frozenset[str] = frozenset()
    fenced: bool = False
    only: frozenset[str] = frozenset()
    """The ReplicaSets whose labels its user's selector asks for, where it leaves some out."""

    def selects(self, pod: Pod) -> bool:
        let_in = not self.fenced or pod.serves
        return self.hash in (None, pod.hash) and let_in and self.takes_in(pod.hash)

    def takes_in(self, hash_: str | None) -> bool:
        return not self.only or hash_ in self.only


@dataclass
class Route:
    """A route with what it says and what its proxy may still do."""

    ref: RouteRef
    roots: frozenset[str]
    shares: dict[str, Share] = field(default_factory=dict)
    before: list[tuple[datetime, dict[str, Share]]] = field(default_factory=list)
    """Earlier splits with when each was replaced."""
    programmed_at: datetime = EPOCH
    lacks: str | None = None
    """Why it can't carry header routes."""


@dataclass
class Cluster:
    """One Deployment ``web`` with its pods, Services, routes and Releases."""

    replicas: int
    policy: Policy | None
    services: dict[str, Service]
    routes: dict[RouteRef, Route]
    lag: timedelta = SECOND
    """How long a proxy may take after its route is reported as programmed."""
    start: timedelta = 2 * SECOND
    """How long a new pod takes to get ready."""
    slices_every: timedelta = SECOND
    """EndpointSlices are written this often."""
    broken: set[str] = field(default_factory=set)
    """Versions whose pods never get ready."""
    now: datetime = EPOCH
    version: str = "v1"
    """What the user asked for."""
    shown: str = "v1"
    """Whose template the Deployment shows: not the user's while he returns and pods are held."""
    hold: Hold | None = None
    stable: Stable | None = None
    paused_by_user: bool = False
    marked_failed: bool = False
    generation: int = 1
    observed_generation: int = 1
    canaries: dict[str, Service] = field(default_factory=dict)
    replicasets: dict[str, ReplicaSet] = field(default_factory=dict)
    release: Release | None = None
    finished: list[Release] = field(default_factory=list)
    log: list[tuple[datetime, act.Action]] = field(default_factory=list)
    answers: Callable[[Cluster], dict[str, float]] | None = None
    """Requests that the pods of each hash answer in a second, where they tell."""
    counted: list[Sample] = field(default_factory=list)

    # What users and the world do

    def apply(self, version: str) -> None:
        """A user applies a version; admission holds it."""
        if version == self.version:
            return
        before, self.version = self.version, version
        if self.hold is None:
            self.stable = Stable(revision=f"r-{before}", version=before, keys=Keys())
            self._held(Hold(mode="Gate"))
        else:
            mode = "Gate" if self.hold.mode == "Gate" else "Halt"
            self._held(replace(self.hold, mode=mode, aborted=False))

    def scale(self, replicas: int) -> None:
        """A user or an autoscaler changes the replicas."""
        if replicas != self.replicas:
            self.replicas = replicas
            self.generation += 1

    def retry(self) -> None:
        """``kubectl rollout resume`` of an aborted version."""
        if self.hold and self.hold.aborted:
            self._held(Hold(mode="Gate"))

    def change_release(self, **spec: object) -> None:
        """A person sets fields of the running Release's spec."""
        if self.release:
            self.release = replace(self.release, spec=replace(self.release.spec, **spec))

    def delete_release(self) -> None:
        """A person deletes the running Release."""
        self.release = None

    def delete_route(self) -> None:
        """A user deletes every route."""
        self.routes.clear()

    def pods(self, version: str | None = None) -> list[Pod]:
        """All pods, or those of one version."""
        return [
            p for rs in self.replicasets.values() for p in rs.pods if version in (None, rs.version)
        ]

    def new_pods(self) -> list[Pod]:
        """Pods of every version but the one that is returned to."""
        stable = self.stable.version if self.stable else self.version
        return [pod for rs in self.replicasets.values() if rs.version != stable for pod in rs.pods]

    def unready(self, version: str) -> None:
        """Pods of a version lose readiness, and do not get it back."""
        for pod in self.pods(version):
            pod.lost, pod.ready_at = pod.ready(self.now), None

    def vanish(self, version: str) -> None:
        """The node under a version's pods dies; others are started."""
        for rs in self.replicasets.values():
            if rs.version == version:
                rs.pods = []

    # What the engine sees

    def observed(self) -> Observed:
        """The cluster as `plan` sees it."""
        known = self.release.spec.stable.hash if self.release else None
        if known is None and self.stable:
            known = f"h-{self.stable.version}"
        sides = {rs.hash: self._side(rs) for rs in self.replicasets.values()}
        current = f"h-{self.shown}"
        running = [rs for rs in self.replicasets.values() if rs.wanted and not self.release]
        others = [rs for rs in running if rs.version != self.shown]
        serving = max(others or running, key=self._ready, default=None)
        stable = self.replicasets.get(known or "")
        return Observed(
            deployment=self._deployment(),
            stable=sides.get(known or ""),
            canary=sides.get(current) if current != known else None,
            leftovers=tuple(
                side
                for hash_, side in sides.items()
                if hash_ not in (known, current) and (side.wanted or side.pods)
            ),
            roots=tuple(
                RootView(
                    s.name,
                    s.hash,
                    s.endpoints,
                    s.shared,
                    self._routed(s),
                    fenced=s.fenced,
                    foreign=not s.takes_in(known),
                )
                for s in self.services.values()
                if s.takes_in(current)
            ),
            canaries=tuple(
                CanaryView(s.name, s.root, s.hash or "", s.endpoints)
                for s in self.canaries.values()
            ),
            routes=tuple(self._route(route) for route in self.routes.values()),
            release=self.release,
            finished=tuple(reversed(self.finished)),
            policy=self.policy,
            serving=serving and Stable(f"r-{serving.version}", serving.version, Keys()),
            serves_more=bool(serving and self._ready(serving) > self._ready(stable)),
            taken=frozenset(self.services),
            counted=tuple(self.counted),
        )

    def _ready(self, rs: ReplicaSet | None) -> int:
        return sum(pod.ready(self.now) for pod in rs.pods) if rs else 0

    def _routed(self, service: Service) -> bool:
        return not service.shared and any(service.name in r.roots for r in self.routes.values())

    def _route(self, route: Route) -> RouteView:
        lacking = None if self.now >= route.programmed_at else "not reported yet"
        why = (("headers", route.lacks),) if route.lacks else ()
        return RouteView(
            route.ref, route.roots, dict(route.shares), lacking, lacks=route.lacks, lacking=why
        )

    def _side(self, rs: ReplicaSet) -> Side:
        views = tuple(
            PodView(
                p.name, p.name, p.ready(self.now), p.gone_at is not None, p.lost, p.track, p.serves
            )
            for p in rs.pods
        )
        return Side(name=f"web-{rs.hash}", hash=rs.hash, wanted=rs.wanted, pods=views)

    def _deployment(self) -> DeploymentView:
        there = [p for p in self.pods() if p.gone_at is None]
        done = [p for p in there if p.hash == f"h-{self.shown}" and p.ready(self.now)]
        held = self.hold is not None and self.hold.mode != "Gate"
        return DeploymentView(
            namespace="shop",
            name="web",
            uid="uid-web",
            generation=self.generation,
            observed_generation=self.observed_generation,
            replicas=self.replicas,
            hold=self.hold,
            stable=self.stable,
            revision=f"r-{self.version}",
            version=self.version,
            pod_labels={"app": "web"},
            progress_deadline=600,
            paused_by_user=self.paused_by_user,
            complete=self.observed_generation == self.generation
            and not held
            and len(there) == len(done) == self.replicas,
            marked_failed=self.marked_failed,
        )

    # What the engine does

    def perform(self, action: act.Action) -> None:  # noqa: C901, PLR0912 one row an action
        """Make one action true."""
        self.log.append((self.now, action))
        match action:
            case act.CreateRelease(name=name, spec=spec):
                if name not in {release.name for release in self.finished}:
                    self.release = Release(name, "shop", spec, ReleaseStatus())
            case act.Record(status=status):
                self._record(status)
            case act.DeleteRelease(release=name):
                self.finished = [r for r in self.finished if r.name != name]
            case act.SetHold(mode=mode, surge=surge, unavailable=gone, aborted=aborted):
                self._held(Hold(mode=mode, surge=surge, unavailable=gone, aborted=aborted))
            case act.LiftHold():
                self._held(None)
                self.stable = None
            case act.Protect(stable=stable):
                self.stable = stable
            case act.MarkFailed():
                self.marked_failed = True
            case act.ScaleReplicaSet(name=name, replicas=replicas):
                self.replicasets[name.removeprefix("web-")].wanted = replicas
            case act.DeleteReplicaSet(name=name):
                gone = self.replicasets.pop(name.removeprefix("web-"))
                assert all(p.gone_at for p in gone.pods), "pods that nobody ended"
            case act.LabelPod(pod=name, track=track, serves=serves, first_to_go=first):
                for pod in self.pods():
                    if pod.name == name:
                        pod.track, pod.serves, pod.first_to_go = track, serves, bool(first)
            case _:
                self._perform_on_traffic(action)

    def _perform_on_traffic(self, action: act.Action) -> None:
        match action:
            case act.SetPin(service=name, hash=hash_, fenced=fenced):
                self.services[name].hash = hash_
                self.services[name].fenced = fenced
            case act.ExposeCanary(root=root, canary=name, hash=hash_):
                old = self.canaries.get(name)
                kept = old.endpoints if old else frozenset()
                self.canaries[name] = Service(name, hash_, root, endpoints=kept)
            case act.DeleteCanary(service=name):
                del self.canaries[name]
            case act.SetSplit(route=ref, shares=shares):
                route = self.routes[ref]
                route.before.append((self.now, route.shares))
                route.shares = dict(shares)
                route.programmed_at = self.now + SECOND
            case act.Announce():
                pass
            case _:
                raise NotImplementedError(action)

    def _record(self, status: ReleaseStatus) -> None:
        assert self.release is not None
        self.release = replace(self.release, status=status)
        if status.phase.finished:
            self.finished.append(self.release)
            self.release = None

    def _held(self, hold: Hold | None) -> None:
        """Only what is projected makes a new generation; an annotation alone does not."""
        before = _projected(self.hold), self.shown
        self.hold = hold
        returns = self.stable is not None and self.version == self.stable.version
        if not (hold and hold.new_pods and returns):
            self.shown = self.version
        if (_projected(hold), self.shown) != before:
            self.generation += 1

    # What controllers do

    def tick(self) -> bool:
        """A second passes; True if anything moved."""
        self.now += SECOND
        before = self._shape()
        roll(self)
        for rs in self.replicasets.values():
            rs.reconcile(self)
        self._offer()
        self._count()
        self.observed_generation = self.generation
        return self._shape() != before

    def _count(self) -> None:
        if self.answers is None:
            return
        before = self.counted[-1].requests if self.counted else {}
        grown = {hash_: before.get(hash_, 0.0) + n for hash_, n in self.answers(self).items()}
        self.counted.append(Sample(self.now, {**before, **grown}, {}))

    def weight_live(self) -> int:
        """What the first route's proxy does now, in percent: late by the lag."""
        route = next(iter(self.routes.values()))
        then = self.now - self.lag
        shares = next((was for ended, was in route.before if ended > then), route.shares)
        return next((share.weight for share in shares.values()), 0)

    def _offer(self) -> None:
        """EndpointSlices follow selectors and readiness."""
        if (self.now - EPOCH) % self.slices_every:
            return
        ready = [pod for pod in self.pods() if pod.ready(self.now)]
        for service in (*self.services.values(), *self.canaries.values()):
            foreign = {"stranger"} if service.shared else set()
            service.endpoints = frozenset({p.name for p in ready if service.selects(p)} | foreign)

    def _shape(self) -> tuple[object, ...]:
        services = (*self.services.values(), *self.canaries.values())
        return (
            self.observed_generation,
            [(rs.hash, rs.wanted) for rs in self.replicasets.values()],
            [(p.name, p.gone_at, p.ready(self.now)) for p in self.pods()],
            [(s.name, s.endpoints) for s in services],
            [self.now >= r.programmed_at for r in self.routes.values()],
        )


def _projected(hold: Hold | None) -> tuple[object, ...]:
    """What a hold shows in the spec, as far as it makes a difference."""
    return () if hold is None else (hold.mode, hold.surge if hold.mode != "Gate" else 0)
