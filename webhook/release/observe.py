"""From raw objects to `Observed`: everything that the engine knows of the Kubernetes API."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from webhook import names
from webhook.objects.raw import Object
from webhook.objects.release import Release
from webhook.projection.deployment import hold_of, project_hold, users_deployment
from webhook.projection.fields import ABSENT, annotations, labels, write
from webhook.projection.template import (
    Stable,
    revision_and_version,
    revision_of,
    stable_from,
    stable_of,
    users_template,
)
from webhook.release.gathered import Raw, owned_by
from webhook.release.observe_traffic import (
    Root,
    asked_of,
    pods_of_others,
    routes_of,
    services_of,
    splittable,
    state_of,
    strays_of,
)
from webhook.release.observed import (
    DeploymentView,
    Observed,
    PodView,
    RootView,
    Side,
)
from webhook.release.readings import Readings

_HASH_LABEL = ("metadata", "labels", names.POD_TEMPLATE_HASH)
_SAME_MOMENT = timedelta(seconds=1)
"""A kubelet sets startTime and the first Ready condition together, in whole seconds."""
_NATIVE_DEADLINE = 600
"""Default of ``progressDeadlineSeconds``, in seconds (apps/v1)."""


def observe(raw: Raw, readings: Readings | None = None) -> Observed:
    """What the engine decides on.

    With ``readings`` of the decision before, only what is new is read; the answer is the same.
    """
    read = (readings or Readings()).of
    view = read(deployment_view, raw.deployment)
    running, finished = read(_history, raw.releases, view.uid)
    mine = [rs for rs in raw.replicasets if owned_by(rs, view.uid)]
    template: Object = raw.deployment["spec"]["template"]
    known = running.spec.stable.hash if running else None
    stable, canary, leftovers = read(_sides, mine, raw.pods, template, view.stable, known)
    others = read(pods_of_others, raw.pods, raw.replicasets, view.uid)
    about = view.uid, view.pod_labels, _labels_of(mine, stable)
    roots, canaries = read(services_of, raw.services, raw.slices, others, *about)
    wanted = splittable(roots, canaries, running)
    spec = running.spec if running else None
    asked = read(asked_of, raw.routes)
    routes, routed, left_out = read(routes_of, asked, view.namespace, wanted, spec)
    named = frozenset(root.name for root in roots)
    serve = (mine, raw.pods, template, len(stable.ready) if stable else 0)
    serving, serves_more = (None, False) if running else read(_serving, *serve)
    return Observed(
        deployment=view,
        stable=stable,
        canary=canary,
        leftovers=leftovers,
        younger=read(_younger, mine, stable.name if stable else None),
        roots=read(_root_views, roots, routed),
        canaries=canaries,
        routes=read(state_of, routes, raw.routes),
        left_out=left_out,
        strays=read(strays_of, raw.routes, view.namespace, named),
        release=running,
        finished=finished,
        policy=raw.policy,
        serving=serving,
        serves_more=serves_more,
        taken=read(_taken, raw.services),
        counted=raw.counted,
    )


def _history(releases: Iterable[Release], uid: str) -> tuple[Release | None, tuple[Release, ...]]:
    """The release in flight, and those that are over, newest first."""
    mine = sorted(
        (r for r in releases if r.spec.deployment.uid == uid),
        key=lambda r: (r.status.started_at.timestamp() if r.status.started_at else 1e18, r.name),
        reverse=True,
    )
    running = next((r for r in mine if not r.status.phase.finished), None)
    return running, tuple(r for r in mine if r.status.phase.finished)


def _root_views(roots: Iterable[Root], routed: frozenset[str]) -> tuple[RootView, ...]:
    return tuple(
        RootView(
            r.name,
            r.pin,
            r.endpoints,
            r.shared,
            r.name in routed,
            r.projected,
            r.fenced,
            r.selector,
            r.foreign,
        )
        for r in roots
    )


def _taken(services: Iterable[Object]) -> frozenset[str]:
    return frozenset(s["metadata"]["name"] for s in services if names.CANARY_OF not in labels(s))


def deployment_view(obj: Object) -> DeploymentView:
    """The Deployment behind whatever hold is shown in it."""
    meta, status = obj["metadata"], obj.get("status") or {}
    users = users_deployment(obj)
    template = users_template(users["spec"]["template"])
    revision, version = revision_and_version(template)
    replicas = users["spec"].get("replicas", 1)
    generation = meta.get("generation", 0)
    hold = hold_of(obj)
    failed = _condition(status, "Progressing")
    return DeploymentView(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=generation,
        observed_generation=status.get("observedGeneration", 0),
        replicas=replicas,
        hold=hold,
        stable=stable_of(obj),
        revision=revision,
        version=version,
        pod_labels=dict(labels(obj["spec"]["template"])),
        progress_deadline=users["spec"].get("progressDeadlineSeconds") or _NATIVE_DEADLINE,
        paused_by_user=users["spec"].get("paused") is True,
        complete=(
            status.get("observedGeneration", 0) >= generation
            and status.get("updatedReplicas", 0) == replicas
            and status.get("replicas", 0) == replicas
            and status.get("availableReplicas", 0) == replicas
        ),
        marked_failed=failed.get("reason") == "ProgressDeadlineExceeded",
        projected=project_hold(users, hold, obj) == obj,
        total=status.get("replicas", 0),
        replica_failure=_replica_failure(status),
        held_by_policy=names.HELD_BY in annotations(obj),
    )


def _replica_failure(status: Mapping[str, Any]) -> str:
    failure = _condition(status, "ReplicaFailure")
    return str(failure.get("message", "")) if failure.get("status") == "True" else ""


def _sides(
    mine: Sequence[Object],
    pods: Sequence[Object],
    template: Object,
    released: Stable | None,
    known: str | None,
) -> tuple[Side | None, Side | None, tuple[Side, ...]]:
    """Stable, canary and leftover ReplicaSets, told apart by hash and template."""
    stable = next((rs for rs in mine if labels(rs).get(names.POD_TEMPLATE_HASH) == known), None)
    if stable is None and known is None:
        stable = _stable_among(mine, released)
    canary = next((rs for rs in mine if rs is not stable and _template_of(rs) == template), None)
    by_owner = _pods_by_owner(pods)
    leftovers = tuple(
        side
        for rs in mine
        if rs is not stable and rs is not canary
        for side in [_side(rs, by_owner)]
        if side.wanted or side.pods
    )
    return (
        _side(stable, by_owner) if stable else None,
        _side(canary, by_owner) if canary else None,
        leftovers,
    )


def _stable_among(replicasets: Iterable[Object], released: Stable | None) -> Object | None:
    """The ReplicaSet of the revision that was released when the hold began."""
    if released is None:
        return None
    wanted = [
        rs
        for rs in replicasets
        if revision_of(users_template(_template_of(rs))) == released.revision
    ]
    return max(
        wanted,
        key=lambda rs: (rs["spec"].get("replicas", 0) > 0, _native_revision(rs)),
        default=None,
    )


def _labels_of(mine: Iterable[Object], side: Side | None) -> Mapping[str, str]:
    """Labels of the pods that a ReplicaSet makes."""
    found = (rs for rs in mine if side and rs["metadata"]["name"] == side.name)
    return next((labels(rs["spec"]["template"]) for rs in found), {})


def _younger(mine: Iterable[Object], stable: str | None) -> tuple[str, ...]:
    by_name = {rs["metadata"]["name"]: rs for rs in mine}
    if stable not in by_name:
        return ()
    since = by_name[stable]["metadata"].get("creationTimestamp", "")
    return tuple(
        name
        for name, rs in sorted(by_name.items())
        if not rs["spec"].get("replicas", 0)
        and name != stable
        and rs["metadata"].get("creationTimestamp", "") >= since
    )


def _serving(
    mine: Iterable[Object], pods: Iterable[Object], template: Object, stable: int
) -> tuple[Stable | None, bool]:
    """The version with the most ready pods, of another template if any; if they are more.

    A rollout that no policy guarded may stand still half way: what it replaces serves. ``stable``
    is how many ready pods there are of the version to return to.
    """
    by_owner = _pods_by_owner(pods)
    running = [
        (len(_side(rs, by_owner).ready), _native_revision(rs), _template_of(rs))
        for rs in mine
        if rs["spec"].get("replicas", 0) > 0
    ]
    others = [each for each in running if each[2] != template]
    most = max(others or running, key=lambda each: each[:2], default=None)
    if most is None:
        return None, False
    return stable_from(most[2]), most[0] > stable


def _native_revision(rs: Object) -> int:
    text = str(annotations(rs).get("deployment.kubernetes.io/revision", "0"))
    return int(text) if text.isdigit() else 0


def _template_of(rs: Object) -> Object:
    template: Object = rs["spec"]["template"]
    return write(template, _HASH_LABEL, ABSENT)


def _pods_by_owner(pods: Iterable[Object]) -> Mapping[str, list[Object]]:
    out: dict[str, list[Object]] = {}
    for pod in pods:
        for owner in pod["metadata"].get("ownerReferences") or []:
            if owner.get("controller"):
                out.setdefault(owner["uid"], []).append(pod)
    return out


def _side(rs: Object, pods: Mapping[str, list[Object]]) -> Side:
    meta = rs["metadata"]
    views = [pod_view(pod) for pod in pods.get(meta["uid"], ()) if not _over(pod)]
    sized = str(annotations(rs).get(names.DESIRED_REPLICAS, ""))
    return Side(
        name=meta["name"],
        hash=str(labels(rs).get(names.POD_TEMPLATE_HASH, "")),
        wanted=rs["spec"].get("replicas", 0),
        pods=tuple(sorted(views, key=lambda pod: pod.name)),
        sized_for=int(sized) if sized.isdigit() else None,
    )


def _over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def pod_view(pod: Object) -> PodView:
    """One pod as the engine sees it."""
    meta, status = pod["metadata"], pod.get("status") or {}
    ready = _condition(status, "Ready")
    is_ready = ready.get("status") == "True"
    terminating = "deletionTimestamp" in meta
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        ready=is_ready and not terminating,
        terminating=terminating,
        lost_readiness=not is_ready and not terminating and _was_ready(ready, status),
        track=labels(pod).get(names.TRACK),
        serves=labels(pod).get(names.SERVES) == "true",
        trouble="" if is_ready else _trouble(status),
        labels=labels(pod),
    )


def _trouble(status: Mapping[str, Any]) -> str:
    """What keeps a pod from getting ready, where Kubernetes says so."""
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return str(waiting["reason"])
    scheduled = _condition(status, "PodScheduled")
    return str(scheduled.get("reason", "")) if scheduled.get("status") == "False" else ""


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any]
    for found in status.get("conditions") or []:
        if found.get("type") == kind:
            return found
    return {}


def _was_ready(ready: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """A Ready condition that changed to False after the pod had started was True before."""
    changed, started = ready.get("lastTransitionTime"), status.get("startTime")
    if not changed or not started:
        return False
    return datetime.fromisoformat(changed) - datetime.fromisoformat(started) > _SAME_MOMENT
