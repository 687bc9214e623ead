"""The writes that make the cluster what a release's status says it wants. None at the fixed point.

A stage changes one thing in the status; what follows here is then one kind of write.
"""

from collections.abc import Iterator
from typing import Literal

from webhook import names
from webhook.objects.intent import Hold, Share
from webhook.objects.release import Phase, Release, ReleaseStatus
from webhook.release.actions import (
    Action,
    DeleteCanary,
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
    traffic = (_pins, _canaries, _splits)
    if status.phase is Phase.ROLLING_BACK:
        traffic = (_splits, _pins, _canaries)
    writes = [write for part in traffic for write in part(seen, status)]
    writes += _hold(seen, release, status)
    writes += _withdrawal(seen, status)
    writes += _labels(seen, status)
    return tuple(writes)


def desired_shares(route: RouteView, status: ReleaseStatus) -> dict[str, Share]:
    """The split that a route should carry."""
    if status.split is None:
        return {}
    return {
        pair.root: Share(canary=pair.canary, weight=status.split)
        for pair in status.exposed
        if pair.root in route.roots
    }


def outgoing(seen: Observed) -> tuple[Side, ...]:
    """Every side but the stable one: what goes when a version is taken back."""
    return (*((seen.canary,) if seen.canary else ()), *seen.leftovers)


def moved_on(seen: Observed, release: Release) -> bool:
    """Whether the user wants another template than this release's, or the released one again."""
    spec, wanted = release.spec, seen.deployment.revision
    return wanted != spec.revision or wanted == spec.stable.revision


def _pins(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    for root in seen.roots:
        wanted = None if root.shared else status.root_hash or None
        if root.pin != wanted or not root.projected:
            yield SetPin(root.name, wanted)


def _canaries(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    there = {canary.name: canary for canary in seen.canaries}
    for pair in status.exposed:
        found = there.get(pair.canary)
        if status.canary_hash and (found is None or found.hash != status.canary_hash):
            yield ExposeCanary(pair.root, pair.canary, status.canary_hash)
    named = {share.canary for route in seen.routes for share in route.shares.values()}
    kept = {pair.canary for pair in status.exposed}
    for name in sorted(there.keys() - kept - named):
        yield DeleteCanary(name)


def _splits(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    for route in seen.routes:
        shares = desired_shares(route, status)
        if route.shares != shares or not route.projected:
            yield SetSplit(route.ref, shares)
    for ref in seen.strays:
        yield RemoveStray(ref)


def _hold(seen: Observed, release: Release, status: ReleaseStatus) -> Iterator[Action]:
    held = seen.deployment.hold
    if not status.hold:
        ours = {None: release.spec.revision, Phase.ROLLED_BACK: release.spec.stable.revision}
        given_back = seen.deployment.revision == ours.get(status.outcome)
        if given_back and (held is not None or not seen.deployment.projected):
            yield LiftHold()
        return
    wanted = _wanted_hold(status, held)
    if held is None or not _same(held, wanted) or not seen.deployment.projected:
        yield wanted
    if status.hold == "Aborted" and not seen.deployment.marked_failed:
        yield MarkFailed(status.message)


def _wanted_hold(status: ReleaseStatus, held: Hold | None) -> SetHold:
    match status.hold:
        case "Step":
            return SetHold("Step", surge=max(1, status.canary_replicas))
        case "Halt":
            if held is None or held.new_pods == 0:
                return SetHold("Gate")
            return SetHold("Halt", surge=held.new_pods)
        case "Aborted":
            return SetHold("Gate", aborted=True)
        case _:
            return SetHold("Gate")


def _same(held: Hold, wanted: SetHold) -> bool:
    mode: Literal["Gate", "Step", "Halt"] = wanted.mode
    if (held.mode, held.aborted) != (mode, wanted.aborted):
        return False
    return mode == "Gate" or (held.surge, held.unavailable) == (wanted.surge, 0)


def _withdrawal(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    if status.stage == "withdraw":
        for side in outgoing(seen):
            if side.wanted > 0:
                yield ScaleReplicaSet(side.name, 0)


def _labels(seen: Observed, status: ReleaseStatus) -> Iterator[Action]:
    """Say in place which pods are which, once new ones exist; take it back at the end."""
    ending = status.phase is Phase.CLEANING or status.stage == "settle-up"
    new = seen.canary
    if not ending and (new is None or not new.pods):
        return
    for side, track in ((seen.stable, names.TRACK_STABLE), (new, names.TRACK_CANARY)):
        for pod in side.pods if side else ():
            wanted = None if ending else track
            if pod.track != wanted and not pod.terminating:
                yield LabelPod(pod.name, wanted)
