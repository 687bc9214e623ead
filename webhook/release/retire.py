"""A Deployment that was deleted in mid-release: nothing of it stays pinned or split."""

from webhook.release.actions import Action, Plan, SetPin, SetSplit
from webhook.release.observed import Observed


def retire(seen: Observed) -> Plan:
    """Give Services and routes back; what Slipway owned goes with the Deployment."""
    actions: list[Action] = [SetSplit(r.ref, {}) for r in seen.routes if r.shares]
    actions += [SetPin(root.name, None) for root in seen.roots if root.pin or root.fenced]
    return Plan(actions=tuple(actions), reason="the Deployment is gone")
