"""The pure admission path: a write in, the object to store out."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

from webhook import names
from webhook.mutation.decisions import mutate_release
from webhook.mutation.intents import fenced, is_own
from webhook.mutation.request import Outcome, Request
from webhook.mutation.rollout import mutate_deployment
from webhook.mutation.routing import mutate_owned, mutate_service, mutate_shown
from webhook.mutation.world import World
from webhook.traffic.contract import Router
from webhook.traffic.routers import ROUTERS

_Mutator: TypeAlias = Callable[[Request, World, datetime], Outcome]


def _of_route(router: Router) -> _Mutator:
    shown = router.shown
    if shown is None:
        return lambda request, world, _now: mutate_owned(request, world)
    return lambda request, world, _now: mutate_shown(router, shown, request, world)


_MUTATORS: Mapping[tuple[str, str], _Mutator] = {
    ("apps", "Deployment"): mutate_deployment,
    ("", "Service"): lambda request, world, _now: mutate_service(request, world),
    **{(router.group, router.kind): _of_route(router) for router in ROUTERS.values()},
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
