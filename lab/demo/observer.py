"""Looks at the cluster and at the load several times a second, in a thread of its own."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from lab.api import Object
from lab.cluster import Lab
from lab.demo.meter import Meter
from lab.demo.state import Command, Pod, State
from lab.demo.story import CONTROLLER
from lab.probe import Probe
from lab.shop import is_ready
from webhook import names
from webhook.objects.release import Release, read_release

PERIOD: Final = 0.25
"""Seconds from one look to the next."""


class Observer:
    """Gathers a `State`; what was typed and which load runs is told to it."""

    def __init__(self, lab: Lab, namespace: str, began: float) -> None:
        self.commands: tuple[Command, ...] = ()
        self.versions: tuple[str, ...] = ()
        self.probe: Probe | None = None
        self._lab = lab
        self._namespace = namespace
        self._began = began
        self._meter = Meter()
        self._counted = 0
        self.replica_sets: set[str] = set()
        """Names of all that were seen and that kube's controller made for the Deployment.

        That of an aborted version does not stay.
        """

    def look(self) -> State:
        """See how things are now; raises ApiError or OSError if the API server does not answer."""
        at = time.time()
        pods = tuple(read_pod(pod) for pod in self._lab.list("pods", self._namespace))
        release = newest(self._lab.list("releases", self._namespace))
        self._count()
        self.replica_sets |= {
            item["metadata"]["name"]
            for item in self._lab.list("replicasets", self._namespace)
            if _made_for_the_shop(item)
        }
        return State(
            at=at,
            elapsed=time.monotonic() - self._began,
            commands=self.commands,
            versions=self.versions,
            pods=pods,
            release=release,
            traffic=self._meter.traffic(time.time()),
        )

    def _count(self) -> None:
        if self.probe is None:
            return
        answers = self.probe.report().answers
        self._meter.add(answers[self._counted :])
        self._counted = len(answers)


def _made_for_the_shop(replica_set: Object) -> bool:
    meta = replica_set["metadata"]
    owners = {(owner["kind"], owner["name"]) for owner in meta.get("ownerReferences", ())}
    by_controller = any(entry["manager"] == CONTROLLER for entry in meta["managedFields"])
    return by_controller and ("Deployment", "shop") in owners


class Watch(AbstractContextManager["Watch"]):
    """Calls ``look`` and shows what it saw, until closed. All states are kept."""

    def __init__(self, look: Callable[[], State], show: Callable[[State], None]) -> None:
        self.states: list[State] = []
        self._look = look
        self._show = show
        self._news = threading.Condition()
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="demo-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._thread.join()

    def wait(self, condition: Callable[[State], bool], timeout: float) -> bool:
        """Whether a state after this call fulfils ``condition`` within ``timeout`` seconds.

        Raises whatever ended the looking.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            known = len(self.states)
            while time.monotonic() < deadline:
                self._news.wait(PERIOD)
                if self._error is not None:
                    raise self._error
                if any(condition(state) for state in self.states[known:]):
                    return True
                known = len(self.states)
        return False

    def _run(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                state = self._look()
                self._show(state)
            except Exception as error:  # told to whoever waits; a thread has no caller
                with self._news:
                    self._error = error
                    self._news.notify_all()
                return
            with self._news:
                self.states.append(state)
                self._news.notify_all()
            self._closing.wait(max(0.0, PERIOD - (time.monotonic() - began)))


def read_pod(pod: Object) -> Pod:
    """What the demo needs to know of a pod."""
    meta = pod["metadata"]
    owner: Object = next((o for o in meta.get("ownerReferences", ()) if o.get("controller")), {})
    first: Object = min(
        (entry for entry in meta.get("managedFields", ()) if not entry.get("subresource")),
        key=lambda entry: str(entry.get("time", "")),
        default={},
    )
    image = pod["spec"]["containers"][0]["image"]
    return Pod(
        name=meta["name"],
        version=meta.get("labels", {}).get(names.VERSION) or image.rpartition(":")[2],
        ready=is_ready(pod),
        ending="deletionTimestamp" in meta,
        owner=owner.get("name", "") if owner.get("kind") == "ReplicaSet" else "",
        made_by=first.get("manager", ""),
    )


def newest(releases: list[Object]) -> Release | None:
    """The Release that began last: its name ends with the Deployment's generation."""
    if not releases:
        return None
    return read_release(sorted(releases, key=_age)[-1])


def _age(release: Object) -> tuple[datetime, int]:
    meta = release["metadata"]
    generation = meta["name"].rpartition("-")[2]
    created = datetime.fromisoformat(meta["creationTimestamp"])
    return created, int(generation) if generation.isdigit() else 0
