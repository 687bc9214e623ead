"""Build a release in words, and drive it decision by decision."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from cluster_model import SECOND, Cluster, Route, Service
from native import ReplicaSet
from rules import Rules

from webhook.objects.duration import format_duration
from webhook.objects.policy import Policy, PolicySpec, Traffic
from webhook.objects.release import Phase, Release, ReleaseStatus, Result
from webhook.objects.steps import Pause, Step
from webhook.objects.strategy import BlueGreen, Canary, Strategy
from webhook.release.actions import Action, Plan
from webhook.release.observed import RouteRef
from webhook.release.plan import plan
from webhook.release.program import post_promotion, steps_of

ROUTE = RouteRef("HTTPRoute", "shop", "web")
UNTIL_APPROVED = "until approved"

A = TypeVar("A")


class ReleaseBuilder:
    """Says what there is before the first decision; `start` gives the story to drive."""

    def __init__(self) -> None:
        self._replicas = 4
        self._services: dict[str, Service] = {}
        self._routes: dict[RouteRef, Route] = {}
        self._steps: tuple[Step, ...] = (Step(set_weight=25), Step(set_weight=50))
        self._settle = timedelta(seconds=5)
        self._drain = timedelta(seconds=30)
        self._broken: set[str] = set()
        self._history = 10
        self._slices_every = SECOND
        self._crashes: random.Random | None = None
        self._strategy: Strategy | None = None
        self._extra: int | str | None = None
        self._spec: dict[str, Any] = {}

    def replicas(self, count: int) -> ReleaseBuilder:
        self._replicas = count
        return self

    def service(
        self, name: str = "web", *, shared: bool = False, only: Iterable[str] = ()
    ) -> ReleaseBuilder:
        """A Service of the Deployment's pods, or of those of some versions, without a route."""
        chosen = frozenset(f"h-{version}" for version in only)
        self._services[name] = Service(name, shared=shared, only=chosen)
        return self

    def routed(self, *services: str) -> ReleaseBuilder:
        """An HTTPRoute to Services of the Deployment's pods."""
        names = services or ("web",)
        for name in names:
            self._services.setdefault(name, Service(name))
        ref = RouteRef("HTTPRoute", "shop", names[0])
        self._routes[ref] = Route(ref, frozenset(names))
        return self

    def steps(self, *steps: int | timedelta | str | Step) -> ReleaseBuilder:
        """A weight, the length of a pause, `UNTIL_APPROVED`, or any step as it is."""
        self._steps = tuple(_step(step) for step in steps)
        return self

    def blue_green(self, **fields: Any) -> ReleaseBuilder:
        """One switch instead of steps."""
        self._strategy = Strategy(blue_green=BlueGreen(**fields))
        return self

    def extra_pods(self, budget: int | str) -> ReleaseBuilder:
        """Most pods beside the replicas."""
        self._extra = budget
        return self

    def spec(self, **fields: Any) -> ReleaseBuilder:
        """Further fields of the policy."""
        self._spec.update(fields)
        return self

    def settle(self, seconds: float) -> ReleaseBuilder:
        self._settle = timedelta(seconds=seconds)
        return self

    def drain(self, seconds: float) -> ReleaseBuilder:
        self._drain = timedelta(seconds=seconds)
        return self

    def broken(self, *versions: str) -> ReleaseBuilder:
        """Versions whose pods never get ready."""
        self._broken = set(versions)
        return self

    def slow_slices(self, seconds: float) -> ReleaseBuilder:
        """EndpointSlices are written only this often."""
        self._slices_every = timedelta(seconds=seconds)
        return self

    def history(self, limit: int) -> ReleaseBuilder:
        self._history = limit
        return self

    def crashing(self, seed: int) -> ReleaseBuilder:
        """The reconciler dies between any two writes, and begins again from what is there."""
        self._crashes = random.Random(seed)  # noqa: S311 dice for tests
        return self

    def policy(self) -> Policy:
        """The policy that guards the Deployment."""
        traffic = Traffic(settle=format_duration(self._settle), drain=format_duration(self._drain))
        spec = PolicySpec(
            strategy=self._strategy
            or Strategy(canary=Canary(steps=self._steps, max_extra_pods=self._extra)),
            traffic=traffic,
            revision_history_limit=self._history,
            **self._spec,
        )
        return Policy(kind="ClusterReleasePolicy", name="default", namespace=None, spec=spec)

    def start(self, version: str | None = "v2") -> Story:
        """v1 runs; a user applies ``version``."""
        cluster = Cluster(
            replicas=self._replicas,
            policy=self.policy(),
            services=self._services,
            routes=self._routes,
            broken=self._broken,
            lag=max(timedelta(0), self._settle - SECOND),
            slices_every=self._slices_every,
        )
        cluster.replicasets["h-v1"] = ReplicaSet("v1", wanted=self._replicas)
        for _ in range(60):
            cluster.tick()
        story = Story(cluster, Rules(cluster, self._drain), self._crashes)
        if version:
            cluster.apply(version)
        return story


def _step(step: int | timedelta | str | Step) -> Step:
    if isinstance(step, Step):
        return step
    if isinstance(step, int):
        return Step(set_weight=step)
    return Step(pause=Pause(format_duration(step) if isinstance(step, timedelta) else None))


class Story:
    """A release on a model cluster; every rule is checked after every move."""

    def __init__(self, cluster: Cluster, rules: Rules, crashes: random.Random | None) -> None:
        self.cluster = cluster
        self.rules = rules
        self._crashes = crashes
        self.plan = Plan((), "")
        self._idle = False
        """Nothing was written and nothing moved in the last second."""

    # Driving

    def decide(self) -> bool:
        """One decision and its writes; False if nothing was to be written."""
        seen, now = self.cluster.observed(), self.cluster.now
        self.plan = plan(seen, now)
        assert plan(seen, now) == self.plan, "the same inputs gave another plan"
        actions = self.plan.actions
        if self._crashes and self._crashes.random() < 0.3:
            actions = actions[: self._crashes.randrange(len(actions) + 1)]
        self._idle = self._idle and not actions
        for action in actions:
            self.rules.may(action)
            self.cluster.perform(action)
            self.rules.check()
        return bool(self.plan.actions)

    def rest(self) -> None:
        """Decide until nothing is to be written at this moment."""
        for _ in range(60):
            if not self.decide():
                return
        raise AssertionError(f"writes without end: {self.plan}")

    def pass_time(self) -> bool:
        """A second, or, where nothing else can happen, the time until the plan's alarm."""
        cluster = self.cluster
        wake = self.plan.wake_at
        skips = self._idle and cluster.answers is None
        if skips and wake and wake > cluster.now + 2 * SECOND and self._quiet():
            cluster.now = wake - SECOND
        pods = cluster.pods()
        moved = cluster.tick()
        self._idle = not moved
        self.rules.check()
        self.rules.check_ended([pod for pod in pods if pod.gone_at is not None])
        return moved

    def _quiet(self) -> bool:
        now, cluster = self.cluster.now, self.cluster
        pods = all(p.gone_at is None and (p.ready_at or now) <= now for p in cluster.pods())
        since = now - cluster.lag - 2 * SECOND
        return pods and all(
            ended < since for route in cluster.routes.values() for ended, _ in route.before
        )

    def until(self, done: Callable[[Story], bool], limit: int = 600) -> Story:
        """Drive until ``done``; raises AssertionError if that does not come."""
        for _ in range(limit):
            self.rest()
            if done(self):
                return self
            self.pass_time()
        raise AssertionError(f"it never came; now: {self.plan.reason}, {self.status}")

    def until_stage(self, stage: str, phase: Phase | None = None, step: int = 0) -> Story:
        """Drive until a stage of the release, at that step or later."""
        return self.until(
            lambda s: (
                s.status.stage == stage
                and (phase is None or s.status.phase is phase)
                and s.status.step >= step
            )
        )

    def to_the_end(self, limit: int = 900) -> Story:
        """Drive until nothing is left to do; pauses that wait for a person are approved."""
        for _ in range(limit):
            self.rest()
            moved = self.pass_time()
            if self.plan.wake_at or moved:
                continue
            self.rest()
            if self.cluster.release is None and not self.pass_time() and not self.decide():
                return self
            if self.status.stage in ("pause", "keep"):
                self.answer("Successful")
                self.cluster.change_release(approve=self.status.step + 1)
        raise AssertionError(f"no end; now: {self.plan.reason}, {self.status}")

    def answer(self, phase: str, name: str | None = None) -> None:
        """Every analysis of the present step, or one, comes to a result."""
        release, index = self.release, self.status.step
        steps, after = steps_of(release.spec), post_promotion(release.spec.strategy)
        asked = steps[index].analysis if index < len(steps) else after
        results = tuple(
            Result(template.template_name, index, phase)
            for template in (asked.templates if asked else ())
            if name in (None, template.template_name)
        )
        self.cluster.change_release(results=(*release.spec.results, *results))

    # Looking

    @property
    def release(self) -> Release:
        """The running release, or the one that ended last."""
        return self.cluster.release or self.cluster.finished[-1]

    @property
    def status(self) -> ReleaseStatus:
        """Its status; an empty one before there is any."""
        if self.cluster.release is None and not self.cluster.finished:
            return ReleaseStatus()
        return self.release.status

    @property
    def serving(self) -> str:
        """The version that is returned to, or that was released last."""
        stable = self.cluster.stable
        return stable.version if stable else self.cluster.version

    def did(self, kind: type[A]) -> list[A]:
        """Every action of a kind, in order."""
        return [action for _, action in self.cluster.log if isinstance(action, kind)]

    def place(self, matches: Callable[[Action], bool]) -> int:
        """Where in the log the first such action stands; raises StopIteration if nowhere."""
        return next(i for i, (_, action) in enumerate(self.cluster.log) if matches(action))

    def assert_only(self, version: str) -> None:
        """Assert that this version serves alone and nothing of Slipway's is left."""
        cluster = self.cluster
        assert {pod.hash for pod in cluster.pods()} == {f"h-{version}"}
        assert sum(pod.ready(cluster.now) for pod in cluster.pods()) == cluster.replicas
        assert {pod.track for pod in cluster.pods()} == {None}
        assert not cluster.canaries
        assert all(service.hash is None for service in cluster.services.values())
        assert all(not route.shares for route in cluster.routes.values())
        kept = {rs.version for rs in cluster.replicasets.values() if rs.wanted}
        assert kept == {version}
