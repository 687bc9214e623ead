"""What becomes of pods: they get ready, or never do; they lose readiness; they die."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.api_server import ApiServer
from tests.simulation.clock import Clock
from tests.simulation.deployments import Nodes, is_ready
from tests.simulation.patches import Object, with_status
from webhook.cluster.kinds import PODS


class Kubelets(Nodes):
    """All nodes. ``ends`` is told of each pod that a controller ends."""

    def __init__(
        self,
        clock: Clock,
        api: ApiServer,
        dice: random.Random,
        broken: frozenset[str],
        ends: Callable[[Object, bool], None],
    ) -> None:
        self._clock, self._api, self._dice = clock, api, dice
        self._broken, self._ends = broken, ends
        self._ready_since: dict[str, int] = {}
        self._gone: set[str] = set()
        self.lacks: Callable[[Object], bool] | None = None
        """Whether something is not there that the pod needs to start: it is waited for."""
        self.waiting: dict[str, None] = {}
        """Uids of pods that wait."""

    def started(self, pod: Object) -> None:
        stamp = self._clock.stamp()
        self._set(pod, "False", stamp, startTime=stamp, phase="Running")
        if image_of(pod) not in self._broken:
            delay = self._dice.choice((30, 200, 1500, 4000))
            self._clock.after(delay, self._ready, pod["metadata"]["uid"])

    def ending(self, pod: Object, *, by_user: bool) -> None:
        self._ends(pod, by_user)

    def ready_since(self, pod: Object) -> int:
        return self._ready_since.get(pod["metadata"]["uid"], 0)

    def lose(self, pod: Object) -> None:
        """A ready pod gets unready, and stays so."""
        self._set(pod, "False", self._clock.stamp())

    def go(self, pod: Object) -> None:
        """The node is lost, or cut off: what ran there is not ready, and does not get ready."""
        self._gone.add(pod["metadata"]["uid"])
        if is_ready(pod):
            self.lose(pod)

    def come_back(self, uid: str) -> None:
        """The node is there again, with what ran on it."""
        self._gone.discard(uid)
        pod = self._api.by_uid(uid)
        if pod is not None and image_of(pod) not in self._broken:
            self._ready(uid)

    def _ready(self, uid: str) -> None:
        pod = self._api.by_uid(uid)
        if pod is None or "deletionTimestamp" in pod["metadata"] or is_ready(pod):
            return
        if uid in self._gone:
            return
        if self.lacks and self.lacks(pod):
            self.waiting[uid] = None
            return
        self._ready_since[uid] = self._clock.now
        self._set(pod, "True", self._clock.stamp())

    def look_again(self) -> None:
        """Something was made that pods may wait for."""
        for uid in self.waiting:
            self._clock.after(self._dice.choice((100, 1000)), self._ready, uid)
        self.waiting.clear()

    def _set(self, pod: Object, ready: str, since: str, **status: str) -> None:
        condition = {"type": "Ready", "status": ready, "lastTransitionTime": since}
        self._api.write(PODS, with_status(pod, conditions=[condition], **status))


def image_of(pod: Object) -> str:
    """The version in the image of a pod's first container."""
    image: str = pod["spec"]["containers"][0]["image"]
    return image.partition(":")[2]
