"""The writes that make the cluster what a release's status says it wants. None at the fixed point.

A stage changes one thing in the status; what follows here is then one kind of write.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from webhook import names
from webhook.objects.intent import Hold, Share
from webhook.objects.release import Phase, Release, ReleaseStatus, SharedOut
from webhook.release import program
from webhook.release.actions import (
    Action,
    DeleteCanary,
    DeleteReplicaSet,
    ExposeCanary,
    LabelPod,
    LiftHold,
    MarkFailed,
    RemoveStray,
    ScaleReplicaSet,
    SetHold,
    SetPin,
    SetSplit,
)
from webhook.release.observed import Observed, RouteView, Side


def converge(seen: Observed, release: Release, status: ReleaseStatus) -> tuple[Action, ...]:
    """Everything still to be written; traffic moves before capacity when a version goes back."""
    parts = [_pins(seen, status), _canaries(seen, status), _splits(seen, release, status)]
    if status.phase is Phase.ROLLING_BACK:
        parts = [parts[2], *parts[:2]]
    writes = [write for part in parts for write in part]
    writes += _hold(seen, release, status)
    writes += _withdrawal(seen, status)
    writes += _labels(seen, status)
    return tuple(writes)


def shares(release: Release, status: ReleaseStatus) -> dict[str, Share]:
    """By root Service: what routes should send beside it."""
    if status.split is None:
        return {}
    shared = 0 < status.split < 100
    sticky = program.sticky_of(release.spec, release.spec.revision) if shared else None
    return {
        pair.root: Share(
            canary=pair.canary,
            weight=status.split,
            headers=status.routing.headers,
            mirrors=status.routing.mirrors,
            preview=status.routing.preview,
            sticky=sticky,
        )
        for pair in status.exposed
    }


def _desired(
    seen: Observed, route: RouteView, release: Release, status: ReleaseStatus
) -> dict[str, Share]:
    """A Service that was deleted has no share: what the user wrote is what the route says."""
    wanted, there = shares(release, status), {root.name for root in seen.roots}
    mine = {root: share for root, share in wanted.items() if root in route.roots & there}
    if status.phase is not Phase.ROLLING_BACK or status.stays:
        return mine
    # On the way back no weight comes again that a user's write took away.
    has = {root for root, share in route.shares.items() if share.weight}
    return {root: share for root, share in mine.items() if root in has or not share.weight}


def _beside_roots(seen: Observed, status: ReleaseStatus) -> list[SharedOut]:
    there = {root.name for root in seen.roots}
    return [pair for pair in status.exposed if pair.root in there]


def outgoing(seen: Observed) -> tuple[Side, ...]:
    """Every side but the stable one: what goes when a version is taken back."""
    return (*((seen.canary,) if seen.canary else ()), *seen.leftovers)


def moved_on(seen: Observed, release: Release) -> bool:
    """Whether the user wants another template than this release's, or the released one again."""
    spec, wanted = release.spec, seen.deployment.revision
    return wanted != spec.revision or wanted == spec.stable.revision


def _pins(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    for root in seen.roots:
        wanted = None if root.free else status.root_hash or None
        # The label first: a Service that asks for it before any pod has it is empty.
        fenced = status.fenced and not root.free and (root.fenced or _labelled(seen))
        if (root.pin, root.fenced) != (wanted, fenced) or not root.projected:
            yield SetPin(root.name, wanted, fenced)


def _labelled(seen: Observed) -> bool:
    pods = [pod for side in (seen.stable, seen.canary) if side for pod in side.pods if pod.ready]
    return bool(pods) and all(pod.serves for pod in pods)


def _canaries(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    there = {canary.name: canary for canary in seen.canaries}
    for pair in _beside_roots(seen, status):
        found = there.get(pair.canary)
        if status.canary_hash and (found is None or found.hash != status.canary_hash):
            yield ExposeCanary(pair.root, pair.canary, status.canary_hash)
    named = {share.canary for route in seen.routes for share in route.shares.values()}
    kept = {pair.canary for pair in status.exposed}
    for name in sorted(there.keys() - kept - named):
        yield DeleteCanary(name)


def _splits(seen: Observed, release: Release, status: ReleaseStatus) -> Iterator[Action]:
    for route in seen.routes:
        wanted = _desired(seen, route, release, status)
        if route.shares != wanted or not route.projected:
            yield SetSplit(route.ref, wanted)
    for ref in seen.strays:
        yield RemoveStray(ref)


def _hold(seen: Observed, release: Release, status: ReleaseStatus) -> Iterator[Action]:
    held = seen.deployment.hold
    if not status.hold:
        ours = {None: release.spec.revision, Phase.ROLLED_BACK: release.spec.stable.revision}
        # Released, a version serves: what holds a later template is for that one's release to lift.
        nobody = not seen.stable and status.outcome is not None
        given_back = seen.deployment.revision == ours.get(status.outcome) or nobody
        if given_back and (held is not None or not seen.deployment.projected):
            yield LiftHold()
        return
    wanted = _wanted_hold(status, held)
    if seen.deployment.paused_by_user and held and (held.mode, wanted.mode) == ("Step", "Step"):
        # Paused, the native controller would share the room between both sides.
        wanted = replace(wanted, surge=held.surge, unavailable=held.unavailable)
    yield from _both_sides(seen, status, held)
    same = held is not None and _same(held, wanted, seen.deployment.replicas)
    if not same or not seen.deployment.projected:
        yield wanted
    if status.hold == "Aborted" and not seen.deployment.marked_failed:
        yield MarkFailed(status.message)


def _both_sides(seen: Observed, status: ReleaseStatus, held: Hold | None) -> Iterator[Action]:
    """What the native controller's proportions leave aside when the replicas change in a hold.

    Scaled up, room that is added would all go to the new side: the old one first. Scaled down,
    the new side keeps a pod too many. With one side only, that one has all replicas, and the
    native controller would undo what is written here, for ever.
    """
    stable, least = seen.stable, seen.deployment.replicas - status.unavailable
    steps = held is not None and held.mode == status.hold == "Step"
    if not steps or stable is None or seen.deployment.paused_by_user:
        return
    if stable.wanted < least:
        yield ScaleReplicaSet(stable.name, least)
    if seen.canary and seen.canary.wanted > status.canary_replicas:
        yield ScaleReplicaSet(seen.canary.name, status.canary_replicas)


def _wanted_hold(status: ReleaseStatus, held: Hold | None) -> SetHold:
    match status.hold:
        case "Step":
            gone = status.unavailable
            return SetHold("Step", max(1, status.canary_replicas - gone), gone)
        case "Halt":
            if held is None or held.new_pods == 0:
                return SetHold("Gate")
            return SetHold("Halt", held.surge, held.unavailable)
        case "Aborted":
            return SetHold("Gate", aborted=True)
        case _:
            return SetHold("Gate")


def _same(held: Hold, wanted: SetHold, replicas: int) -> bool:
    mode: Literal["Gate", "Step", "Halt"] = wanted.mode
    if (held.mode, held.aborted) != (mode, wanted.aborted):
        return False
    if mode == "Step" and held.unavailable_of(replicas) != wanted.unavailable:
        return False  # the replicas changed
    shown = held.surge, held.unavailable
    return mode == "Gate" or shown == (wanted.surge, wanted.unavailable)


def _withdrawal(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    new = seen.canary
    over = new is not None and not new.wanted and all(pod.terminating for pod in new.pods)
    if new and over and status.hold == "Aborted":
        yield DeleteReplicaSet(new.name)
    stable, replicas = seen.stable, seen.deployment.replicas
    back = status.phase is Phase.ROLLING_BACK and status.hold
    if back and stable and replicas and not stable.wanted:
        # Scaled up from 0, the native controller takes the newest ReplicaSet, which is not this.
        # Once the hold is lifted, it decides alone: what was set back may not be the very template.
        yield ScaleReplicaSet(stable.name, replicas)
    if status.stage == "withdraw" or status.hold == "Aborted":
        for side in outgoing(seen):
            if side.wanted > 0:
                yield ScaleReplicaSet(side.name, 0)


def _labels(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    """Say in place which pods are which, once new ones exist; take it back at the end."""
    ending = status.phase is Phase.CLEANING or status.stage in ("settle-up", "unpin")
    new = seen.canary
    yield from _adopted(seen)
    marked = seen.stable is not None and any(pod.track for pod in seen.stable.pods)
    if not (ending or marked or (new and new.pods)):
        return
    retiring = frozenset() if ending else _retiring(seen, status)
    for side, track in ((seen.stable, names.TRACK_STABLE), (new, names.TRACK_CANARY)):
        for pod in side.pods if side else ():
            leaves = pod.name in retiring
            label = names.TRACK_RETIRING if leaves else None if ending else track
            serves = status.fenced and not leaves and not ending
            if (pod.track, pod.serves) != (label, serves) and not pod.terminating:
                marked = names.TRACK_RETIRING in (pod.track, label)
                yield LabelPod(pod.name, label, serves, (), leaves if marked else None)


def _adopted(seen: Observed) -> Iterator[Action]:
    """Released pods keep serving a Service whose user added a label to it and to the template."""
    asked = {k: v for root in seen.roots if not root.free for k, v in root.selector.items()}
    for pod in seen.stable.pods if seen.stable else ():
        if pod.terminating or not pod.labels or asked.keys() <= pod.labels.keys():
            continue
        lacking = tuple(sorted((k, v) for k, v in asked.items() if k not in pod.labels))
        yield LabelPod(pod.name, pod.track, pod.serves, lacking)


def _retiring(seen: Observed, status: ReleaseStatus) -> frozenset[str]:
    """Stable pods that leave their Services: so many as there are above those that stay."""
    if not status.retired or seen.stable is None:
        return frozenset()
    there = [pod for pod in seen.stable.pods if not pod.terminating]
    above = len(there) - (seen.deployment.replicas - status.retired)
    order = sorted(there, key=lambda pod: (pod.track != names.TRACK_RETIRING, pod.ready, pod.name))
    return frozenset(pod.name for pod in order[: max(0, above)])
