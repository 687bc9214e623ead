"""One user's release on the lab, in the words of a test: apply, follow, and judge at the end."""

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lab.api import Object
from lab.cluster import Lab, as_yaml
from lab.probe import Probe, Report
from lab.traefik import WEB_PORT
from lab.watch import Watch
from tests.e2e.app import App
from tests.e2e.objects import LEFTOVERS, users_part

RELEASES = "releases.slipway.dev"
ROUTES = ("ingresses", "httproutes", "grpcroutes", "ingressroutes", "traefikservices")
"""Kinds of routes that the lab serves."""
_SECOND = 150
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
    """Every state of every Release, in order."""
    releases: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.releases = Watch(self.lab.api, RELEASES, self.namespace, self._saw)

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

    def try_apply(self, version: str) -> Any:
        """Like `apply`, where it may be refused."""
        text = as_yaml(self.manifests(version))
        return self.lab.kubectl("apply", "-f", "-", input=text, check=False)

    def kubectl(self, *args: str, check: bool = True) -> Any:
        return self.lab.kubectl(f"--namespace={self.namespace}", *args, check=check)

    def apply_beside(self, version: str) -> None:
        """``kubectl apply`` of the Deployment alone: Service and route are others by now."""
        self.lab.apply([self.app.deployment(version)])

    def second_route(self, name: str, service: str = "web") -> Object:
        """Another HTTPRoute, under a host of its own."""
        made = self.app.httproute()
        made["metadata"] = {"name": name, "namespace": self.namespace}
        made["spec"]["hostnames"] = [f"{name}.{self.namespace}.example"]
        made["spec"]["rules"][0]["backendRefs"][0]["name"] = service
        return made

    def replace(self, *manifests: Object, force: bool = False) -> None:
        """``kubectl replace``: every field and annotation is as in the manifest, or gone."""
        flags = ("--force", "--grace-period=-1") if force else ()
        self.lab.kubectl("replace", *flags, "-f", "-", input=as_yaml(list(manifests)))

    def edit(self, version: str, **fields: Any) -> None:
        """``kubectl patch release``: the fields that people may change."""
        sight = self.release(version)
        assert sight, f"no Release of {version}"
        self.lab.patch(RELEASES, sight.name, {"spec": fields}, self.namespace)

    def approve(self, version: str) -> None:
        """Approve every step."""
        sight = self.release(version)
        assert sight, f"no Release of {version}"
        steps = self.lab.get(RELEASES, sight.name, self.namespace)["status"]["steps"]
        self.edit(version, approve=steps)

    def until_half(self, version: str, env: Mapping[str, str] | None = None) -> Sight:
        """Apply a version and wait until it has half of the traffic (policy ``HALF``)."""
        self.apply(version, env)
        return self.wait_for(version, "Waiting")

    def finish(self, version: str) -> Sight:
        """Approve the pause after half of the traffic, and wait for the end."""
        self.wait_for(version, "Waiting")
        self.approve(version)
        return self.wait_for(version, "Succeeded")

    def load(self) -> None:
        """Begin the load afresh, after an outage that the user asked for."""
        self.probe.stop()
        self.probe = self.lab.probe(self.app.host, rate=150)

    # What is to be seen

    def told(self, version: str) -> str:
        """What `kubectl get releases -o wide` says of a version: reason and message."""
        status = self.object_of(version)["status"]
        return f"{status['reason']}: {status['message']}"

    def object_of(self, version: str) -> Object:
        """The newest Release of a version, as `kubectl get -o json` shows it."""
        sight = self.release(version)
        assert sight, f"no Release of {version}"
        return self.lab.get(RELEASES, sight.name, self.namespace)

    def wait_told(self, version: str, text: str, timeout: float = 30) -> str:
        """Wait until `kubectl get releases -o wide` says something of a version."""

        def there() -> str | None:
            told = self.told(version)
            assert text in told, told
            return told

        return self.lab.wait(there, timeout, f"{version} to say {text!r}")

    def wait_noted(self, version: str, text: str, timeout: float = 30) -> None:
        """Wait until the notes that `kubectl get releases -o wide` shows have a text."""

        def there() -> bool:
            notes = self.object_of(version)["status"].get("notes") or ()
            assert text in " ".join(notes), notes
            return True

        self.lab.wait(there, timeout, f"{version} to note {text!r}")

    def wait_seen(self, version: str) -> None:
        """Wait until the reconciler has seen a Release as it is now."""

        def there() -> bool:
            obj = self.object_of(version)
            return bool(obj["status"]["observedGeneration"] == obj["metadata"]["generation"])

        self.lab.wait(there, 20, f"the Release of {version} to be seen")

    def wait_observed(self) -> None:
        """Wait until the Deployment controller has seen the last change."""

        def there() -> bool:
            obj = self.deployment()
            return bool(obj["status"]["observedGeneration"] == obj["metadata"]["generation"])

        self.lab.wait(there, 20, "the Deployment controller to have seen the change")

    def wait_answer(self, host: str = "") -> None:
        """Wait until a pod answers, at first or after an outage that the user asked for."""
        self.lab.wait(lambda: answers(self.lab, host or self.app.host), 30, "a pod to answer")

    def wait_quiet(self) -> float:
        """Wait until 300 requests in a row were answered; returns when the first was sent.

        They take longer than a proxy needs to follow what has just been done.
        """
        began = time.time()
        return self.lab.wait(
            lambda: self.probe.report().between(since=began).calm(300, self.probe.rate),
            40,
            "300 good answers in a row",
        )

    def endpoints(self, service: str) -> set[str]:
        """Versions of the pods that a Service offers."""
        images = {
            pod["metadata"]["uid"]: pod["spec"]["containers"][0]["image"].partition(":")[2]
            for pod in self.lab.list("pods", self.namespace)
        }
        found = self.lab.list(
            "endpointslices", self.namespace, f"kubernetes.io/service-name={service}"
        )
        offered = [end for item in found for end in item.get("endpoints") or []]
        return {images.get(end["targetRef"]["uid"], "gone") for end in offered}

    def wait_pods(self, **counts: int) -> None:
        """Wait for so many pods of each version, those that are ending not counted."""

        def there() -> bool:
            assert self.pods() == counts, self.pods()
            return True

        self.lab.wait(there, 40, f"pods {counts}")

    def deployment(self) -> Object:
        return self.lab.get("deployments", self.app.name, self.namespace)

    def release(self, version: str) -> Sight | None:
        """The newest Release of a version, as it was seen last."""
        found = [obj for obj in self.releases.objects if obj["spec"]["version"] == version]
        if not found:
            return None
        return _sight(max(found, key=lambda obj: int(obj["metadata"]["resourceVersion"])))

    def _saw(self, obj: Object) -> None:
        sight = _sight(obj)
        if not self.sights or self.sights[-1] != sight:
            self.sights.append(sight)

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

    def wait_ready(self) -> None:
        """Wait until every pod that is not ending is ready."""

        def there() -> bool:
            for pod in self.lab.list("pods", self.namespace):
                if "deletionTimestamp" not in pod["metadata"]:
                    known = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
                    assert known.get("Ready") == "True", pod["metadata"]["name"]
            return True

        self.lab.wait(there, 30, "all pods to be ready")

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

    def end(self, since: float = 0.0, until: float = 0.0) -> Report:
        """Stop the load after a little more of it; nothing of it may have failed.

        With ``until`` and ``since``, between the two it may: an outage that the user asked for,
        and what was under way as it began.
        """
        ended = time.time()
        self.lab.wait(
            lambda: self.probe.report().between(since=ended).total > 100, 20, "the last requests"
        )
        report = self.probe.stop()
        assert report.total > 100, f"hardly any load: {report}"
        for part in (report.between(since=since), report.over_by(until)):
            assert part.failed == 0, f"{part}\n{self.story()}"
        return report

    def assert_left_as(self, *manifests: Object, held: bool = False) -> None:
        """Each object is what its manifest alone makes of it, and nothing of Slipway's is left.

        ``held``: but for the hold of an aborted Deployment.
        """
        for manifest in manifests:
            live = self.lab.get(manifest["kind"], manifest["metadata"]["name"], self.namespace)
            assert users_part(live) == users_part(self._alone(manifest)), self.story()
        self.assert_nothing_left(held=held)

    def wait_nothing_left(self) -> None:
        """Wait until `assert_nothing_left` holds."""

        def free() -> bool:
            self.assert_nothing_left()
            return True

        self.lab.wait(free, 40, "nothing to be left")

    def assert_nothing_left(self, *, held: bool = False) -> None:
        """Nothing in the namespace is held, pinned or split, and canary objects are gone."""
        for kind in (*(() if held else ("deployments",)), "services", *ROUTES):
            for obj in self.lab.list(kind, self.namespace):
                meta = obj["metadata"]
                notes = {*(meta.get("annotations") or {}), *(meta.get("labels") or {})}
                left = {key for key in notes if key in LEFTOVERS}
                assert not left, f"{kind} {meta['name']} has {left}"
        for pod in self.lab.list("pods", self.namespace):
            marks = {key for key in pod["metadata"]["labels"] if key in LEFTOVERS}
            assert not marks or "deletionTimestamp" in pod["metadata"], f"a pod has {marks}"

    def _alone(self, manifest: Object) -> Object:
        """What the API server stores of a manifest under another name; nothing is stored."""
        meta = {**manifest["metadata"], "name": f"{manifest['metadata']['name']}-alone"}
        path = self.lab.api.path(manifest["kind"], self.namespace) + "?dryRun=All"
        made = self.lab.api.request("POST", path, {**manifest, "metadata": meta})
        return {**made, "metadata": {**made["metadata"], "name": manifest["metadata"]["name"]}}

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
        """What a version was given, it keeps: no second has a clearly smaller share.

        A second is so many requests, whatever a clock says that may be set meanwhile.
        """
        best = 0.0
        for first in range(0, report.total - _SECOND + 1, _SECOND):
            part = Report(report.answers[first : first + _SECOND])
            share = part.share(version)
            assert share >= best - 0.15, f"{share:.0%} after {best:.0%}: {part}\n{self.story()}"
            best = max(best, share)

    def _pauses(self, version: str) -> list[tuple[int, float, float]]:
        """(weight, since, until) of each pause that was watched for at least half a second."""
        return pauses(s for s in self.sights if s.version == version)


def pauses(sights: Iterable[Sight]) -> list[tuple[int, float, float]]:
    """(weight, since, until) of each pause of one version, where it was no shorter than 0.4 s."""
    return [
        (here.weight, here.at, after.at)
        for here, after in pairwise(sights)
        if here.phase == "Waiting" and here.settled and after.at - here.at > 0.4
    ]


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


def answers(lab: Lab, host: str, *, calls: bool = False) -> bool:
    """Whether Traefik leads a host to a pod, by a GET or by a call."""
    if calls:
        url = f"http://127.0.0.1:{WEB_PORT}/"
        argv = [sys.executable, "-m", "lab.probe", "--calls", "--seconds=0.1", "--rate=50"]
        return lab.run([*argv, f"--url={url}", f"--host={host}"], check=False).returncode == 0
    try:
        return bool(lab.fetch("GET", "127.0.0.1", WEB_PORT, "/", {"Host": host}).ok)
    except OSError:
        return False
