"""A Deployment with no release in flight: begin one, leave it alone, or tidy up after one."""

from webhook.objects.duration import parse_duration
from webhook.objects.policy import Policy, PolicySpec
from webhook.objects.release import (
    DeploymentRef,
    Phase,
    PolicyRef,
    ReleaseSpec,
    StableRef,
)
from webhook.objects.strategy import Canary, Promotion, Strategy
from webhook.release.actions import (
    Action,
    CreateRelease,
    DeleteCanary,
    DeleteRelease,
    DeleteReplicaSet,
    LabelPod,
    LiftHold,
    Plan,
    Protect,
    RemoveStray,
    SetHold,
    SetPin,
    SetSplit,
    TakeUp,
)
from webhook.release.observed import Observed, Side

_DEFAULT_HISTORY = 10
_GONE = Policy(
    kind="ClusterReleasePolicy",
    name="",
    namespace=None,
    spec=PolicySpec(strategy=Strategy(canary=Canary(steps=()))),
)
"""Where neither policy nor Release is left and routes are split: what they carry settles first."""


def begin(seen: Observed) -> Plan:
    """What a Deployment without a running release needs."""
    deployment = seen.deployment
    hold, stable = deployment.hold, deployment.stable
    if hold is None and deployment.held_by_policy and seen.serving:
        return Plan(actions=(TakeUp(seen.serving),), reason="a change waits for Slipway")
    if hold is None and not deployment.projected:
        return Plan(actions=(LiftHold(),), reason="what a lifted hold left is taken away")
    if hold is None or hold.aborted:
        return _wanted_at_rest(seen) or _at_rest(seen)
    if seen.serving and seen.serving != stable and _never_released(seen):
        return Plan(actions=(Protect(seen.serving),), reason="an older version is what serves")
    if stable is None or seen.stable is None:
        return _lifted(seen, "no released version is left to protect")
    if deployment.revision == stable.revision and not (seen.leftovers or hold.new_pods):
        return _lifted(seen, "the released version was asked for again", *_leftovers(seen))
    policy = seen.policy
    if policy is None and any(route.shares for route in seen.routes):
        policy = _GONE
    if policy is None or policy.spec.strategy.none is not None:
        return _lifted(seen, "no policy guards it any more", *_leftovers(seen))
    if hold.mode == "Step":
        halt = SetHold("Halt", hold.surge, hold.unavailable)
        return Plan(actions=(halt,), reason="its Release is gone")
    name = _name(seen)
    return Plan(
        actions=(CreateRelease(name, snapshot(seen, policy, seen.stable)),),
        reason=f"release {name} begins",
    )


def _lifted(seen: Observed, why: str, *before: Action) -> Plan:
    """The hold comes last: without one, nobody looks for what else is left."""
    return Plan(actions=(*before, *_labels(seen), LiftHold()), reason=why)


def _wanted_at_rest(seen: Observed) -> Plan | None:
    """What somebody wants of an aborted version; None if it rests."""
    deployment, stable = seen.deployment, seen.deployment.stable
    if deployment.hold is None:
        return None
    if _retried(seen):
        return Plan(actions=(SetHold("Gate"),), reason="the aborted version is tried again")
    if not deployment.projected and not deployment.paused_by_user:
        return Plan(actions=(SetHold("Gate"),), reason="it was resumed while no webhook ran")
    if stable and deployment.revision == stable.revision:
        return Plan(actions=(LiftHold(),), reason="the released version was asked for again")
    if not deployment.replicas and seen.younger:
        gone = tuple(DeleteReplicaSet(name) for name in seen.younger)
        return Plan(actions=gone, reason="scaled up again, the released version has to serve")
    return None


def _never_released(seen: Observed) -> bool:
    """Whether the version to return to is not what serves: nothing guarded its rollout.

    Then that is not yet half way. One that was released is returned to, however many of its pods
    are still to come, unless the release before went on without it. A write that took all of our
    annotations away took its name as well.
    """
    deployment = seen.deployment
    if deployment.hold is None or not seen.serves_more:
        return False
    last = seen.finished[0] if seen.finished else None
    if deployment.stable is None or (last and last.status.stays):
        return True
    if deployment.hold.term:
        return False
    if last is None or last.status.phase is not Phase.SUCCEEDED or deployment.stable is None:
        return True
    return last.spec.revision != deployment.stable.revision


def _at_rest(seen: Observed) -> Plan:
    actions = (*_leftovers(seen), *_labels(seen), *_forgotten(seen))
    return Plan(actions=actions, reason="at rest")


def _retried(seen: Observed) -> bool:
    """Whether somebody set ``spec.retry`` on the aborted Release of the present version."""
    last = seen.finished[0] if seen.finished else None
    if last is None or last.status.phase is not Phase.ABORTED:
        return False
    return last.spec.retry and last.spec.revision == seen.deployment.revision


def _within_window(seen: Observed, policy: Policy) -> bool:
    """Whether this version is one of the last that were fully released."""
    released = [r for r in seen.finished if r.status.phase is Phase.SUCCEEDED]
    revisions = [r.spec.revision for r in released]
    revisions += [r.spec.stable.revision for r in released[-1:]]
    known = seen.deployment.stable.revision if seen.deployment.stable else ""
    before = [each for each in dict.fromkeys(revisions) if each != known]
    return seen.deployment.revision in before[: policy.spec.rollback_window.revisions]


def _how(seen: Observed, policy: Policy) -> tuple[Strategy, Promotion]:
    """The policy's strategy; on the way back to a version that is known, one verified switch."""
    if _within_window(seen, policy):
        return Strategy(canary=Canary(steps=())), "Automatic"
    return policy.spec.strategy, policy.spec.promotion


def _name(seen: Observed) -> str:
    """A name that no earlier Release has: a retry alone does not change the generation."""
    name = f"{seen.deployment.name[:200]}-{seen.deployment.generation}"
    taken = {release.name for release in seen.finished}
    tries = (name, *(f"{name}r{n}" for n in range(2, len(taken) + 3)))
    return next(each for each in tries if each not in taken)


def snapshot(seen: Observed, policy: Policy, stable: Side) -> ReleaseSpec:
    """The policy as it is now, resolved for one release."""
    deployment = seen.deployment
    deadline = deployment.progress_deadline
    if policy.spec.progress_deadline:
        deadline = round(parse_duration(policy.spec.progress_deadline).total_seconds())
    known = deployment.stable
    strategy, promotion = _how(seen, policy)
    return ReleaseSpec(
        deployment=DeploymentRef(name=deployment.name, uid=deployment.uid),
        policy=PolicyRef(kind=policy.kind, name=policy.name),
        version=deployment.version,
        revision=deployment.revision,
        pod_labels=deployment.pod_labels,
        stable=StableRef(
            hash=stable.hash,
            version=known.version if known else "",
            revision=known.revision if known else "",
        ),
        strategy=strategy,
        traffic=policy.spec.traffic,
        progress_deadline_seconds=deadline,
        promotion=promotion,
        on_shared_service=policy.spec.guardrails.on_shared_service,
        on_unsupported_step=policy.spec.guardrails.on_unsupported_step,
    )


def _leftovers(seen: Observed) -> tuple[Action, ...]:
    """Nothing of ours stays on routes and Services when no release needs it."""
    actions: list[Action] = [
        SetSplit(r.ref, {}) for r in seen.routes if r.shares or not r.projected
    ]
    actions += [RemoveStray(ref) for ref in seen.strays]
    actions += [SetPin(root.name, None) for root in seen.roots if root.pin or not root.projected]
    if not actions:
        actions += [DeleteCanary(canary.name) for canary in seen.canaries]
    return tuple(actions)


def _labels(seen: Observed) -> tuple[Action, ...]:
    """At rest no pod is on a side."""
    sides = [side for side in (seen.stable, seen.canary, *seen.leftovers) if side]
    pods = [
        pod
        for side in sides
        for pod in side.pods
        if (pod.track or pod.serves) and not pod.terminating
    ]
    return tuple(LabelPod(pod.name, None) for pod in pods)


def _forgotten(seen: Observed) -> tuple[Action, ...]:
    """Finished releases over the limit, oldest first."""
    if seen.detaching:
        return ()
    limit = seen.policy.spec.revision_history_limit if seen.policy else _DEFAULT_HISTORY
    return tuple(DeleteRelease(release.name) for release in reversed(seen.finished[limit:]))
