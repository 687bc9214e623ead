"""Which snapshots a namespace needs, and when other contents are news: decided, not done."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from webhook import names
from webhook.objects.intent import Snapshots
from webhook.objects.raw import Object
from webhook.projection.config import (
    UNCOPIED,
    Ref,
    digests_in,
    plain,
    references,
    shown,
    snapshot_name,
    snapshots_of,
    source_of,
)
from webhook.projection.deployment import users_deployment
from webhook.projection.fields import annotations

GRACE: Final = timedelta(seconds=10)
"""How long nothing may name a snapshot before it goes: longer than an admission is on its way."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A snapshot as it stands in the cluster."""

    digest: str
    """Of the contents that it really has."""
    owners: frozenset[str]
    """Uids."""


@dataclass(frozen=True, slots=True)
class Known:
    """The ConfigMaps and Secrets of one namespace, as digests."""

    live: Mapping[Ref, str]
    """The users' own; see `config.live_digest`."""
    copies: Mapping[Ref, Copy]


@dataclass(frozen=True, slots=True)
class MakeCopy:
    """Copy an object, if it still has these contents."""

    source: Ref
    digest: str


@dataclass(frozen=True, slots=True)
class OwnCopy:
    """Make the Deployment one more owner of a snapshot."""

    copy: Ref


@dataclass(frozen=True, slots=True)
class ShowContents:
    """Write on the Deployment which contents its template is to show; a release may begin."""

    decided: Snapshots


Action: TypeAlias = MakeCopy | OwnCopy | ShowContents


def plan_contents(
    deployment: Object, known: Known, *, guarded: bool, gathered: bool
) -> tuple[Action, ...]:
    """What one Deployment needs, in order: a snapshot is there before anything names it.

    ``guarded``: a policy asks for it; without, only what is named already is kept up.
    ``gathered``: the last change is long enough ago that what came with it has come as well.
    """
    users = users_deployment(deployment)["spec"]["template"]
    before = snapshots_of(deployment) or Snapshots()
    guarded = guarded and names.HELD_BY not in annotations(deployment)  # not taken up yet
    decided = _decided(users, before, known.live, gathered=gathered) if guarded else before
    uid = deployment["metadata"]["uid"]
    named = [users, deployment["spec"]["template"], shown(plain(users), decided.shown)]
    actions: list[Action] = list(_lacking(named, known, uid))
    if guarded and (decided != before or digests_in(users) != decided.shown):
        actions.append(ShowContents(decided))
    return tuple(actions)


def needed_by(deployment: Object) -> frozenset[Ref]:
    """The snapshots that a Deployment itself names, in what it shows and in what it remembers."""
    users = users_deployment(deployment)["spec"]["template"]
    decided = (snapshots_of(deployment) or Snapshots()).shown
    templates = (users, deployment["spec"]["template"], shown(plain(users), decided))
    return frozenset(ref for each in templates for ref in copies_in(each))


def copies_in(template: Object) -> tuple[Ref, ...]:
    """The snapshots that a template names."""
    return tuple(ref for ref in references(template) if source_of(ref.name)[1])


def unneeded(
    copies: Iterable[Ref],
    used: Set[Ref],
    since: Mapping[Ref, datetime],
    now: datetime,
    grace: timedelta = GRACE,
) -> tuple[tuple[Ref, ...], dict[Ref, datetime]]:
    """The snapshots to delete now, and since when each of the others has been unneeded."""
    idle = {ref: since.get(ref, now) for ref in copies if ref not in used}
    ripe = tuple(sorted(ref for ref, at in idle.items() if now - at >= grace))
    return ripe, {ref: at for ref, at in idle.items() if ref not in ripe}


def _decided(
    users: Object, before: Snapshots, live: Mapping[Ref, str], *, gathered: bool
) -> Snapshots:
    """The contents to show; other ones than before only where one of them is news.

    What was decided stands, also where the template does not show it: the write that was to do
    so may have been lost.
    """
    refs = references(plain(users))
    has = {**digests_in(users), **before.shown}
    knew = {str(ref): before.knew(str(ref)) or has.get(str(ref), "") for ref in refs}
    news = {str(ref) for ref in refs if _is_news(live.get(ref), knew[str(ref)], has, ref)}
    if not gathered:
        news = set()
    show, seen = {}, {}
    for ref in refs:
        key, now, shows = str(ref), live.get(ref), has.get(str(ref))
        if now and news and (key in news or not shows):
            show[key] = now
            continue
        if shows and key not in news:
            show[key] = shows
        known = knew[key] or now or ""
        if known and known != shows and now != UNCOPIED:
            seen[key] = known
    return Snapshots(shown=show, seen=seen, term=before.term)


def _is_news(now: str | None, knew: str, has: Mapping[str, str], ref: Ref) -> bool:
    """Whether contents are other ones than those that the last decision knew of."""
    if now == UNCOPIED:
        return str(ref) in has
    return bool(now and knew and now != knew)


def _lacking(templates: Iterable[Object], known: Known, uid: str) -> Iterable[MakeCopy | OwnCopy]:
    for ref in dict.fromkeys(ref for each in templates for ref in copies_in(each)):
        name, digest = source_of(ref.name)
        source = Ref(ref.kind, name)
        copy = known.copies.get(ref)
        if copy is None or copy.digest != digest:
            if known.live.get(source) == digest:
                yield MakeCopy(source, digest)
        elif uid not in copy.owners:
            yield OwnCopy(Ref(ref.kind, snapshot_name(name, digest)))
