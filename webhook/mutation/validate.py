"""Whether a policy can be read: a wrong field is refused with the nearest right name."""

from webhook.mutation.request import Outcome, Request
from webhook.objects.policy import PolicyError, read_policy

_POLICIES = frozenset({"ClusterReleasePolicy", "ReleasePolicy"})


def validate(request: Request) -> Outcome:
    """Answer a write of one of Slipway's own objects."""
    if request.kind in _POLICIES:
        try:
            read_policy(request.object)
        except PolicyError as error:
            return Outcome(object=request.object, denied=str(error))
    return Outcome(object=request.object)
