"""The pure admission path: a write in, the object to store out."""

from collections.abc import Callable, Mapping
from datetime import datetime

from webhook import names
from webhook.mutation.decisions import mutate_release
from webhook.mutation.intents import fenced, is_own
from webhook.mutation.request import Outcome, Request
from webhook.mutation.rollout import mutate_deployment
from webhook.mutation.routing import mutate_httproute, mutate_ingress, mutate_service
from webhook.mutation.world import World

_MUTATORS: Mapping[tuple[str, str], Callable[[Request, World, datetime], Outcome]] = {
    ("apps", "Deployment"): mutate_deployment,
    ("", "Service"): lambda request, world, _now: mutate_service(request, world),
    ("gateway.networking.k8s.io", "HTTPRoute"): lambda request, world, _now: mutate_httproute(
        request, world
    ),
    ("networking.k8s.io", "Ingress"): lambda request, world, _now: mutate_ingress(request, world),
    (names.GROUP, "Release"): mutate_release,
}


def mutate(request: Request, world: World, now: datetime) -> Outcome:
    """Answer one write; the same inputs give the same answer, and the answer's object itself.

    Kinds that Slipway knows nothing of pass unchanged.
    """
    mutator = _MUTATORS.get((request.group, request.kind))
    if mutator is None:
        return Outcome(object=request.object)
    if is_own(request, world) and (late := fenced(request)):
        return Outcome(object=request.object, denied=late)
    return mutator(request, world, now)
