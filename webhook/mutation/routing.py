"""What a write to a Service or route means while a release runs: pins and splits stay."""

from webhook import names
from webhook.mutation.intents import carried, is_own
from webhook.mutation.request import Outcome, Request
from webhook.mutation.world import World
from webhook.objects.intent import Pin, Split
from webhook.objects.raw import Object
from webhook.objects.selector import selects
from webhook.projection.fields import labels, read
from webhook.projection.service import pin_of, project_pin, users_service
from webhook.traffic.contract import Router, Shown
from webhook.traffic.splits import split_of


def mutate_service(request: Request, world: World) -> Outcome:
    """Answer a write to a Service."""
    users = users_service(request.object, request.old)
    if is_own(request, world):
        return Outcome(object=project_pin(users, pin_of(request.object)))
    users = carried(users, request.old)
    if request.old is not None:
        return Outcome(object=project_pin(users, pin_of(users)))
    return Outcome(object=project_pin(users, _pin_for_new(users, request, world)))


def mutate_shown(router: Router, shown: Shown, request: Request, world: World) -> Outcome:
    """Answer a write to a route that shows its split itself."""
    users = shown.restore(request.object, request.old)
    if is_own(request, world):
        return Outcome(object=shown.project(users, split_of(request.object)))
    users = carried(users, request.old)
    split = split_of(users)
    if request.old is None:
        split = _split_for_new(router.services_of(users), request, world)
    return Outcome(object=shown.project(users, split))


def mutate_owned(request: Request, world: World) -> Outcome:
    """Answer a write to a route of ours: whose decision it carries is not its writer's to say.

    A user's own route of such a kind is never written, and so not reviewed either.
    """
    if is_own(request, world) or names.CANARY_OF not in labels(request.object):
        return Outcome(object=request.object)
    return Outcome(object=carried(request.object, request.old))


def _pin_for_new(users: Object, request: Request, world: World) -> Pin | None:
    """A Service that appears in mid-release is pinned from its first moment."""
    selector = read(users, ("spec", "selector"))
    alias = read(users, ("spec", "type")) == "ExternalName"  # whatever it selects, it has no pods
    if alias or not isinstance(selector, dict) or not selector:
        return None
    for running in world.running_in(request.namespace):
        if selects(selector, running.pod_labels):
            return Pin(hash=running.root_hash, fenced=running.fenced)
    return None


def _split_for_new(
    named: frozenset[tuple[str, str]], request: Request, world: World
) -> Split | None:
    """A route that appears (again) in mid-release carries the split from its first moment."""
    route = request.kind, request.namespace, request.name
    shares = {
        service: share
        for running in world.running_in(request.namespace)
        if running.routes.divides(*route)
        for service, share in running.shares.items()
        if (request.namespace, service) in named
    }
    return Split(shares=shares) if shares else None
