"""What must be seen before a stage may end: each check gives the reason why not, or None."""

from collections.abc import Iterable

from webhook import names
from webhook.objects.release import ReleaseStatus
from webhook.release.converge import outgoing
from webhook.release.observed import Observed, PodView, RootView, Side


def roots_reach(seen: Observed, hash_: str) -> str | None:
    """Every pinned Service offers exactly the ready pods of the ReplicaSet ``hash_``."""
    side = side_of(seen, hash_)
    if side is None:
        return None  # it was deleted with its last pod: there is nothing to offer
    for root in seen.roots:
        if root.free:
            continue
        if root.endpoints - side.all:
            return f"Service {root.name} still offers pods of another version"
        if lacking := _offers_too_much_or_little(root, side.pods):
            return lacking
    return None


def roots_offer_both(seen: Observed) -> str | None:
    """Every unpinned Service offers the ready pods of both versions, or of the one it selects."""
    for root in seen.roots:
        sides = (seen.canary,) if root.foreign else (seen.stable, seen.canary)
        pods = [pod for side in sides if side for pod in side.pods]
        if lacking := _offers_too_much_or_little(root, pods):
            return lacking
    return None


def _offers_too_much_or_little(root: RootView, pods: Iterable[PodView]) -> str | None:
    leaving = {pod.uid for pod in pods if pod.track == names.TRACK_RETIRING}
    if root.endpoints & leaving and not root.free:
        return f"Service {root.name} still offers pods that make room"
    if {pod.uid for pod in pods if pod.ready} - leaving - root.endpoints:
        return f"Service {root.name} does not offer every ready pod yet"
    return None


def side_of(seen: Observed, hash_: str) -> Side | None:
    """The ReplicaSet of a hash, whatever template the Deployment has by now."""
    sides = (seen.stable, seen.canary, *seen.leftovers)
    return next((side for side in sides if side and side.hash == hash_), None)


def nobody_to_return_to(seen: Observed, status: ReleaseStatus) -> str | None:
    """The released version has no ready pod, while the new one still answers."""
    if seen.stable is None or seen.stable.ready or not seen.deployment.replicas:
        return None
    new = side_of(seen, status.canary_hash)
    if new is None or not new.ready:
        return None
    return "the new version keeps its traffic until a pod of the released one is ready"


def new_pods_only(seen: Observed) -> str | None:
    """A Service has requests, and nobody for them but pods of the new version."""
    left = next((root.name for root in seen.roots if root.foreign and root.endpoints), None)
    if left is None or not (seen.canary and seen.canary.ready):
        return None
    return f"Service {left} selects new pods only; they stay until it selects the released ones"


def canary_ready(seen: Observed, status: ReleaseStatus) -> str | None:
    """The wanted number of new pods is ready."""
    deployment = seen.deployment
    if deployment.paused_by_user:
        return "the Deployment is paused by its user; kubectl rollout resume goes on"
    if status.canary_replicas == 0:
        return None
    if seen.canary is None:
        return "the Deployment controller has not made the new ReplicaSet yet"
    ready = len(seen.canary.ready)
    if ready < status.canary_replicas:
        return f"{ready} of {status.canary_replicas} new pods are ready{trouble(seen)}"
    return None


def trouble(seen: Observed) -> str:
    """What Kubernetes says of new pods that are not there or not ready, to go behind a sentence."""
    if seen.deployment.replica_failure:
        return f" ({seen.deployment.replica_failure})"
    pods = seen.canary.pods if seen.canary else ()
    first = next((pod for pod in pods if pod.trouble and not pod.terminating), None)
    return f" ({first.name}: {first.trouble})" if first else ""


def canary_reachable(seen: Observed, status: ReleaseStatus) -> str | None:
    """Each canary Service offers the new pods that are ready, and no strangers."""
    if seen.canary is None:
        return "the new ReplicaSet is gone"
    there = {canary.name: canary for canary in seen.canaries}
    roots = {root.name for root in seen.roots}
    for pair in status.exposed:
        if pair.root not in roots:
            continue
        found = there.get(pair.canary)
        if found is None:
            return f"Service {pair.canary} is not there yet"
        if found.endpoints - seen.canary.all:
            return f"Service {pair.canary} offers pods of another version"
        if len(found.endpoints & seen.canary.ready) < status.canary_replicas:
            return f"Service {pair.canary} does not offer every new pod yet"
    return None


def routes_programmed(seen: Observed, _status: ReleaseStatus) -> str | None:
    """Each route that carries a split is reported as live by its controller.

    One that only leads to Services which were deleted can't be, and has nothing of ours left.
    """
    roots = {root.name for root in seen.roots}
    for route in seen.routes:
        ours = route.shares or route.roots & roots
        if route.unprogrammed and ours:
            return f"{route.ref}: {route.unprogrammed}"
    return None


def canaries_gone(seen: Observed, _status: ReleaseStatus) -> str | None:
    """No canary Service is left."""
    return f"Service {seen.canaries[0].name} is being deleted" if seen.canaries else None


def pods_before(seen: Observed) -> bool:
    """Whether pods of other versions, or of the new one, are there before anything began."""
    return bool(seen.leftovers or (seen.canary and (seen.canary.wanted or seen.canary.pods)))


def ready_before(seen: Observed) -> bool:
    """Whether such pods may have requests until their Services are pinned to others."""
    return any(side.ready for side in (seen.canary, *seen.leftovers) if side)


def withdrawn(seen: Observed, _status: ReleaseStatus) -> str | None:
    """No pod of a version that was taken back is left, but those that are ending.

    Kinds are watched apart: the controller's own word is asked for pods that were not seen yet.
    """
    deployment = seen.deployment
    if deployment.observed_generation < deployment.generation:
        return "the Deployment controller has not seen the hold yet"
    left = [pod for side in outgoing(seen) for pod in side.pods if not pod.terminating]
    if left:
        return f"{len(left)} pods of the version taken back are still there"
    sides = [side for side in (seen.stable, seen.canary, *seen.leftovers) if side]
    if sum(not pod.terminating for side in sides for pod in side.pods) < deployment.total:
        return "the Deployment controller knows of pods that were not seen yet"
    return None


def rolled_out(seen: Observed, _status: ReleaseStatus) -> str | None:
    """The native controller is done, and the pods of other versions are gone for good."""
    deployment = seen.deployment
    if deployment.hold is not None:
        return None
    if not deployment.complete:
        return "the Deployment controller replaces the old pods"
    sides = [seen.stable, *seen.leftovers] if seen.canary else list(seen.leftovers)
    left = [pod for side in sides if side for pod in side.pods]
    return f"{len(left)} old pods are ending" if left else None
