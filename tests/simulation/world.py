"""One cluster with everything in it, built for one scenario."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation import shop
from tests.simulation.api_server import ApiServer
from tests.simulation.clock import Clock
from tests.simulation.config_process import ConfigProcess
from tests.simulation.contents import Contents
from tests.simulation.dataplane import DataPlane
from tests.simulation.deployments import (
    DeploymentController,
    ReplicaSetController,
    is_ready,
)
from tests.simulation.excuses import Excuses
from tests.simulation.hearsay import Hearsay
from tests.simulation.patches import Object
from tests.simulation.pods import Kubelets
from tests.simulation.process import Process
from tests.simulation.reading import status_of
from tests.simulation.rules import Rules
from tests.simulation.scenario import Scenario
from tests.simulation.slices import SliceController
from tests.simulation.users import ALICE, Users
from tests.simulation.webhook import Webhook
from webhook.cluster.errors import Call
from webhook.cluster.kinds import (
    DEPLOYMENTS,
    GATEWAYCLASSES,
    GATEWAYS,
    HTTPROUTES,
    INGRESSCLASSES,
    INGRESSES,
    NAMESPACES,
    PODS,
    RELEASES,
    SERVICES,
    Kind,
)
from webhook.cluster.store import Store
from webhook.projection.config import Ref
from webhook.release.actions import Plan
from webhook.release.observed import Observed

_MARGIN = 60
"""Milliseconds by which proxies are faster than the settle time allows."""


class World:
    """The cluster, its users, and the processes of Slipway."""

    def __init__(self, scenario: Scenario, *, tracing: bool = False) -> None:
        self.scenario = scenario
        self.dice = random.Random(f"{scenario.seed} noise")  # noqa: S311 dice for tests
        self.clock = Clock()
        self.trace: list[str] = []
        self._tracing = tracing
        self.writes = 0
        self.crashes = 0
        self.term = 0
        self.processes: list[Any] = []
        self._current: Process | None = None
        self.webhook_out = False
        self.writes_pass = False
        """Whether people's writes may pass meanwhile."""
        self.rivals = False
        """Two leaders wrote at once, for a while."""
        self.installed = True
        """False from the moment in which an uninstall begins."""
        self.unguards = False
        self.autoscaled = False
        self.back_in: int | None = None
        self.happened: Counter[str] = Counter()
        """Interruptions that really took place, by name."""
        self._faults = {fault.write: fault.what for fault in scenario.faults}
        self._slow = dict(scenario.slow)
        self._entered: Callable[[str], None] = lambda _stage: None
        self._build()
        self._furnish()

    def _build(self) -> None:
        clock, dice, scenario = self.clock, self.dice, self.scenario
        self.contents: Contents | None = None
        self.webhook = Webhook(
            clock,
            dice,
            admission_policy=scenario.admission_policy,
            look=self._look if scenario.config else None,
        )
        self.api = api = ApiServer(clock, self.webhook.admit)
        self.users = Users(api)
        self.users.config = scenario.config
        self.excuses = Excuses(clock)
        if self._tracing:
            api.subscribe(self._trace_write)
        self.native = DeploymentController(clock, api, dice)
        beside = None
        if scenario.shape == "pair":
            beside = Rules(clock, api, self.excuses, self.native.hash_of, shop.SIDE)
        self.rules = Rules(clock, api, self.excuses, self.native.hash_of, "web", beside)
        self.kubelets = Kubelets(clock, api, dice, frozenset(scenario.broken), self.rules.pod_ends)
        self.replicasets = ReplicaSetController(clock, api, dice, self.kubelets, self.native)
        SliceController(clock, api, dice, self._slow.get("EndpointSlice", 60))
        lag = max(0, scenario.settle - _MARGIN)
        self.plane = DataPlane(clock, api, dice, lag, self.rules.moved)
        for rules in filter(None, (self.rules, beside)):
            rules.plane = self.plane
        if scenario.config:
            self.contents = Contents(self)
        api.subscribe(self._changed)

    def _look(self, refs: tuple[Ref, ...]) -> Mapping[Ref, str]:
        return self.contents.look(refs) if self.contents else {}

    def _furnish(self) -> None:
        """The user's objects, at rest in their first version."""
        scenario, users = self.scenario, self.users
        self.api.create(NAMESPACES, shop.namespace(), ALICE)
        self.api.create(INGRESSCLASSES, shop.ingress_class(), ALICE)
        if scenario.features:
            self.api.create(GATEWAYCLASSES, shop.gateway_class(), ALICE)
            self.api.create(GATEWAYS, shop.gateway(), ALICE)
        self.webhook.connect(self.api, 40)
        users.set_policy(scenario.policy)
        services, routes = shop.SHAPES[scenario.shape]
        for name in services:
            users.create(SERVICES, shop.service(name))
        for kind, name, to in routes:
            obj = shop.route(kind, name, to)
            users.create(HTTPROUTES if kind == "HTTPRoute" else INGRESSES, obj)
        if "all" in services:
            self.excuses.shared.add("all")
        if scenario.shape == "shared":
            self.api.create(PODS, shop.stranger(), ALICE)
        if self.contents:
            self.contents.furnish()
            self.lead()  # only it makes the snapshots that the first pods wait for
        self.clock.after(300, self._deploy)
        while self.clock.step():
            pass

    def _deploy(self) -> None:
        first = shop.deployment(self.scenario.replicas, **self.scenario.spec)
        first["spec"]["template"]["spec"] = shop.pod_spec("v1", config=self.scenario.config)
        self.users.create(DEPLOYMENTS, first)
        if self.scenario.shape == "pair":
            self.users.create(DEPLOYMENTS, shop.deployment(2, name=shop.SIDE))

    # Processes

    def lead(self) -> Process:
        """A new process takes the Lease."""
        self.term += 1
        process = Process(
            self.clock,
            self.api,
            self.dice,
            self,
            self.term,
            slow=self.lateness,
            ended=self._crashed,
            broke=self.broke,
            decided=self._decided,
            beside=self._beside if self.contents and self.installed else None,
            counting=self._hearsay(),
        )
        self.processes.append(process)
        self._current = process
        self.note(f"process {self.term} leads")
        process.start()
        return process

    def _hearsay(self) -> Hearsay | None:
        counted = self.scenario.counters
        return Hearsay(self.clock, self.api, self.scenario.seed) if counted else None

    def _beside(self, process: Process, store: Store) -> ConfigProcess:
        return ConfigProcess(self, process, store, self.term)

    @property
    def leader(self) -> Process | None:
        return None if self._current is None or self._current.dead else self._current

    def resign(self) -> Process | None:
        """Nobody leads any more; returns who did."""
        leader, self._current = self.leader, None
        return leader

    def lateness(self, kind: Kind) -> int:
        """By how many milliseconds watches of a kind may be late."""
        return self._slow.get(kind.kind, 60)

    def retire(self, process: Any) -> None:
        process.stop()
        if process in self.processes:
            self.processes.remove(process)

    def _crashed(self, process: Process) -> None:
        self.crashes += 1
        self.note("the process crashes")
        led = process is self._current
        self.retire(process)
        if led:
            self.clock.after(self.dice.choice((30, 500, 4000)), self.lead_if_nobody)

    def lead_if_nobody(self) -> None:
        if self.installed and self.leader is None:
            self.lead()

    def broke(self, error: BaseException) -> None:
        """A program has a bug, or the model has."""
        self.rules.broken.append(f"exception: {type(error).__name__}: {error}")
        self.error = error

    def _decided(self, _seen: Observed, decided: Plan) -> None:
        if self._tracing:
            did = [type(action).__name__ for action in decided.actions]
            self.note(f"plan: {decided.reason} {did or ''}")

    # Trouble with writes

    def before(self, call: Call) -> str:
        fault = self._faults.get(self.writes, "")
        if self._tracing:
            self.note(f"write {self.writes}: {call}" + (f" ({fault})" if fault else ""))
        self.writes += 1
        return fault

    def latency(self) -> int:
        return self.dice.randrange(1, 12)

    def wrote(self, call: Call, body: Any) -> None:
        return

    def meanwhile(self, *, webhook_down: bool) -> None:
        self.webhook.down = webhook_down or self.webhook_out

    # What is heard

    def await_stage(self, entered: Callable[[str], None]) -> None:
        """Be told of each stage that a Release enters."""
        self._entered = entered

    def _changed(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        for process in self.processes:
            process.heard(kind, type_, obj)
        if kind is PODS and old is not None and is_ready(obj) != is_ready(old):
            self.rules.readiness_changed()
        elif kind is RELEASES and type_ != "DELETED":
            status, before = status_of(obj), status_of(old)
            here = (status.get("phase"), status.get("stage"))
            if here != (before.get("phase"), before.get("stage")):
                self._entered(f"{here[0]}/{here[1]}")

    def note(self, text: str) -> None:
        """A line of the trace."""
        if self._tracing:
            self.trace.append(f"{self.clock.now / 1000:9.3f}  {text}")

    def _trace_write(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        meta = obj["metadata"]
        what = _what_changed(obj, old) if type_ == "MODIFIED" else ""
        self.note(f"    {type_.lower()} {kind.kind} {meta['name']} {what}")


def _what_changed(obj: Object, old: Object | None) -> str:
    out = []
    for part in sorted({*obj, *(old or {})}):
        new, was = obj.get(part), (old or {}).get(part)
        if new == was:
            continue
        if isinstance(new, dict) and isinstance(was, dict):
            keys = sorted(k for k in {*new, *was} if new.get(k) != was.get(k))
            shown = [f"{k}={_short(new.get(k))}" for k in keys if k not in _DULL]
            out.append(f"{part}: {', '.join(shown)}")
    return "; ".join(out)


_DULL = frozenset({"resourceVersion", "conditions", "generation", "observedGeneration", "message"})


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 300 else text[:297] + "..."
