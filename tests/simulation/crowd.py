"""Many Deployments of one namespace, released at the same moment by one process.

Nothing is left to chance here: every delay is the shortest, so that what a release costs can be
compared, whatever else is released beside it. No rules are asserted, and no proxy is late.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from tests.simulation import shop
from tests.simulation.api_server import ApiServer
from tests.simulation.clock import Clock
from tests.simulation.deployments import DeploymentController, ReplicaSetController
from tests.simulation.patches import Object, with_meta, with_spec
from tests.simulation.pods import Kubelets
from tests.simulation.process import Process
from tests.simulation.reading import status_of
from tests.simulation.slices import SliceController
from tests.simulation.users import ALICE
from tests.simulation.webhook import Webhook
from webhook.cluster.errors import Call
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    DEPLOYMENTS,
    HTTPROUTES,
    NAMESPACES,
    RELEASES,
    SERVICES,
)
from webhook.release.actions import Plan
from webhook.release.observed import Observed

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

T = TypeVar("T")

POLICY: Object = {
    "strategy": {"canary": {"steps": [{"setWeight": 20}, {"setWeight": 50}]}},
    "traffic": {"settle": "1s", "drain": "1s"},
}
_SLOWEST = 20
"""Milliseconds that a watch may be late."""


class Shortest(random.Random):
    """Dice that always show the least."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return 0 if stop is None else start

    def choice(self, seq: SupportsLenAndGetItem[T]) -> T:
        return seq[0]

    def random(self) -> float:
        return 0.5


class Crowd:
    """A namespace with so many applications, each with a Service and a route."""

    def __init__(self, apps: int) -> None:
        self.clock, dice = Clock(), Shortest()
        self.names = [f"app{number}" for number in range(apps)]
        self.decisions: Counter[str] = Counter()
        """By application."""
        self.writes: Counter[str] = Counter()
        """By kind of object."""
        webhook = Webhook(self.clock, dice, admission_policy=False)
        self.api = api = ApiServer(self.clock, webhook.admit)
        native = DeploymentController(self.clock, api, dice)
        kubelets = Kubelets(self.clock, api, dice, frozenset(), lambda _pod, _by_user: None)
        ReplicaSetController(self.clock, api, dice, kubelets, native)
        SliceController(self.clock, api, dice, _SLOWEST)
        api.create(NAMESPACES, shop.namespace(), ALICE)
        api.create(CLUSTERRELEASEPOLICIES, shop.policy(POLICY), ALICE)
        webhook.connect(api, _SLOWEST)
        for name in self.names:
            self._furnish(name)
        self._pass()
        self._process = Process(
            self.clock,
            api,
            dice,
            self,
            1,
            slow=lambda _kind: _SLOWEST,
            ended=lambda _process: None,
            broke=self._broke,
            decided=self._decided,
        )
        api.subscribe(lambda kind, type_, obj, _old: self._process.heard(kind, type_, obj))
        self._process.start()
        self._pass()

    def release(self, apart: int = 0) -> None:
        """Everybody applies v2, so many ms apart; returns when nothing moves any more."""
        self.decisions.clear()
        self.writes.clear()
        for number, name in enumerate(self.names):
            self.clock.after(number * apart, self._apply, name)
        self._pass()

    def _apply(self, name: str) -> None:
        patch = {"spec": {"template": {"spec": {"containers": shop.containers("v2")}}}}
        self.api.patch(DEPLOYMENTS, (shop.NAMESPACE, name), patch, ALICE)

    @property
    def phases(self) -> Counter[str]:
        """Of all Releases."""
        return Counter(status_of(release).get("phase", "") for release in self.api.all(RELEASES))

    def _furnish(self, name: str) -> None:
        deployment = with_meta(shop.deployment(2), name=name, labels={"app": name})
        template = deployment["spec"]["template"]
        template = with_meta(template, labels={**template["metadata"]["labels"], "app": name})
        selector = {"matchLabels": {"app": name}}
        self.api.create(
            DEPLOYMENTS, with_spec(deployment, template=template, selector=selector), ALICE
        )
        service = with_spec(shop.service(name), selector={"app": name})
        self.api.create(SERVICES, service, ALICE)
        self.api.create(HTTPROUTES, shop.http_route(name, (name,)), ALICE)

    def _pass(self) -> None:
        while self.clock.step():
            pass

    # What the process tells

    def _decided(self, seen: Observed, _decided: Plan) -> None:
        self.decisions[seen.deployment.name] += 1

    def _broke(self, error: BaseException) -> None:
        raise error

    def before(self, call: Call) -> str:
        self.writes[call.kind] += 1
        return ""

    def latency(self) -> int:
        return 1

    def wrote(self, call: Call, body: Any) -> None:
        return

    def meanwhile(self, *, webhook_down: bool) -> None:
        return
