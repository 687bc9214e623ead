"""A table ends at the newest state, whatever the order in which it hears of things."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.cluster import table as table_module
from webhook.cluster.kinds import DEPLOYMENTS, NAMESPACES, Object
from webhook.cluster.table import Table, version_of


def deployment(version: int, uid: str = "u1", name: str = "web") -> Object:
    metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"replicas": version}}


def held(table: Table) -> int | None:
    obj = table.get("shop", "web")
    return None if obj is None else version_of(obj)


@dataclass(frozen=True)
class Step:
    """One thing that happened to the object: (type, state)."""

    type: str
    object: Object


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Lives of one name: created, changed, deleted and created anew under another uid."""
    steps: list[Step] = []
    version = draw(st.integers(8, 12))  # across a digit: numbers, not strings
    alive, lives = False, 0
    for _ in range(draw(st.integers(1, 12))):
        version += draw(st.integers(1, 3))
        if not alive:
            lives += 1
        ends = alive and draw(st.booleans())
        type = "DELETED" if ends else "MODIFIED" if alive else "ADDED"
        steps.append(Step(type, deployment(version, f"u{lives}")))
        alive = not ends
    return steps


@given(histories(), st.data())
def test_any_order_of_events_and_own_answers_ends_at_the_newest_state(
    history: list[Step], data: st.DataObject
) -> None:
    """Answers to our own writes may come long before or long after the watch tells of them."""
    table = Table(DEPLOYMENTS)
    written = [step.object for step in history if step.type != "DELETED"]
    answers = data.draw(st.lists(st.sampled_from(written), max_size=8))
    # Each answer arrives before the event at its place; at the end means after all of them.
    places = [data.draw(st.integers(0, len(history))) for _ in answers]
    shown: list[int] = []
    for position in range(len(history) + 1):
        for answer, place in zip(answers, places, strict=True):
            if place == position:
                before = held(table)
                table.upsert(answer)
                after = held(table)
                assert before is None or (after is not None and after >= before)
        if position < len(history):
            step = history[position]
            change = table.observe(step.type, step.object)
            if change is not None:
                shown.append(version_of(change.object))
    last = history[-1]
    assert held(table) == (None if last.type == "DELETED" else version_of(last.object))
    assert shown == sorted(set(shown)), "changes are announced once each, in their order"
    assert shown[-1] == version_of(last.object), "the newest state is always announced"


@given(histories(), st.data())
def test_a_relist_at_any_moment_keeps_what_is_newer_and_drops_what_is_gone(
    history: list[Step], data: st.DataObject
) -> None:
    """After a list that was taken at some moment, the events since lead to the newest state."""
    table = Table(DEPLOYMENTS)
    taken = data.draw(st.integers(0, len(history)))
    missed = data.draw(st.integers(0, taken))
    for step in history[:missed]:
        table.observe(step.type, step.object)
    for answer in data.draw(st.lists(st.sampled_from(history), max_size=3)):
        if answer.type != "DELETED":
            table.upsert(answer.object)
    snapshot = history[taken - 1] if taken else None
    alive = [snapshot.object] if snapshot and snapshot.type != "DELETED" else []
    version = version_of(snapshot.object) if snapshot else 1
    table.replace(alive, str(version))
    assert table.synced
    for step in history[taken:]:
        table.observe(step.type, step.object)
    last = history[-1]
    assert held(table) == (None if last.type == "DELETED" else version_of(last.object))


def test_an_own_write_is_seen_at_once_and_announced_when_the_watch_confirms_it() -> None:
    """Who wrote reads its write; listeners hear of it once."""
    table = Table(DEPLOYMENTS)
    table.upsert(deployment(5))
    assert held(table) == 5
    change = table.observe("ADDED", deployment(5))
    assert change is not None
    assert change.type == "ADDED"
    assert table.observe("ADDED", deployment(5)) is None


def test_a_stale_event_does_not_undo_an_own_write() -> None:
    """The watch lags behind our own answers."""
    table = Table(DEPLOYMENTS)
    table.upsert(deployment(10))
    assert table.observe("MODIFIED", deployment(9)) is None
    assert held(table) == 10


def test_a_deletion_is_final_for_late_answers() -> None:
    """An answer that was under way while the object was deleted brings nothing back."""
    table = Table(DEPLOYMENTS)
    table.observe("ADDED", deployment(5))
    table.observe("DELETED", deployment(7))
    table.upsert(deployment(6))
    assert held(table) is None
    table.upsert(deployment(8, "u2"))
    assert held(table) == 8


def test_the_deletion_of_a_predecessor_leaves_the_successor() -> None:
    """We deleted and created anew before the watch told of the deletion."""
    table = Table(DEPLOYMENTS)
    table.upsert(deployment(12, "u2"))
    assert table.observe("DELETED", deployment(10, "u1")) is None
    assert held(table) == 12


def test_forgetting_takes_out_what_we_deleted_until_something_newer_comes() -> None:
    """An object that waits for its finalizers is still there, and says so."""
    table = Table(DEPLOYMENTS)
    table.observe("ADDED", deployment(5))
    table.forget(deployment(5))
    assert held(table) is None
    table.upsert(deployment(5))
    assert held(table) is None
    table.observe("MODIFIED", deployment(6))
    assert held(table) == 6


def test_a_relist_tells_only_what_changed() -> None:
    """ADDED, MODIFIED and DELETED, and nothing for what is as it was."""
    table = Table(DEPLOYMENTS)
    first = [deployment(1, "a", "same"), deployment(2, "b", "new"), deployment(3, "c", "gone")]
    table.replace(first, "3")
    second = [first[0], deployment(5, "b", "new"), deployment(6, "d", "more")]
    changes = table.replace(second, "6")
    told = {(change.type, change.object["metadata"]["name"]) for change in changes}
    assert told == {("MODIFIED", "new"), ("ADDED", "more"), ("DELETED", "gone")}


def test_a_relist_that_finds_another_object_of_the_same_name_tells_of_both() -> None:
    """A listener must be able to tell a new object from a changed one."""
    table = Table(DEPLOYMENTS)
    table.replace([deployment(1, "u1")], "1")
    changes = table.replace([deployment(5, "u2")], "6")
    assert [(change.type, version_of(change.object)) for change in changes] == [
        ("DELETED", 1),
        ("ADDED", 5),
    ]


def test_a_cluster_restored_from_a_backup_is_believed() -> None:
    """Its versions start again below what was seen; only its list counts then."""
    table = Table(DEPLOYMENTS)
    table.replace([deployment(500), deployment(510, "x", "lost")], "520")
    table.observe("DELETED", deployment(530, "y", "back"))
    changes = table.replace([deployment(90), deployment(80, "y", "back")], "100")
    assert held(table) == 90
    assert table.get("shop", "lost") is None
    assert table.get("shop", "back") is not None
    assert {change.type for change in changes} == {"ADDED", "MODIFIED", "DELETED"}


def test_what_we_created_after_a_list_was_taken_stays() -> None:
    """A list that comes late does not know of it, and must not delete it."""
    table = Table(DEPLOYMENTS)
    table.upsert(deployment(12))
    assert table.replace([], "10") == []
    assert held(table) == 12


def test_objects_are_found_by_namespace() -> None:
    """Cluster-wide kinds have none."""
    table = Table(DEPLOYMENTS)
    other = deployment(3, "o")
    other["metadata"]["namespace"] = "bank"
    table.replace([deployment(1), other], "3")
    assert [obj["metadata"]["uid"] for obj in table.all("bank")] == ["o"]
    assert (len(table), len(table.all())) == (2, 2)
    namespaces = Table(NAMESPACES)
    namespaces.replace([{"metadata": {"name": "shop", "resourceVersion": "1"}}], "1")
    assert namespaces.get(None, "shop") is not None


def test_remembered_deletions_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten first."""
    monkeypatch.setattr(table_module, "_GRAVES", 10)
    table = Table(DEPLOYMENTS)
    for number in range(1, 50):
        table.observe("DELETED", deployment(number, f"u{number}", f"web-{number}"))
    table.upsert(deployment(48, "u49"))
    assert held(table) is None
    assert len(table._graves) == 10


def test_what_is_kept_is_trimmed_on_every_way_in() -> None:
    """Own answers and events alike."""
    table = Table(DEPLOYMENTS, trim=lambda obj: {"metadata": obj["metadata"]})
    table.upsert(deployment(1))
    table.observe("ADDED", deployment(2, "u2", "other"))
    assert all("spec" not in obj for obj in table.all())
