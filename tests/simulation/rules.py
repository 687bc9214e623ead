"""The rules of the design, asserted on what is true in the cluster, after everything that moves.

What a pod may get is read off the proxies and not off what the engine believes. What is excused
is what nobody can help: pods that die, a Service that its user deletes, a scale to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.simulation import rollout
from tests.simulation.api_server import ApiServer, owners
from tests.simulation.capacity import Capacity
from tests.simulation.clock import Clock
from tests.simulation.dataplane import DataPlane, Proxy
from tests.simulation.deployments import HASH, is_ready
from tests.simulation.excuses import Excuses
from tests.simulation.patches import Object
from tests.simulation.reading import (
    hold_text,
    notes,
    running_release,
    shares_in,
    status_of,
    wanted_policy,
)
from tests.simulation.shop import SIDE
from webhook import names
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    DEPLOYMENTS,
    HTTPROUTES,
    INGRESSES,
    PODS,
    RELEASES,
    REPLICASETS,
    SERVICES,
    Kind,
)
from webhook.objects.duration import parse_duration
from webhook.projection.template import revision_of, stable_of, users_template

_KNOWN_AFTER = 10_000
"""Milliseconds after which the webhook knows of a policy that was changed."""


class Broken(AssertionError):
    """A rule broke; the text says which, and how."""


class Rules:
    """Watches one Deployment, and tells who watches the one ``beside`` it."""

    def __init__(
        self,
        clock: Clock,
        api: ApiServer,
        excuses: Excuses,
        hash_of: Callable[[Object], str],
        app: str = "web",
        beside: Rules | None = None,
    ) -> None:
        self._clock, self._api, self._hash_of = clock, api, hash_of
        self._app, self._beside = app, beside
        self.excuses = excuses
        self.plane: DataPlane | None = None
        self.broken: list[str] = beside.broken if beside else []
        self.releases = 0
        self._free_hashes: set[str] = set()
        self._free_revisions: set[str] = set()
        self._served: dict[str, frozenset[str]] = {}
        self._last: dict[str, int] = {}
        self._alive: set[tuple[str, str]] = set()
        self._guarded = False
        self._taken_back: set[str] = set()
        self._policy_since = 0
        self._granted_lift = -1
        """Until when a hold may be lifted though the Release that granted it was deleted."""
        if app == "web":
            Capacity(api, excuses, self._fail)
        api.subscribe(self._changed)

    @property
    def counted(self) -> int:
        """Releases of all Deployments."""
        return self.releases + (self._beside.counted if self._beside else 0)

    def _fail(self, rule: str, what: str) -> None:
        if not self.excuses.passed:
            self.broken.append(f"{rule}: {what}")

    def forget(self) -> None:
        """Somebody deleted the Release: who begins anew knows nothing of the one before."""
        self._taken_back.clear()

    def _policy(self) -> Object | None:
        return None if self.excuses.leaving else wanted_policy(self._api)

    # What is written

    def _changed(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        if kind is CLUSTERRELEASEPOLICIES:
            self._policy_since = self._clock.now
        elif kind is RELEASES and obj["spec"]["deployment"]["name"] == self._app:
            self._release(type_, obj, old)
        elif kind is DEPLOYMENTS and obj["metadata"]["name"] == self._app:
            self._deployment(type_, obj, old)
        elif kind in (HTTPROUTES, INGRESSES) and type_ != "DELETED":
            self._route(obj, old)
            self._one_by_one(obj, old)
        elif kind is SERVICES and type_ == "MODIFIED" and old is not None:
            self._repinned(obj, old)
            if obj["spec"]["type"] == "ExternalName" and names.PIN in notes(obj):
                self._fail("rule 7", f"{obj['metadata']['name']} is pinned, and has no pods")
        elif kind is SERVICES and type_ == "DELETED" and self._app == "web":
            self._service_gone(obj)

    def _release(self, type_: str, obj: Object, old: Object | None) -> None:
        status, before = status_of(obj), status_of(old)
        revision, uid = obj["spec"]["revision"], obj["metadata"]["uid"]
        if type_ == "DELETED":
            return
        self.releases += old is None
        weight, had = _asked(status), _asked(before)
        if status.get("stays"):  # nobody is left to go back to
            self._taken_back.discard(uid)
        elif status.get("outcome"):
            self._taken_back.add(uid)
            if weight > had:
                self._fail("rule 4", f"{obj['metadata']['name']} asks for more after it went back")
        if status.get("stage") == "lift":
            self._granted_lift = self._clock.now + 20_000  # a write may be that late
        if status.get("granted") or weight:
            self._free_revisions.add(revision)
            self._free_shown(revision)
        if status.get("finishedAt") and not before.get("finishedAt"):
            self._free_revisions.discard(revision)

    def _free_shown(self, revision: str) -> None:
        """A template that passed without webhook does not name its revision."""
        deployment = self._api.find(DEPLOYMENTS, "shop", self._app)
        template = deployment["spec"]["template"] if deployment else {}
        if template and revision_of(users_template(template)) == revision:
            self._free_hashes.add(self._hash_of(template))

    def _deployment(self, type_: str, obj: Object, old: Object | None) -> None:
        if type_ == "DELETED":
            self._guarded = False
            return
        held, was_held = hold_text(obj), hold_text(old)
        waits, waited = _waits(obj), old is not None and _waits(old)
        if old is not None and (held or waits) and not (was_held or waited):
            self._free_hashes = {self._hash_of(old["spec"]["template"]), *self._out(old)}
            self._guarded = True
            self.excuses.begin(self._others())
        if was_held and not held:
            self._lifted(obj, old or obj)
        changed = old is not None and obj["spec"]["template"] != old["spec"]["template"]
        if changed and not (held or was_held or waits):
            self._guarded = False  # no policy is for it
            self._passes(obj, old or obj)
        if not held and not waits:
            self._free_hashes.add(self._hash_of(obj["spec"]["template"]))

    def _out(self, deployment: Object) -> set[str]:
        """Hashes of what is out already when a hold begins: a rollout may have stood half way."""
        uid = deployment["metadata"]["uid"]
        mine = [rs for rs in self._api.all(REPLICASETS) if uid in owners(rs)]
        return {rs["metadata"]["labels"][HASH] for rs in mine if rollout.size(rs)}

    def _others(self) -> set[str]:
        """Hashes of pods of other Deployments."""
        pods = self._api.all(PODS) if self.excuses.shared else []
        return {pod["metadata"]["labels"].get(HASH, "") for pod in pods if not self._is_mine(pod)}

    def _is_mine(self, obj: Object) -> bool:
        """Whether a pod or a Service is about this Deployment."""
        app: str = (obj["metadata"].get("labels") or {}).get("app", "web")
        return app == self._app

    def _passes(self, obj: Object, old: Object) -> None:
        """A new template passes unguarded only where nothing can guard it."""
        if self._hash_of(obj["spec"]["template"]) in self._free_hashes:
            return  # the released one, given back late
        if obj["spec"]["strategy"]["type"] == "Recreate":
            return  # its user wants an outage
        known = self._clock.now - self._policy_since > _KNOWN_AFTER
        replicas = [o["spec"]["replicas"] for o in (obj, old)]
        if known and self._policy() and 0 not in replicas:
            self._fail("rule 1", "a new template is not held, though a policy is for it")

    def _lifted(self, obj: Object, old: Object) -> None:
        """A hold goes only for a reason."""
        running = running_release(self._api, obj)
        stable = stable_of(old)
        wanted = revision_of(users_template(obj["spec"]["template"]))
        if running is not None and status_of(running).get("hold") == "":
            self._guarded = not self.excuses.all_gone  # nothing served, so nothing is protected
            return
        if stable is not None and wanted == stable.revision:
            return
        if running is None and (self._policy() is None or not self._serves(obj)):
            self._guarded = False
            return
        if running is None and self._clock.now < self._granted_lift:
            return
        self._fail("rule 1", "the hold was lifted, and no release was ready for it")

    def _serves(self, deployment: Object) -> bool:
        """Whether a released ReplicaSet of the Deployment is there to be protected."""
        uid = deployment["metadata"]["uid"]
        return not self.excuses.all_gone and any(
            uid in owners(rs)
            and rs["metadata"]["labels"][HASH] in self._free_hashes
            and rollout.size(rs)
            for rs in self._api.all(REPLICASETS)
        )

    def _route(self, obj: Object, old: Object | None) -> None:
        """Rules 1 and 4: weight is granted before it is given, and never grows on the way back."""
        shares, before = shares_in(obj), shares_in(old)
        if old is None and obj["kind"] == "HTTPRoute":
            return  # one that comes back carries what the webhook's cache knew
        if any(self._api.by_uid(uid) is None for uid in owners(obj)):
            return  # its Deployment is gone, and so will it be
        for root, weight in shares.items():
            if weight <= before.get(root, 0) or app_of(root) != self._app:
                continue
            wrong = self._ungranted(weight)
            if root in self.excuses.shared and self._beside and not self._beside._ungranted(weight):
                continue  # the first Deployment is gone: it is all the other's
            if wrong:
                self._fail(wrong[0], f"{obj['metadata']['name']} gives {weight} %, {wrong[1]}")

    def _ungranted(self, weight: int) -> tuple[str, str] | None:
        """The rule that a weight breaks, and how; None if it is granted."""
        deployment = self._api.find(DEPLOYMENTS, "shop", self._app)
        release = running_release(self._api, deployment) if deployment else None
        if release is None:
            return "rule 1", "with no release running"
        if release["metadata"]["uid"] in self._taken_back:
            return "rule 4", "after the release went back"
        return (
            ("rule 1", "which no step has granted") if weight > _asked(status_of(release)) else None
        )

    def _one_by_one(self, obj: Object, old: Object | None) -> None:
        """A weight changes only once every proxy knows the selector that was changed before."""
        if old is None or self.plane is None or not self._goes_forward():
            return
        shares, before = shares_in(obj), shares_in(old)
        for root in shares.keys() & before.keys():
            service = self._api.find(SERVICES, "shop", root)
            if app_of(root) != self._app:
                continue
            if shares[root] == before[root] or service is None or self.excuses.shaken(root):
                continue
            wanted = service["spec"]["selector"].get(HASH)
            for proxy in self.plane.proxies:
                found = map(self._api.by_uid, proxy.slices.get(root, ()))
                hashes = {pod["metadata"]["labels"].get(HASH) for pod in found if pod}
                if wanted and hashes - {wanted}:
                    self._fail("rule 3", f"{root}: its weight changes while its selector does")

    def _repinned(self, obj: Object, old: Object) -> None:
        """A selector changes only once every proxy knows the weight that was changed before."""
        pins = [(o["spec"].get("selector") or {}).get(HASH) for o in (obj, old)]
        name = obj["metadata"]["name"]
        if None in pins or pins[0] == pins[1] or app_of(name) != self._app:
            return
        if not self._goes_forward() or self.plane is None:
            return
        for route in self._api.all(HTTPROUTES):
            wanted = shares_in(route).get(name)
            for known in self.plane.known(HTTPROUTES, route["metadata"]["name"]):
                if wanted is not None and shares_in(known).get(name) != wanted:
                    self._fail("rule 3", f"{name}: its selector changes while its weight does")

    def _goes_forward(self) -> bool:
        deployment = self._api.find(DEPLOYMENTS, "shop", self._app)
        release = running_release(self._api, deployment) if deployment else None
        back = ("", "Pending", "RollingBack")  # at its start a release takes back what it finds
        return release is not None and status_of(release).get("phase", "") not in back

    def _service_gone(self, obj: Object) -> None:
        name = obj["metadata"]["name"]
        ours = names.CANARY_OF in (obj["metadata"].get("labels") or {})
        collected = any(self._api.by_uid(uid) is None for uid in owners(obj))
        if ours and self.plane and not collected:
            named = list(self.plane.names(name))
            if named:
                self._fail("rule 3", f"Service {name} is deleted while {named} may route to it")

    # What is served

    def moved(self, proxy: Proxy) -> None:
        """A proxy has applied something."""
        now = frozenset(proxy.pods(self.excuses.shared))
        before = self._served.get(proxy.name, frozenset())
        self._served[proxy.name] = now
        for uid in before - now:
            self._last[uid] = self._clock.now
        for uid in now - before:
            self._may_serve(proxy, uid)
        self._answers(proxy)
        if self._beside:
            self._beside.moved(proxy)

    def readiness_changed(self) -> None:
        """A pod is ready or is not any more: every target still needs one that is."""
        if self.plane:
            for proxy in self.plane.proxies:
                self._answers(proxy)
        if self._beside:
            self._beside.readiness_changed()

    def _may_serve(self, proxy: Proxy, uid: str) -> None:
        pod = self._api.by_uid(uid)
        if pod is None or not self._guarded or not self._is_mine(pod) or self._is_free(pod):
            return
        name = pod["metadata"]["name"]
        self._fail("rule 1", f"{name} gets traffic from {proxy.name} before a step grants it")

    def _is_free(self, pod: Object) -> bool:
        meta = pod["metadata"]
        hash_ = meta["labels"].get(HASH)
        revision = (meta.get("annotations") or {}).get(names.REVISION)
        return hash_ is None or hash_ in self._free_hashes or revision in self._free_revisions

    def _answers(self, proxy: Proxy) -> None:
        """Rule 2: who asks gets an answer."""
        for target in proxy.targets:
            if not target.weight or app_of(target.service) != self._app:
                continue
            where = (proxy.name, target.service)
            uids = proxy.slices.get(target.service, frozenset())
            pods = [pod for uid in uids if (pod := self._api.by_uid(uid))]
            if any(is_ready(pod) for pod in pods):
                self._alive.add(where)
                continue
            new = target.service.endswith("-canary")
            if where not in self._alive and not new:
                continue
            self._alive.discard(where)
            if self._guarded and not self.excuses.nobody_there(target.service, pods):
                self._fail("rule 2", f"{proxy.name} finds nobody behind {target.service}")

    # What ends

    def pod_ends(self, pod: Object, by_user: bool) -> None:
        """Rule 3: a pod that a controller ends had no traffic for the drain time."""
        meta = pod["metadata"]
        if self._beside and not self._is_mine(pod):
            self._beside.pod_ends(pod, by_user)
            return
        if by_user:
            self.excuses.lose(meta["labels"][HASH])
            return
        if not self._guarded or not is_ready(pod) or self.excuses.deleted:
            return
        if self.excuses.resized or self._is_surplus(pod):
            return
        uid = meta["uid"]
        served = any(uid in uids for uids in self._served.values())
        quiet = 0 if served else self._clock.now - self._last.get(uid, -(10**9))
        if quiet < self._drain() and not served_never(self._last, uid, served):
            self._fail("rule 3", f"{meta['name']} ends {quiet} ms after its last request")

    def _is_surplus(self, pod: Object) -> bool:
        """Its side still has as many pods as the user wants: it was scaled down."""
        rs = self._api.by_uid(owners(pod)[0])
        found = self._api.find(DEPLOYMENTS, "shop", self._app)
        return bool(rs and found and 0 < found["spec"]["replicas"] <= rollout.size(rs))

    def _drain(self) -> int:
        """That of the newest release, in milliseconds."""
        releases = self._api.all(RELEASES)
        if not releases:
            return 0
        newest = max(releases, key=lambda r: int(r["metadata"]["resourceVersion"]))
        drain = parse_duration(newest["spec"]["traffic"]["drain"])
        return int(drain / timedelta(milliseconds=1))


def app_of(service: str) -> str:
    """The Deployment that a Service is for, by its name."""
    return SIDE if service.startswith(SIDE) else "web"


def _waits(deployment: Object) -> bool:
    """The admission policy has paused it, and nobody has taken that up."""
    return names.HELD_BY in (deployment["metadata"].get("annotations") or {})


def served_never(last: dict[str, int], uid: str, served: bool) -> bool:
    return not served and uid not in last


def _asked(status: Object) -> int:
    asked: int = (status.get("weight") or {}).get("asked", 0)
    return asked
