"""Which snapshots a Deployment needs, and when other contents start a release."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import Object, deployment
from webhook import names
from webhook.objects.intent import Hold, Snapshots
from webhook.projection.config import Ref, plain, shown, snapshot_name, snapshots_of
from webhook.projection.deployment import project_hold
from webhook.projection.fields import annotate, read, write
from webhook.projection.template import stable_from
from webhook.snapshots.plan import (
    GRACE,
    Copy,
    Known,
    MakeCopy,
    OwnCopy,
    ShowContents,
    needed_by,
    plan_contents,
    unneeded,
)

A, B, C = "a" * 10, "b" * 10, "c" * 10
WEB, KEY = Ref("ConfigMap", "web"), Ref("Secret", "key")
TEMPLATE = ("spec", "template")
NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)


def web(decided: Snapshots | None = None, **digests: str) -> Object:
    """A Deployment that reads a ConfigMap and a Secret, and shows these contents."""
    env = [{"configMapRef": {"name": "web"}}, {"secretRef": {"name": "key"}}]
    container = {"name": "web", "image": "web:v1", "envFrom": env}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    named = {str(WEB if key == "web" else KEY): digest for key, digest in digests.items()}
    obj = deployment(template=shown(template, named))
    obj["metadata"]["uid"] = "u1"
    return annotate(obj, {names.CONFIG: decided.text()}) if decided else obj


def showing(web_: str, key: str) -> Object:
    return web(Snapshots(shown={str(WEB): web_, str(KEY): key}), web=web_, key=key)


def known(web_: str | None = A, key: str | None = C, *copies: str, owner: str = "u1") -> Known:
    """Live contents, and the copies that are there, as ``web-a``."""
    live = {WEB: web_, KEY: key}
    made = {}
    for copy in copies:
        name, digit = copy.split("-")
        ref = WEB if name == "web" else KEY
        made[Ref(ref.kind, snapshot_name(name, digit * 10))] = Copy(digit * 10, frozenset({owner}))
    return Known({ref: digest for ref, digest in live.items() if digest is not None}, made)


def copy_of(ref: Ref, digest: str) -> Ref:
    return Ref(ref.kind, snapshot_name(ref.name, digest))


def plan(obj: Object, seen: Known, *, guarded: bool = True, gathered: bool = True) -> Any:
    return plan_contents(obj, seen, guarded=guarded, gathered=gathered)


def test_at_rest_there_is_nothing_to_do() -> None:
    """All is shown, copied and owned."""
    assert plan(showing(A, C), known(A, C, "web-a", "key-c")) == ()


def test_what_a_template_names_is_copied_first() -> None:
    """A pod waits for it; nothing else is decided."""
    assert plan(showing(A, C), known(A, C)) == (MakeCopy(WEB, A), MakeCopy(KEY, C))


def test_a_second_deployment_becomes_an_owner_too() -> None:
    """The copy stays as long as one of them does."""
    seen = known(A, C, "web-a", "key-c", owner="u2")
    assert plan(showing(A, C), seen) == (OwnCopy(copy_of(WEB, A)), OwnCopy(copy_of(KEY, C)))


def test_changed_contents_are_copied_and_then_shown() -> None:
    """In this order: no pod ever waits for a copy that a release needs."""
    expected = Snapshots(shown={str(WEB): B, str(KEY): C})
    assert plan(showing(A, C), known(B, C, "web-a", "key-c")) == (
        MakeCopy(WEB, B), ShowContents(expected),
    )  # fmt: skip


def test_what_comes_together_is_one_change() -> None:
    """Until a moment has passed in which nothing came, nothing is shown."""
    seen = known(B, C, "web-a", "key-c")
    assert plan(showing(A, C), seen, gathered=False) == ()


def test_contents_that_nobody_knows_change_nothing() -> None:
    """A ConfigMap that was deleted: its snapshots stand for it."""
    assert plan(showing(A, C), known(None, C, "web-a", "key-c")) == ()


def test_a_deployment_from_before_the_policy_is_only_noted() -> None:
    """What is live then is no news; what differs from it later is."""
    noted = Snapshots(seen={str(WEB): A, str(KEY): C})
    assert plan(web(), known(A, C)) == (ShowContents(noted),)
    assert plan(web(noted), known(A, C)) == ()
    assert plan(web(noted), known(B, C)) == (
        MakeCopy(WEB, B),
        MakeCopy(KEY, C),
        ShowContents(Snapshots(shown={str(WEB): B, str(KEY): C})),
    )


def test_a_person_who_went_back_is_not_brought_forward() -> None:
    """After `kubectl rollout undo` the newer contents were seen already; others are news."""
    undone = Snapshots(shown={str(WEB): A, str(KEY): C}, seen={str(WEB): B})
    obj = web(undone, web=A, key=C)
    copies = ("web-a", "web-b", "key-c")
    assert plan(obj, known(B, C, *copies)) == ()
    newer = plan(obj, known("d" * 10, C, *copies))
    assert newer[-1] == ShowContents(Snapshots(shown={str(WEB): "d" * 10, str(KEY): C}))
    put_back = plan(obj, known(A, C, *copies))
    assert put_back == (ShowContents(Snapshots(shown={str(WEB): A, str(KEY): C})),)


def test_another_change_leaves_what_was_undone_alone() -> None:
    """Each object is judged for itself."""
    undone = Snapshots(shown={str(WEB): A, str(KEY): C}, seen={str(WEB): B})
    made = plan(web(undone, web=A, key=C), known(B, B, "web-a", "key-c"))
    assert made == (
        MakeCopy(KEY, B),
        ShowContents(Snapshots(shown={str(WEB): A, str(KEY): B}, seen={str(WEB): B})),
    )


def test_what_is_to_be_read_live_is_not_copied_any_more() -> None:
    """A person says so on the ConfigMap; its pods get it by a release."""
    assert plan(showing(A, C), known("", C, "web-a", "key-c")) == (
        ShowContents(Snapshots(shown={str(KEY): C})),
    )
    assert plan(web(Snapshots(shown={str(KEY): C}), key=C), known("", C, "key-c")) == ()


def test_what_waits_for_slipway_is_taken_up_before_it_is_judged() -> None:
    """A template that was written with no webhook names no snapshots yet."""
    noted = Snapshots(shown={str(WEB): A, str(KEY): C})
    waiting = annotate(web(noted), {names.HELD_BY: "admission-policy"})
    assert plan(waiting, known(B, C, "web-a", "key-c")) == ()


def test_a_decision_that_the_template_does_not_show_is_written_again() -> None:
    """The write that was to show it was lost, half-way, with a crash or a conflict."""
    decided = Snapshots(shown={str(WEB): B, str(KEY): C})
    seen = known(B, C, "web-b", "web-a", "key-c")
    assert plan(web(decided, web=A, key=C), seen) == (ShowContents(decided),)
    assert plan(web(decided), seen) == (ShowContents(decided),)


def test_without_a_policy_only_what_is_named_is_kept_up() -> None:
    """Turned off, nothing changes until the template does; a copy that was lost comes back."""
    assert plan(showing(A, C), known(B, C, "web-a"), guarded=False) == (MakeCopy(KEY, C),)
    assert plan(web(), known(A, C), guarded=False) == ()


def test_contents_that_are_gone_for_good_are_not_made_up() -> None:
    """Somebody deleted the copy and the original has moved on: the change itself heals it."""
    made = plan(showing(A, C), known(B, C, "key-c"))
    assert MakeCopy(WEB, A) not in made
    assert made[-1] == ShowContents(Snapshots(shown={str(WEB): B, str(KEY): C}))


def test_a_template_that_is_held_in_place_of_the_users_keeps_its_contents() -> None:
    """On the way back the held pods may still restart."""
    stable = showing(A, C)
    held = write(stable, TEMPLATE, shown(plain(read(stable, TEMPLATE)), {str(WEB): B}))
    memory = annotate(stable, {names.STABLE: _stable(stable)})
    obj = project_hold(memory, Hold(mode="Halt", surge=1), old=held)
    assert read(obj, TEMPLATE) == read(held, TEMPLATE)
    assert needed_by(obj) == {copy_of(WEB, A), copy_of(WEB, B), copy_of(KEY, C)}


def _stable(obj: Object) -> str:
    return stable_from(read(obj, TEMPLATE)).text()


DIGESTS = st.sampled_from([A, B, C, "", None])


@settings(deadline=None)
@given(DIGESTS, DIGESTS, DIGESTS, DIGESTS, st.booleans(), st.booleans())
def test_done_once_there_is_nothing_left_to_do(
    web_: str | None, key: str | None, has: str | None, saw: str | None, named: bool, noted: bool
) -> None:
    """Any state comes to rest in one round, and the reconciler then writes nothing."""
    shows = {str(WEB): has} if has and named else {}
    obj = web(**({"web": has} if shows else {}))
    if noted:
        obj = annotate(obj, {names.CONFIG: Snapshots(
            shown=shows, seen={str(WEB): saw} if saw and saw != has else {}).text()})  # fmt: skip
    live = known(web_, key)
    copies: dict[Ref, Copy] = {}
    for action in plan(obj, live):
        match action:
            case MakeCopy(source=source, digest=digest):
                copies[copy_of(source, digest)] = Copy(digest, frozenset({"u1"}))
            case ShowContents(decided=decided):
                obj = annotate(obj, {names.CONFIG: decided.text()})
                template = shown(plain(read(obj, TEMPLATE)), decided.shown)
                obj = write(obj, TEMPLATE, template)
    assert plan(obj, Known(live.live, copies)) == ()
    lost = {str(WEB)} if has and has != web_ else set()
    for kind_and_name, digest in (snapshots_of(obj) or Snapshots()).shown.items():
        ref = Ref(*kind_and_name.split("/"))
        assert copy_of(ref, digest) in copies or kind_and_name in lost


def test_a_snapshot_goes_only_after_nobody_named_it_for_a_while() -> None:
    """A write that names it may be on its way; one that is named again starts anew."""
    copies = [copy_of(WEB, digest) for digest in (A, B, C)]
    used = frozenset({copies[0]})
    drops, since = unneeded(copies, used, {}, NOW)
    assert drops == ()
    drops, since = unneeded(copies, used, since, NOW + GRACE / 2)
    assert (drops, set(since)) == ((), set(copies[1:]))
    drops, since = unneeded(copies, frozenset(copies[:2]), since, NOW + GRACE)
    assert drops == (copies[2],)
    drops, since = unneeded(copies[:2], used, since, NOW + GRACE + timedelta(seconds=1))
    assert drops == ()


def test_planning_changes_nothing_in_what_it_looks_at() -> None:
    """The objects belong to the tables."""
    obj = showing(A, C)
    before = deepcopy(obj)
    plan(obj, known(B, B))
    assert obj == before
