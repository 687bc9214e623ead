"""What a write to a Deployment means for its release: hold it, keep it, try it again."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import msgspec

from webhook import names
from webhook.mutation.contents import showing_decided, with_contents
from webhook.mutation.intents import carried, is_own
from webhook.mutation.request import Outcome, Request
from webhook.mutation.world import World
from webhook.objects.intent import Hold
from webhook.objects.policy import Policy
from webhook.objects.raw import Object
from webhook.projection.config import settled, snapshots_of
from webhook.projection.deployment import (
    hold_of,
    project_hold,
    returning,
    users_deployment,
)
from webhook.projection.fields import ABSENT, annotate, annotations, read, write
from webhook.projection.template import (
    Keys,
    Stable,
    keys_for,
    own_keys,
    stable_from,
    stable_of,
    users_template,
    with_keys,
)

_TEMPLATE = ("spec", "template")
_KEPT = names.INTENT_KEYS | names.FACT_KEYS


class Decision(msgspec.Struct, frozen=True):
    """The Deployment as its user wants it (with our facts), and how it is to be held."""

    users: Object
    hold: Hold | None
    denied: str | None = None
    warnings: tuple[str, ...] = ()
    audit: dict[str, str] = {}


def mutate_deployment(request: Request, world: World, now: datetime) -> Outcome:
    """Answer a write to a Deployment."""
    if request.old is None:
        decision = _created(request, world, now)
    elif is_own(request, world):
        decision = _own(request, request.old, world, now)
    else:
        decision = _updated(request, request.old, world, now)
    if decision.denied:
        return Outcome(object=request.object, denied=decision.denied)
    return Outcome(
        object=project_hold(decision.users, decision.hold, request.object, request.old),
        warnings=decision.warnings,
        audit=decision.audit,
    )


def _created(request: Request, world: World, now: datetime) -> Decision:
    """Nothing serves yet, so nothing is held; the version is made known."""
    users = carried(users_deployment(request.object), None)
    users = write(users, _TEMPLATE, users_template(read(users, _TEMPLATE)))
    policy = world.policy_for(request.namespace, users)
    if policy is None:
        return Decision(users=users, hold=None)
    users, warnings = with_contents(users, request, policy, world)
    users = _injected(users, keys_for(read(users, _TEMPLATE)), request, policy, now)
    return Decision(users, None, warnings=warnings, audit={"decision": "first-version"})


def _own(request: Request, old: Object, world: World, now: datetime) -> Decision:
    """The reconciler decides; other contents of the config are another template."""
    users = _policys_pause(users_deployment(request.object, old), old, stays=False)
    hold, template = hold_of(request.object), read(users, _TEMPLATE)
    decided = snapshots_of(users)
    policy = world.policy_for(request.namespace, users) if decided else None
    if decided is None or policy is None:
        return Decision(users=users, hold=hold)
    if policy.spec.config.guard or decided != snapshots_of(old):
        users = showing_decided(users, old, decided)
    if read(users, _TEMPLATE) is template:
        return Decision(users=users, hold=hold)
    users = write(users, _TEMPLATE, users_template(read(users, _TEMPLATE)))
    return _changed(users, old, hold, request, policy, now)


def _updated(request: Request, old: Object, world: World, now: datetime) -> Decision:
    """Keep what is decided; a real change of the template starts a release."""
    users = users_deployment(request.object, old)
    users = carried(users, old, _KEPT)
    users = _policys_pause(users, old)
    wanted = read(users_deployment(old), _TEMPLATE)
    kept = users_template(wanted)
    asked = users_template(read(users, _TEMPLATE))
    if names.CONFIG in annotations(old):
        asked = settled(asked, kept)
    hold = hold_of(old)
    if asked == kept:
        users = write(users, _TEMPLATE, with_keys(asked, own_keys(wanted)))
        if hold and hold.aborted and _resumes(request, old, hold):
            return _retried(users, hold)
        return Decision(users, hold, warnings=_on_the_way_back(users, request, hold))
    policy = world.policy_for(request.namespace, users)
    users, warnings = with_contents(write(users, _TEMPLATE, asked), request, policy, world)
    decision = _changed(users, old, hold, request, policy, now)
    return msgspec.structs.replace(decision, warnings=(*decision.warnings, *warnings))


def _on_the_way_back(users: Object, request: Request, hold: Hold | None) -> tuple[str, ...]:
    """An apply of the version that is still shown can't be told from a write that repeats it."""
    stable = stable_of(users)
    if stable is None or not returning(users, hold):
        return ()
    what = f"slipway: {request.namespace}/{request.name} is on its way back to {stable.version}"
    return (f"{what}; to release another version after all, apply it when that is over",)


def _changed(
    users: Object,
    old: Object,
    hold: Hold | None,
    request: Request,
    policy: Policy | None,
    now: datetime,
) -> Decision:
    if hold is not None:
        return _superseded(users, hold, request, policy, now)
    if names.HELD_BY in annotations(old):
        return _waiting(users, request, policy, now)
    if policy is None:
        return _unguarded(users, request)
    return _started(users, old, request, policy, now)


def _waiting(users: Object, request: Request, policy: Policy | None, now: datetime) -> Decision:
    """What was stored without webhook never ran: only the reconciler can tell what serves."""
    users = _injected(users, keys_for(read(users, _TEMPLATE)), request, policy, now)
    what = f"slipway: {request.namespace}/{request.name} is paused until Slipway takes it up"
    return Decision(users, None, warnings=(what,), audit={"decision": "waits"})


def _started(
    users: Object, old: Object, request: Request, policy: Policy, now: datetime
) -> Decision:
    keys = keys_for(read(users, _TEMPLATE))
    obstacle = _unguardable(users, old)
    if obstacle:
        users = _injected(users, keys, request, policy, now)
        what = f"slipway: {request.namespace}/{request.name} goes out unguarded: {obstacle}"
        if policy.spec.guardrails.on_unguardable == "Deny":
            return Decision(
                users=users, hold=None,
                denied=f"{what}; {policy.kind} {policy.name} denies that",
            )  # fmt: skip
        return Decision(users, None, warnings=(what,), audit={"decision": "unguarded"})
    stable = stable_from(read(old, _TEMPLATE))
    users = _injected(users, keys, request, policy, now, stable)
    return Decision(
        users=users,
        hold=Hold(mode="Gate"),
        warnings=(
            f"slipway: release of {keys.annotations[names.VERSION]} starts under "
            f"{policy.kind} {policy.name}; "
            f"{stable.version} keeps serving. Follow it with: kubectl get releases",
        ),
        audit={"decision": "held", "revision": keys.annotations[names.REVISION]},
    )


def _unguarded(users: Object, request: Request) -> Decision:
    """No policy is in force: what was noted of the last guarded version is no longer true."""
    named = annotations(users).get(names.POLICY)
    users = annotate(users, dict.fromkeys(names.FACT_KEYS))
    if named is None:
        return Decision(users=users, hold=None)
    what = (
        f"slipway: {request.namespace}/{request.name} goes out unguarded: the policy {named} that "
        "it names is not there, or has the strategy none"
    )
    return Decision(users=users, hold=None, warnings=(what,), audit={"decision": "unguarded"})


def _superseded(
    users: Object, hold: Hold, request: Request, policy: Policy | None, now: datetime
) -> Decision:
    """A new template in mid-release: nothing more happens to pods until traffic has moved."""
    asked = read(users, _TEMPLATE)
    stable = stable_of(users)
    keys = keys_for(asked)
    back = stable is not None and stable.revision == keys.annotations[names.REVISION]
    users = _injected(users, keys, request, policy, now)
    if back and stable is not None:
        users = write(users, _TEMPLATE, with_keys(asked, stable.keys))
    held = _afresh(hold, mode="Gate" if hold.mode == "Gate" else "Halt")
    what = (
        "returns to the released version; traffic first, then pods" if back
        else "replaces the release in progress; traffic returns to the released version first"
    )  # fmt: skip
    return Decision(
        users=users,
        hold=held,
        warnings=(f"slipway: {request.namespace}/{request.name}: this change {what}",),
        audit={"decision": "rolled-back" if back else "superseded"},
    )


def _retried(users: Object, hold: Hold) -> Decision:
    return Decision(
        users=users,
        hold=_afresh(hold, mode="Gate"),
        warnings=("slipway: the aborted version is tried again, from the first step",),
        audit={"decision": "retried"},
    )


def _afresh(hold: Hold, *, mode: Literal["Gate", "Halt"]) -> Hold:
    """The hold of a release that starts afresh: as it is, in another mode, and not aborted."""
    return msgspec.structs.replace(hold, mode=mode, aborted=False)


def _resumes(request: Request, old: Object, aborted: Hold) -> bool:
    """``kubectl rollout resume``: only it tells a wish to resume from a full-object write.

    When the API server asks again after another webhook, the object carries our answer.
    """
    if request.field_manager != names.KUBECTL_ROLLOUT:
        return False
    unpaused = read(request.object, ("spec", "paused")) is not True
    answered = hold_of(request.object) == _afresh(aborted, mode="Gate")
    return read(old, ("spec", "paused")) is True and (unpaused or answered)


def _unguardable(users: Object, old: Object) -> str | None:
    if read(users, ("spec", "strategy", "type")) == "Recreate":
        return "strategy Recreate ends the old pods before new ones start"
    if 0 in (read(users, ("spec", "replicas")), read(old, ("spec", "replicas"))):
        return "it has no replicas to keep serving"
    return None


def _injected(
    users: Object,
    keys: Keys,
    request: Request,
    policy: Policy | None,
    now: datetime,
    stable: Stable | None = None,
) -> Object:
    """The user's Deployment with the version in its template, and who applied it when.

    ``stable`` is what keeps serving meanwhile.
    """
    known = keys.annotations
    users = write(users, _TEMPLATE, with_keys(read(users, _TEMPLATE), keys))
    facts: dict[str, str | None] = {
        names.VERSION: known[names.VERSION],
        names.REVISION: known[names.REVISION],
        names.APPLIED_BY: request.username or None,
        names.APPLIED_AT: _stamp(int(now.timestamp())),
    }
    if policy:
        facts[names.GUARDED_BY] = f"{policy.kind}/{policy.name}"
    if stable:
        facts[names.STABLE] = stable.text()
    return annotate(users, facts)


@lru_cache(maxsize=1)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


def _policys_pause(users: Object, old: Object, *, stays: bool = True) -> Object:
    """A pause that the MutatingAdmissionPolicy set in this write is not the user's.

    One that it set while no webhook ran ``stays``, until the reconciler takes the release up.
    """
    if names.HELD_BY in annotations(old):
        if not stays:
            return users
        users = annotate(users, {names.HELD_BY: annotations(old)[names.HELD_BY]})
        return write(users, ("spec", "paused"), True)
    if names.HELD_BY not in annotations(users):
        return users
    return write(annotate(users, {names.HELD_BY: None}), ("spec", "paused"), ABSENT)
