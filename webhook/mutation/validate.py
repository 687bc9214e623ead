"""Whether a policy can be read: a wrong field is refused with the nearest right name."""

import difflib

from webhook.mutation.request import Outcome, Request
from webhook.objects.policy import Policy, PolicyError, read_policy
from webhook.traffic.routers import ROUTERS

_POLICIES = frozenset({"ClusterReleasePolicy", "ReleasePolicy"})


def validate(request: Request) -> Outcome:
    """Answer a write of one of Slipway's own objects."""
    if request.kind in _POLICIES:
        try:
            policy = read_policy(request.object)
        except PolicyError as error:
            return Outcome(object=request.object, denied=str(error))
        if unknown := _unknown_kind(policy):
            return Outcome(object=request.object, denied=unknown)
    return Outcome(object=request.object)


def _unknown_kind(policy: Policy) -> str | None:
    """A route of a kind that there is no router for would never be found."""
    routes = policy.spec.traffic.routes
    for field, selectors in (("include", routes.include), ("exclude", routes.exclude)):
        for selector in selectors:
            if selector.kind and selector.kind not in ROUTERS:
                near = difflib.get_close_matches(selector.kind, ROUTERS, n=1)
                meant = f"; did you mean `{near[0]}`?" if near else ""
                return (
                    f"{policy.kind} {policy.name}: spec.traffic.routes.{field}: Slipway divides no "
                    f"`{selector.kind}`, only {', '.join(ROUTERS)}{meant}"
                )
    return None
