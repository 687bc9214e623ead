"""Which contents of ConfigMaps and Secrets a changed template is to show."""

from webhook import names
from webhook.mutation.intents import is_own
from webhook.mutation.request import Request
from webhook.mutation.world import World
from webhook.objects.intent import Snapshots
from webhook.objects.policy import Policy
from webhook.objects.raw import Object
from webhook.projection.config import (
    UNCOPIED,
    Ref,
    digests_in,
    plain,
    references,
    settled,
    shown,
    snapshots_of,
)
from webhook.projection.deployment import users_deployment
from webhook.projection.fields import annotate, annotations, read, write
from webhook.projection.template import own_keys, users_template, with_keys

_TEMPLATE = ("spec", "template")


def contents_needed(request: Request, world: World) -> tuple[Ref, ...]:
    """What has to be looked up before this write can be answered; nearly always nothing.

    Only a template that changes, under a policy that guards config, is shown by contents.
    """
    if (request.group, request.kind) != ("apps", "Deployment") or is_own(request, world):
        return ()
    if not _guards(world.policy_for(request.namespace, request.object), world):
        return ()
    asked = read(request.object, _TEMPLATE)
    if not isinstance(asked, dict):
        return ()
    if request.old is not None:
        asked = read(users_deployment(request.object, request.old), _TEMPLATE)
        kept = users_template(read(users_deployment(request.old), _TEMPLATE))
        if settled(users_template(asked), kept) is kept:
            return ()
    return references(plain(asked))


def with_contents(
    users: Object, request: Request, policy: Policy | None, world: World
) -> tuple[Object, tuple[str, ...]]:
    """The Deployment with snapshots in its changed template, and the decision; warnings with it.

    A snapshot that the write itself names stays (``kubectl rollout undo``, ``set image``). Of
    an object that could not be looked up the last known contents stay, and else its plain name.
    """
    before = snapshots_of(users)
    template = read(users, _TEMPLATE)
    if not _guards(policy, world):
        if before is not None:
            users = annotate(write(users, _TEMPLATE, plain(template)), {names.CONFIG: None})
        return users, _lacks_rights(policy, world)
    if request.old is None:
        template = plain(template)
    decided = _decided(template, before or Snapshots(), request.namespace, world)
    users = write(users, _TEMPLATE, shown(plain(template), decided.shown))
    text = decided.text() if decided.shown or decided.seen else None
    return annotate(users, {names.CONFIG: text}), ()


def showing_decided(users: Object, old: Object, decided: Snapshots) -> Object:
    """The Deployment with the contents in its template that the reconciler decided on.

    A template that waited for Slipway names originals where it was applied and snapshots where
    a person went back to them: there the decision follows it. The template itself comes back
    if it does not change.
    """
    template = read(users, _TEMPLATE)
    own, asked = own_keys(template), users_template(template)
    if names.HELD_BY in annotations(old) and names.HELD_BY not in annotations(users):
        asked = shown(asked, decided.shown)
        found = digests_in(asked)
        seen = {key: decided.knew(key) for key in found if decided.knew(key) != found[key]}
        decided = Snapshots(shown=found, seen=seen, term=decided.term)
        users = annotate(users, {names.CONFIG: decided.text()})
    else:
        asked = shown(plain(asked), decided.shown)
    return write(users, _TEMPLATE, with_keys(asked, own))


def _decided(template: Object, before: Snapshots, namespace: str, world: World) -> Snapshots:
    named, show, seen = digests_in(template), {}, {}
    for ref in references(plain(template)):
        key, live = str(ref), world.digest(namespace, ref)
        if live == UNCOPIED:
            continue
        digest = named.get(key) or live or before.shown.get(key)
        if digest:
            show[key] = digest
        stays = key in named and named[key] == before.shown.get(key)
        # where the write leaves them alone, contents that came since then are news still
        known = before.knew(key) if stays else live or before.knew(key)
        if known and known != digest:
            seen[key] = known
    return Snapshots(shown=show, seen=seen, term=before.term)


def _guards(policy: Policy | None, world: World) -> bool:
    return policy is not None and policy.spec.config.guard and world.guards_config


def _lacks_rights(policy: Policy | None, world: World) -> tuple[str, ...]:
    if policy is None or not policy.spec.config.guard or world.guards_config:
        return ()
    return (
        f"slipway: {policy.kind} {policy.name} asks for config.guard, but Slipway may not read "
        "ConfigMaps and Secrets here; see the chart's value configGuard.enabled",
    )
