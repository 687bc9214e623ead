"""The stages of each phase, in order: one change each, verified before the next.

What a stage grants stands in `grants.py`, what it must see in `checks.py`, how long it waits in
`waits.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from webhook.objects.release import Phase
from webhook.release import checks, grants, proofs, waits
from webhook.release.at import At, Status


def _unchanged(_at: At, status: Status) -> Status:
    return status


def _nothing(_at: At, _status: Status) -> str | None:
    return None


def _always(_at: At, _status: Status) -> bool:
    return True


def _at_once(_at: At, _status: Status, since: datetime) -> datetime:
    return since


def _named(_at: At, status: Status) -> bool:
    """Routes know the canary Services."""
    return status.split is not None


def _stays(_at: At, status: Status) -> bool:
    """The version keeps its traffic, though it is not wanted any more."""
    return status.stays


def _shrinks(at: At, status: Status) -> bool:
    """Stable pods have to make room for new ones."""
    return at.room(status)[1] > status.retired


@dataclass(frozen=True, slots=True)
class Stage:
    """One change, and what must be true before the next one."""

    name: str
    doing: str
    """What goes on, for a person: "..., until 12:00:05" may follow."""
    enter: Callable[[At, Status], Status] = _unchanged
    """What is granted from here on."""
    lacks: Callable[[At, Status], str | None] = _nothing
    """Why the change is not in effect yet."""
    until: Callable[[At, Status, datetime], datetime] = _at_once
    """Until when it must have been in effect, given since when it is."""
    proof: proofs.Proof = proofs.none
    """What the counters say at the end; it is waited for, and not for ever."""
    leave: Callable[[At, Status], Status] = _unchanged
    applies: Callable[[At, Status], bool] = _always


_FENCE: Final = Stage(
    "fence",
    "Services take only pods that are labelled as serving",
    enter=grants.fence,
    lacks=waits.offered,
    until=waits.settled,
    applies=lambda at, s: _shrinks(at, s) and not s.fenced,
)
_RETIRE: Final = Stage(
    "retire",
    "stable pods that make room leave their Services, and drain",
    enter=grants.retire,
    lacks=waits.offered,
    until=waits.settled_and_drained,
    applies=_shrinks,
)
_SCALE: Final = Stage(
    "scale",
    "new pods start, without traffic",
    enter=grants.scale,
    lacks=lambda at, s: checks.canary_ready(at.seen, s),
    leave=grants.find_new,
)
_EXPOSE: Final = Stage(
    "expose",
    "the canary Services take up the new pods",
    enter=grants.expose,
    lacks=lambda at, s: checks.canary_reachable(at.seen, s),
    applies=lambda at, s: bool(
        s.canary_replicas and (at.routed or at.previews or s.exposed) and at.seen.roots
    ),
)
_NAME: Final = Stage(
    "name",
    "routes learn of the canary Services, at weight 0",
    enter=grants.name,
    lacks=lambda at, s: checks.canary_reachable(at.seen, s) or checks.routes_programmed(at.seen, s),
    until=waits.settled,
    applies=lambda at, s: bool(s.exposed) and at.routed and s.split is None,
)
_UNEXPOSE: Final = Stage(
    "unexpose",
    "the canary Services go",
    enter=grants.unexpose,
    lacks=lambda at, s: checks.canaries_gone(at.seen, s),
    applies=lambda at, s: bool(s.exposed or at.seen.canaries),
)
_WITHDRAW: Final = Stage(
    "withdraw",
    "the pods of a version that is not wanted go",
    enter=grants.withdraw,
    lacks=lambda at, s: checks.withdrawn(at.seen, s),
)
_UNNAME: Final = Stage(
    "unname",
    "routes forget the canary Services",
    enter=grants.unname,
    lacks=lambda at, s: checks.routes_programmed(at.seen, s),
    until=waits.settled,
    applies=_named,
)
_RETURN: Final = Stage(
    "return",
    "routes return to the Services",
    enter=grants.return_routes,
    lacks=lambda at, s: checks.routes_programmed(at.seen, s),
    until=waits.settled,
    applies=_named,
)
_STAYING: Final = (
    Stage(
        "carry",
        "all traffic moves to the version that has pods, and settles",
        enter=grants.stay,
        lacks=waits.shifted,
        until=waits.settled,
        applies=_stays,
    ),
    Stage(
        "stay",
        "Services move to the version that has pods, while routes pass them by",
        enter=grants.stay_pinned,
        lacks=waits.pinned,
        until=waits.settled,
        applies=lambda at, s: s.stays and _named(at, s),
    ),
    replace(_RETURN, applies=lambda at, s: s.stays and _named(at, s)),
)
_PODS: Final = (_FENCE, _RETIRE, _SCALE, _EXPOSE, _NAME)

STAGES: Final[Mapping[Phase, tuple[Stage, ...]]] = {
    Phase.PENDING: (
        Stage(
            "protect",
            "Services are pinned to the released version",
            enter=grants.protect,
            lacks=waits.retreated,
            until=waits.found_settled,
        ),
        _UNNAME,
        _UNEXPOSE,
        # Pods of yet another version go while all is paused: unpaused, the controller would end
        # those first that it takes for unavailable, and these may be the ones that serve.
        # So do those of this version that were there before the hold: they count as available.
        replace(_WITHDRAW, applies=lambda at, _s: checks.pods_before(at.seen)),
    ),
    Phase.SCALING: _PODS,
    Phase.SHIFTING: (
        Stage(
            "shift",
            "traffic moves, and settles",
            enter=grants.shift,
            lacks=waits.shifted,
            until=waits.settled,
            proof=proofs.share,
        ),
    ),
    Phase.WAITING: (
        Stage(
            "pause",
            "the policy pauses",
            lacks=waits.undecided,
            until=waits.pause_over,
        ),
    ),
    Phase.PROMOTING: (
        *_PODS,
        Stage(
            "shift",
            "traffic moves, and settles",
            enter=grants.carry_all,
            lacks=waits.shifted,
            until=waits.settled,
            proof=proofs.all_shifted,
            leave=grants.traffic_left,
        ),
        Stage(
            "repin",
            "Services move to the new pods, while routes pass them by",
            enter=grants.repin,
            lacks=waits.pinned,
            until=waits.settled,
            proof=proofs.stable_left,
            leave=grants.traffic_left,  # that of clients in the cluster only goes now
            applies=_named,
        ),
        _RETURN,
        Stage("drain", "connections to the old pods drain", until=waits.drained),
        _UNNAME,
        Stage(
            "keep",
            "the old pods are kept for an instant way back",
            lacks=waits.unproved,
            until=waits.kept,
            applies=lambda at, _s: at.previews,
        ),
        Stage(
            "lift",
            "the old pods go",
            enter=grants.lift,
            lacks=lambda at, s: checks.rolled_out(at.seen, s),
        ),
    ),
    Phase.CLEANING: (
        Stage(
            "clean",
            "what the release made is taken away",
            enter=grants.clean,
            lacks=lambda at, s: checks.canaries_gone(at.seen, s),
        ),
    ),
    Phase.ROLLING_BACK: (
        Stage(
            "recover",
            "no released pod could take the traffic back",
            enter=grants.await_released,
            lacks=waits.unrecovered_yet,
            leave=grants.remain,
            applies=lambda at, s: waits.unrecovered(at, s) is not None,
        ),
        *_STAYING,
        Stage(
            "repin",
            "Services move back to the released pods",
            enter=grants.retreat_roots,
            lacks=waits.pinned,
            until=waits.settled,
            applies=lambda at, s: (
                s.split is not None
                and s.root_hash not in ("", at.release.spec.stable.hash)
                and not s.stays
            ),
        ),
        Stage(
            "retreat",
            "traffic returns to the released version",
            enter=grants.retreat,
            lacks=waits.retreated,
            until=waits.left_settled,
            proof=proofs.canary_left,
            leave=grants.traffic_left,
            applies=lambda _at, s: not s.stays,
        ),
        Stage(
            "drain",
            "connections to the old pods drain",
            until=waits.drained,
            applies=lambda _at, s: s.granted and not s.stays,
        ),
        _UNNAME,
        _UNEXPOSE,
        replace(_WITHDRAW, applies=lambda _, s: s.outcome is not Phase.ROLLED_BACK and not s.stays),
        Stage(
            "settle-up",
            "the Deployment is left as its outcome says",
            enter=grants.settle_up,
            lacks=waits.settled_up,
        ),
        Stage(
            "unpin",
            "Services are unpinned",
            enter=grants.unpin,
            applies=lambda _at, s: s.outcome is not Phase.SUPERSEDED,
        ),
    ),
}
"""Every phase that does something, with its stages in order."""
