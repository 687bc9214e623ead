"""What each stage grants: from a status to the next one. None of it writes anything."""

from msgspec.structs import replace

from webhook.objects.release import Feature, Phase, Routing, SharedOut, Weight
from webhook.release import checks
from webhook.release.at import At, Status


def traffic_left(at: At, status: Status) -> Status:
    """Note that the pods that will go have no traffic from here on."""
    return replace(status, traffic_left_at=at.now)


# Pending


def protect(at: At, status: Status) -> Status:
    """Stable pods only. A release that was lost in its middle is found again, at weight 0."""
    routed = {root.name for root in at.seen.roots if root.routed}
    found = tuple(SharedOut(c.root, c.name) for c in at.seen.canaries if c.root in routed)
    split = 0 if any(route.shares for route in at.seen.routes) else None
    held = at.seen.deployment.hold
    return replace(
        status,
        hold="Halt" if held and held.new_pods else "Gate",
        unavailable=held.unavailable if held else 0,
        root_hash=at.release.spec.stable.hash,
        exposed=found,
        split=split,
        skipped=_skipped(at),
        steps=len(at.steps),
        replicas=at.seen.deployment.replicas,
        started_at=status.started_at or at.now,
        granted=status.granted or split is not None or bool(held and held.new_pods),
    )


def _skipped(at: At) -> tuple[Feature, ...]:
    """What one of the routes can't carry, where the policy lets it be left out."""
    if at.release.spec.on_unsupported_step == "Deny":
        return ()
    return tuple(sorted({feature for route in at.seen.routes for feature, _ in route.lacking}))


# Scaling


def fence(_at: At, status: Status) -> Status:
    """Services take only pods that are labelled as serving, so that single ones can leave."""
    return replace(status, fenced=True)


def retire(at: At, status: Status) -> Status:
    """So many stable pods leave their Services as the next new pods need room for."""
    _, retired = at.room(status)
    return replace(status, retired=retired)


def scale(at: At, status: Status) -> Status:
    """Pods for this step, or a whole new side; never fewer than there were.

    The progress deadline begins.
    """
    pods, unavailable = at.room(status)
    return replace(
        status,
        hold="Step" if pods else "Gate",
        canary_replicas=pods,
        unavailable=unavailable,
        retired=max(status.retired, unavailable),
        replicas=at.seen.deployment.replicas,
        scaling_since=at.now,
    )


def find_new(at: At, status: Status) -> Status:
    """The new ReplicaSet is there, and found again by its hash."""
    canary = at.seen.canary
    return replace(status, canary_hash=canary.hash if canary else status.canary_hash)


def expose(at: At, status: Status) -> Status:
    """A canary Service beside each Service that needs one."""
    known = {pair.root for pair in status.exposed}
    new = tuple(
        SharedOut(root.name, canary_name(root.name, at.seen.taken, at.suffix))
        for root in at.seen.roots
        if (root.routed or at.previews) and not root.free and root.name not in known
    )
    return replace(find_new(at, status), exposed=status.exposed + new)


SUFFIXES = ("canary", "preview")
"""How names of Services for the new pods end."""


def canary_name(root: str, taken: frozenset[str], suffix: str = "canary") -> str:
    """A name for the canary Service that no Service of the user has; at most 63 characters."""
    plain = f"{root[:55]}-{suffix}"
    return plain if plain not in taken else f"{root[:47]}-slipway-{suffix}"


def name(_at: At, status: Status) -> Status:
    """A backend that a proxy does not know yet is named before it gets weight."""
    return replace(status, split=0)


# Shifting and promoting


def shift(at: At, status: Status) -> Status:
    """The weight of this step, as far as there are pods for it, and its routes."""
    status = carry(at, status, at.affordable(status))
    if status.split is None:
        return status
    routing = at.routing(status)
    moved = status.granted or bool(routing.headers or routing.mirrors or routing.preview)
    return replace(status, routing=routing, granted=moved)


def carry(at: At, status: Status, weight: int) -> Status:
    """Routes carry the weight; without routes, Services let both versions in."""
    granted = replace(status, weight=Weight(asked=weight), granted=status.granted or weight > 0)
    if status.split is not None:
        return replace(granted, split=weight)
    return replace(granted, root_hash="" if weight else at.release.spec.stable.hash)


def carry_all(at: At, status: Status) -> Status:
    """All traffic to the new version, by routes that still name both."""
    if status.split is not None:
        return replace(carry(at, status, 100), routing=Routing())
    return replace(repin(at, status), weight=Weight(asked=100), granted=True)


def repin(at: At, status: Status) -> Status:
    """The user's Services select the new pods; routes carry nothing to them at that moment."""
    canary = at.seen.canary
    return replace(status, root_hash=canary.hash if canary else status.root_hash, fenced=False)


def return_routes(_at: At, status: Status) -> Status:
    """All traffic through the user's own Services again."""
    return replace(status, split=0)


def unname(_at: At, status: Status) -> Status:
    """Routes become the user's own."""
    return replace(status, split=None, routing=Routing())


def lift(_at: At, status: Status) -> Status:
    """The Deployment becomes the user's own, and the native controller ends the rollout."""
    return replace(status, hold="")


# Cleaning and rolling back


def unexpose(_at: At, status: Status) -> Status:
    """No canary Service is wanted any more."""
    return replace(status, exposed=())


def clean(at: At, status: Status) -> Status:
    """Everything of ours goes; pins stay if the next release has begun to need them."""
    kept = status.root_hash if at.seen.deployment.hold else ""
    return replace(status, exposed=(), root_hash=kept)


def await_released(at: At, status: Status) -> Status:
    """No pod changes until a released one is ready; its progress deadline begins."""
    return replace(halted(status), scaling_since=at.now)


def remain(at: At, status: Status) -> Status:
    """Where no released pod came back in time, the new version stays: it is what serves."""
    if checks.nobody_to_return_to(at.seen, status) is None:
        return status
    spec, wanted = at.release.spec, at.seen.deployment.version
    what = f"no pod of {spec.stable.version} got ready: {spec.version} keeps the traffic"
    return replace(
        status,
        stays=True,
        outcome=Phase.SUPERSEDED,
        reason="NobodyToReturnTo",
        message=f"{what}, and {wanted} has to replace it",
    )


def stay(at: At, status: Status) -> Status:
    """All traffic to the new version, which has some already."""
    status = replace(status, weight=Weight(asked=100), routing=Routing(), retired=0)
    return stay_pinned(at, status) if status.split is None else replace(status, split=100)


def stay_pinned(_at: At, status: Status) -> Status:
    """The user's Services select the version that stays."""
    return replace(status, root_hash=status.canary_hash, fenced=False)


def retreat_roots(at: At, status: Status) -> Status:
    """The user's Services select the released pods again, while routes pass them by.

    No pod may change meanwhile: a newer template must not replace those that have the traffic.
    """
    return replace(halted(status), root_hash=at.release.spec.stable.hash)


def retreat(at: At, status: Status) -> Status:
    """Weight 0, whatever else; then nothing new starts."""
    return replace(
        halted(status),
        weight=Weight(asked=0),
        split=None if status.split is None else 0,
        routing=Routing(),
        root_hash=at.release.spec.stable.hash,
        fenced=False,
        retired=0,
    )


def halted(status: Status) -> Status:
    """Pods stay as they are."""
    return replace(status, hold="Halt" if status.hold == "Step" else status.hold)


def withdraw(_at: At, status: Status) -> Status:
    """No pod of the version is wanted any more."""
    return replace(status, canary_replicas=0, hold="Halt")


def settle_up(at: At, status: Status) -> Status:
    """The state to end in: held and reported, handed on, or given back."""
    match status.outcome:
        case Phase.SUPERSEDED:
            return replace(status, hold="Gate")
        case Phase.ROLLED_BACK:
            return replace(status, hold="")
        case _:
            return replace(status, hold="Aborted" if at.seen.stable else "")


def unpin(at: At, status: Status) -> Status:
    """The user's Services are their own again, unless the next release has begun to need them."""
    hold = at.seen.deployment.hold
    return replace(status, root_hash=status.root_hash if hold and not hold.aborted else "")


def lost(at: At, status: Status) -> Status:
    """No new pod is ready: no weight, no routes, until there are pods again."""
    return replace(
        status,
        split=None if status.split is None else 0,
        routing=Routing(),
        root_hash=at.release.spec.stable.hash,
        weight=Weight(asked=0),
    )
