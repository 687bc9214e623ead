"""One application that is released again and again, with things that come in between."""

import random
from dataclasses import dataclass, field
from typing import Any, Final

from lab.api import Object
from lab.probe import Report
from tests.e2e.scene import Scene, pauses
from tests.soak.scale import Share

STEPS: Final[list[dict[str, Any]]] = [
    {"setWeight": 25},
    {"pause": {"duration": "2s"}},
    {"setWeight": 50},
    {"pause": {"duration": "2s"}},
]
BETWEEN: Final = ("", "", "scale", "kill", "kill in mid-release", "scale in mid-release")
"""What comes in between; nothing in a third of the releases, and in the first."""
_REPLICAS: Final = 4
_LATEST: Final = 120.0


@dataclass(slots=True)
class Shop:
    """A scene under load; `release` takes it from v1 to v2, and from v2 to v1."""

    scene: Scene
    kind: str
    dice: random.Random
    released: int = 0
    shares: list[Share] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    """How often each thing came in between."""

    @property
    def version(self) -> str:
        """The version that is released."""
        return f"v{1 + self.released % 2}"

    def release(self) -> None:
        """One release to its end; AssertionError or WaitTimeoutError if it goes another way."""
        version = "v2" if self.version == "v1" else "v1"
        known = {obj["metadata"]["name"] for obj in self._of(version)}
        between = self.dice.choice(BETWEEN) if self.released else ""
        self.done[between] = self.done.get(between, 0) + 1
        if between in ("scale", "kill"):
            self._come_between(between)
        began = len(self.scene.sights)
        self.scene.apply(version)
        if between.endswith("in mid-release"):
            self._wait(version, known, "Waiting")
            self._come_between(between)
        self._wait(version, known, "Succeeded", "Aborted", "Superseded", "RolledBack")
        last = self.scene.sights[-1]
        assert last.phase == "Succeeded", self.scene.story()
        self.released += 1
        self._measure(version, began, between)

    def judge(self) -> Report:
        """After the last release: no failed request, and everything as it was applied."""
        self.scene.apply(self.version)
        self.scene.wait_pods(**{self.version: _REPLICAS})
        self.scene.wait_nothing_left()
        report = self.scene.end()
        self.scene.assert_left_as(*self.scene.manifests(self.version))
        return report

    def assert_none_failed(self) -> None:
        """Every request up to now was answered."""
        report = self.scene.probe.report()
        assert report.failed == 0, f"{self.kind}: {report}\n{self.scene.story()}"

    def _come_between(self, what: str) -> None:
        if what.startswith("scale"):
            replicas = self.dice.choice((_REPLICAS + 1, _REPLICAS + 2))
            self.scene.kubectl("scale", "deployment/web", f"--replicas={replicas}")
            return
        pods = [name for v in ("v1", "v2") for name in self.scene.pods_of(v)]
        self.scene.kubectl("delete", "pod", self.dice.choice(pods), "--wait=false")

    def _of(self, version: str) -> list[Object]:
        return [o for o in self.scene.releases.objects if o["spec"]["version"] == version]

    def _wait(self, version: str, known: set[str], *phases: str) -> None:
        def there() -> bool:
            new = [o for o in self._of(version) if o["metadata"]["name"] not in known]
            return any((o.get("status") or {}).get("phase") in phases for o in new)

        try:
            self.scene.lab.wait(there, _LATEST, f"{self.kind} {version} to be {phases}")
        except Exception as error:
            error.add_note(self.scene.story())
            raise

    def _measure(self, version: str, began: int, between: str) -> None:
        """The share in each pause; by pods it is what their number makes, so only undisturbed."""
        if self.kind == "none" and between:
            return
        sights = [s for s in self.scene.sights[began:] if s.version == version]
        probed = self.scene.probe.report()
        for weight, since, until in pauses(sights):
            during = probed.between(since, until)
            got = during.by_version[version]
            share = Share(self.kind, version, self._asked(weight), during.total, got)
            assert share.inside, f"{share}\n{self.scene.story()}"
            self.shares.append(share)

    def _asked(self, weight: int) -> float:
        """Where pods are counted, a share is that of the pods that the weight makes."""
        if self.kind != "none":
            return weight / 100
        new = {25: 1, 50: 4}[weight]
        return new / (new + _REPLICAS)
