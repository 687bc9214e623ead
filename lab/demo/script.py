"""The three acts: v1 is there, v2 goes out, v3 is broken and is held back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from lab import shop
from lab.api import Object
from lab.cluster import Lab, as_yaml
from lab.demo.observer import Observer, Watch
from lab.demo.state import Command, State
from lab.demo.story import Act, Story, tell
from lab.shop import Shop
from lab.slipway import install

THROTTLE: Final = "1s"
"""How long Traefik gathers changes before they go live."""
WEIGHTS: Final = (25, 50, 75)
REPLICAS: Final = 4

VALUES: Final[dict[str, Any]] = {
    "defaultPolicy": {
        "spec": {
            "strategy": {
                "canary": {
                    "steps": [
                        step
                        for weight in WEIGHTS
                        for step in ({"setWeight": weight}, {"pause": {"duration": "3s"}})
                    ]
                }
            },
            # Much longer than Traefik gathers changes: a share is trusted only once it is live,
            # also on a machine that is busy with other things.
            "traffic": {"settle": "3s", "drain": "5s"},
            "progressDeadline": "12s",
        }
    }
}
"""What the chart is installed with: short times, so that a demo does not take an hour."""

_LONGEST: Final = {"v1": 30.0, "v2": 75.0, "v3": 40.0}  # seconds
_AFTERWARDS: Final = 1.6  # seconds that a finished release is looked at


class Route(StrEnum):
    """How requests get to the application."""

    HTTPROUTE = "httproute"
    INGRESS = "ingress"


class Broken(StrEnum):
    """What is wrong with v3."""

    NEVER_READY = "never-ready"
    ERRORS = "errors"
    """It answers every request with an error, and loses its readiness after some seconds."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose; ``rate`` in requests a second."""

    route: Route = Route.HTTPROUTE
    broken: Broken = Broken.NEVER_READY
    rate: float = 200


class Screen(Protocol):
    """Where the demo is shown."""

    def say(self, text: str) -> None:
        """One sentence, before and after the play."""

    def show(self, state: State) -> None:
        """How things are now; called from one other thread."""


def play(lab: Lab, options: Options, screen: Screen) -> tuple[Story, Sequence[State]]:
    """Play all acts on a lab that has nothing on it yet.

    Raises LabError if the stage falls down; a release that takes another way is part of the story.
    """
    screen.say("installing Slipway: helm install slipway charts/slipway")
    install(lab, VALUES)
    stage = _Stage(lab, options, lab.namespace("shop"))
    with Watch(stage.observer.look, screen.show) as watch:
        acts = [stage.first(watch), stage.release("v2", watch), stage.release("v3", watch)]
    report = stage.observer.probe.stop() if stage.observer.probe else None
    if report is None:
        raise AssertionError("the first act starts the load")
    return tell(acts, watch.states, report, stage.observer.replica_sets), watch.states


class _Stage:
    """The application on the lab, and what is done to it."""

    def __init__(self, lab: Lab, options: Options, namespace: str) -> None:
        self.observer = Observer(lab, namespace, time.monotonic())
        self._lab = lab
        self._options = options
        self._shop = Shop(lab, namespace)

    @property
    def host(self) -> str:
        """The virtual host of the chosen route."""
        ingress = self._options.route is Route.INGRESS
        return self._shop.ingress_host if ingress else self._shop.route_host

    def first(self, watch: Watch) -> Act:
        """v1, which nothing guards: there is nothing to protect yet. Then the load begins."""
        rollout = self._apply("v1")
        self._lab.wait(lambda: self._shop.version_at(self.host) == "v1", 20, "v1 to answer")
        self.observer.probe = self._lab.probe(self.host, rate=self._options.rate)
        began = time.time()
        watch.wait(lambda s: s.traffic.total > 2 * self._options.rate, _LONGEST["v1"])
        return Act("v1", began, time.time(), rollout)

    def release(self, version: str, watch: Watch) -> Act:
        """Apply a version and look on until its release has ended."""
        began = time.time()
        rollout = self._apply(version)
        left = _LONGEST[version] - (time.time() - began)
        watch.wait(lambda state: _finished(state, version), max(1.0, left))
        ended = time.time() + _AFTERWARDS
        watch.wait(lambda state: state.at > ended, _AFTERWARDS + 5)
        return Act(version, began, ended, rollout)

    def _apply(self, version: str) -> Command:
        file = self._lab.folder / f"{version}.yaml"
        file.write_text(as_yaml(manifest(version, self._options, self._shop.namespace)))
        where = f"--namespace={self._shop.namespace}"
        self.observer.versions += (version,)
        self._type("kubectl", "apply", where, "-f", str(file))
        limit = f"--timeout={_LONGEST[version]:.0f}s"
        return self._type("kubectl", "rollout", "status", "deployment/shop", where, limit)

    def _type(self, *argv: str) -> Command:
        """Run a command; the view shows it as typed in the folder of the manifests."""
        typed = " ".join(argv).replace(f"{self._lab.folder}/", "")
        before = self.observer.commands
        self.observer.commands = (*before, Command(typed))
        done = self._lab.kubectl(*argv[1:], check=False)
        lines = dict.fromkeys((done.stdout + done.stderr).splitlines())  # it repeats itself
        command = Command(typed, tuple(lines), done.returncode)
        self.observer.commands = (*before, command)
        return command


def manifest(version: str, options: Options, namespace: str) -> list[Object]:
    """What the user applies: an ordinary Deployment, Service and route, nothing of Slipway's."""
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}
    routes = {Route.HTTPROUTE: shop.route, Route.INGRESS: shop.ingress}
    deployment = shop.deployment(
        image=f"shop:{version}",
        replicas=REPLICAS,
        env=_faults(options.broken) if version == "v3" else None,
        container={"readinessProbe": {**probe, "failureThreshold": 1}},
    )
    return [deployment, shop.service(), routes[options.route](namespace)]


def _faults(broken: Broken) -> dict[str, str]:
    if broken is Broken.NEVER_READY:
        return {"READY": "false"}
    return {"ERROR_RATE": "1", "READY": "until:8"}


def _finished(state: State, version: str) -> bool:
    release = state.release
    return bool(release and release.spec.version == version and release.status.phase.finished)
