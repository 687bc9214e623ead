"""One user's release on the lab, in the words of a test: apply, follow, and judge at the end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lab.api import Object
from lab.cluster import Lab
from lab.probe import Probe, Report
from tests.e2e.app import App

RELEASES = "releases.slipway.dev"
OURS = "slipway.dev/"
NATIVE = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
FINISHED = ("Succeeded", "Aborted", "Superseded", "RolledBack")


@dataclass(frozen=True, slots=True)
class Sight:
    """A Release as it was seen at one moment."""

    at: float = field(compare=False)
    name: str
    version: str
    phase: str
    stage: str
    weight: int
    settled: bool
    """The stage's change was seen in effect."""


@dataclass(slots=True)
class Scene:
    """An application that serves v1 under load."""

    lab: Lab
    app: App
    route: Object
    probe: Probe
    sights: list[Sight] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return self.app.namespace

    # What the user does

    def manifests(self, version: str, env: Mapping[str, str] | None = None) -> list[Object]:
        return [self.app.deployment(version, env), self.app.service(), self.route]

    def apply(self, version: str, env: Mapping[str, str] | None = None, *flags: str) -> str:
        """``kubectl apply`` of everything at a version; returns what kubectl said."""
        done = self.lab.apply(self.manifests(version, env), *flags)
        return done.stdout + done.stderr

    def kubectl(self, *args: str, check: bool = True) -> Any:
        return self.lab.kubectl(f"--namespace={self.namespace}", *args, check=check)

    # What is to be seen

    def deployment(self) -> Object:
        return self.lab.get("deployments", self.app.name, self.namespace)

    def release(self, version: str) -> Sight | None:
        """The newest Release of a version, noted down."""
        found = [
            obj
            for obj in self.lab.list(RELEASES, self.namespace)
            if obj["spec"]["version"] == version
        ]
        if not found:
            return None
        sight = _sight(max(found, key=lambda obj: int(obj["metadata"]["resourceVersion"])))
        if not self.sights or self.sights[-1] != sight:
            self.sights.append(sight)
        return sight

    def wait_for(self, version: str, *phases: str, timeout: float = 90) -> Sight:
        """Wait until a version's Release is in one of the phases."""

        def there() -> Sight | None:
            sight = self.release(version)
            return sight if sight and sight.phase in phases else None

        try:
            return self.lab.wait(there, timeout, f"{version} to be {' or '.join(phases)}")
        except Exception as error:
            error.add_note(self.story())
            raise

    def wait_for_weight(self, version: str, weight: int, timeout: float = 60) -> Sight:
        """Wait until a version was granted at least so much traffic, and it settled."""

        def there() -> Sight | None:
            sight = self.release(version)
            granted = sight and sight.weight >= weight and sight.phase in ("Waiting", "Scaling")
            return sight if granted else None

        return self.lab.wait(there, timeout, f"{version} to have {weight} % of the traffic")

    def pods(self) -> dict[str, int]:
        """How many pods of each version there are, those that are ending not counted."""
        counts: dict[str, int] = {}
        for pod in self.lab.list("pods", self.namespace):
            if "deletionTimestamp" not in pod["metadata"]:
                version = pod["spec"]["containers"][0]["image"].partition(":")[2]
                counts[version] = counts.get(version, 0) + 1
        return counts

    def pods_of(self, version: str) -> list[str]:
        """Names of the pods of a version, those that are ending not counted."""
        return [
            pod["metadata"]["name"]
            for pod in self.lab.list("pods", self.namespace)
            if "deletionTimestamp" not in pod["metadata"]
            and pod["spec"]["containers"][0]["image"].endswith(f":{version}")
        ]

    def story(self) -> str:
        """Everything noted down, for the message of a failed assertion."""
        lines = [
            f"{s.at:.2f} {s.version} {s.phase}/{s.stage} {s.weight} % {s.settled}"
            for s in self.sights
        ]
        for log in sorted((self.lab.folder / "logs").glob("slipway-*.log")):
            lines += [f"--- end of {log.name}", *log.read_text(errors="replace").splitlines()[-12:]]
        return "\n".join(lines)

    # The judgement

    def end(self) -> Report:
        """Stop the load after a little more of it; nothing of it may have failed."""
        ended = time.time()
        self.lab.wait(
            lambda: self.probe.report().between(since=ended).total > 100, 20, "the last requests"
        )
        report = self.probe.stop()
        assert report.total > 100, f"hardly any load: {report}"
        assert report.failed == 0, f"{report}\n{self.story()}"
        return report

    def assert_shares(self, report: Report, version: str, tolerance: float = 0.08) -> list[int]:
        """In every pause, the measured share is the one asked for; returns the weights checked."""
        checked = []
        for weight, since, until in self._pauses(version):
            share = report.share(version, since, until)
            assert abs(share - weight / 100) <= tolerance, (
                f"asked {weight} %, measured {share:.1%}\n{self.story()}"
            )
            checked.append(weight)
        return checked

    def assert_share_never_falls(self, report: Report, version: str) -> None:
        """What a version was given, it keeps: no second has a clearly smaller share."""
        first = min(a.start for a in report.answers)
        last = max(a.start for a in report.answers)
        best = 0.0
        for second in range(int(last - first)):
            share = report.share(version, first + second, first + second + 1)
            assert share >= best - 0.15, (
                f"second {second}: {share:.0%} after {best:.0%}\n{self.story()}"
            )
            best = max(best, share)

    def _pauses(self, version: str) -> list[tuple[int, float, float]]:
        """(weight, since, until) of each pause that was watched for at least half a second."""
        mine = [s for s in self.sights if s.version == version]
        found = []
        for here, after in pairwise(mine):
            if here.phase == "Waiting" and here.settled and after.at - here.at > 0.4:
                found.append((here.weight, here.at, after.at))
        return found


def _sight(obj: Object) -> Sight:
    status = obj.get("status") or {}
    return Sight(
        at=time.time(),
        name=obj["metadata"]["name"],
        version=obj["spec"]["version"],
        phase=status.get("phase", ""),
        stage=status.get("stage", ""),
        weight=(status.get("weight") or {}).get("asked", 0),
        settled="stageSince" in status,
    )


def users_part(obj: Object) -> Object:
    """What a user's object says, without what Slipway and kube's own controllers note on it."""
    meta = obj["metadata"]
    notes = {
        key: value
        for key, value in (meta.get("annotations") or {}).items()
        if not key.startswith(OURS) and key not in NATIVE
    }
    spec = _without_keys(obj["spec"]) if obj.get("kind") == "Deployment" else obj["spec"]
    return {
        "name": meta["name"],
        "labels": meta.get("labels") or {},
        "annotations": notes,
        "finalizers": meta.get("finalizers") or [],
        "spec": spec,
    }


def _without_keys(spec: Object) -> Object:
    """A Deployment's spec without the version and revision in its template."""
    meta = dict(spec["template"].get("metadata") or {})
    for part in ("labels", "annotations"):
        kept = {k: v for k, v in (meta.pop(part, None) or {}).items() if not k.startswith(OURS)}
        if kept:
            meta[part] = kept
    return {**spec, "template": {**spec["template"], "metadata": meta}}
