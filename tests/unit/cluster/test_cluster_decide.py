"""What a decision reads anew, and which changes make it worth another look."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.strategies import Object
from tests.unit.cluster.crowd import NAMESPACE, Crowd
from webhook import names
from webhook.cluster import kinds
from webhook.cluster.kinds import Kind
from webhook.cluster.policies import Policies
from webhook.cluster.snapshot import AROUND, OF_A_NAMESPACE, gather
from webhook.cluster.store import Table
from webhook.reconciler.decide import Decider, Decision
from webhook.reconciler.queue import Key
from webhook.release.actions import Plan, SetPin
from webhook.release.observe import observe
from webhook.release.readings import Readings

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def table(crowd: Crowd, kind: Kind) -> Table:
    return crowd.store.table(kind, NAMESPACE if kind in OF_A_NAMESPACE else None)


def changes(obj: Object) -> Iterator[Object]:
    """An object in other states: another size, label, owner, selector, backend, split."""
    for part, change in (
        ("metadata", {"labels": {"app": "app0", "tier": "front"}}),
        ("metadata", {"labels": {"kubernetes.io/service-name": "app0"}}),
        ("metadata", {"ownerReferences": [{"uid": "uid-Deployment-app0", "controller": True}]}),
        ("metadata", {"annotations": {names.ROOT_SERVICE: "app2"}}),
        ("spec", {"replicas": 7, "selector": {"app": "app0"}}),
        ("spec", {"rules": [{"backendRefs": [{"name": "app0", "port": 80}]}]}),
        ("status", {"phase": "Failed"}),
        ("status", {"parents": [{"parentRef": {"name": "gateway"}, "conditions": []}]}),
    ):
        made = deepcopy(obj)
        made[part] = {**made.get(part, {}), **change}
        yield made


@pytest.mark.parametrize("kind", AROUND, ids=lambda kind: kind.kind)
def test_a_release_looks_again_wherever_something_else_would_be_found(kind: Kind) -> None:
    """Whatever object changes, comes or goes: whose decision it may touch is told of it."""
    crowd, decider = known()
    for obj in table(crowd, kind).all():
        for made in changes(obj):
            expect_told(crowd, decider, kind, made, obj["metadata"]["name"])
            expect_told(crowd, decider, kind, obj, obj["metadata"]["name"])
        stranger = {**deepcopy(obj), "spec": obj.get("spec", {})}
        expect_told(crowd, decider, kind, stranger, f"{obj['metadata']['name']}-canary")
        told = decider.concerned(kind, obj)
        before = found(crowd)
        table(crowd, kind).forget(obj)
        assert differs(before, found(crowd)) <= set(told)
        crowd.put(kind, obj, obj["metadata"]["name"])
        look(crowd, decider)


def expect_told(crowd: Crowd, decider: Decider, kind: Kind, obj: Object, name: str) -> None:
    before = found(crowd)
    made = crowd.put(kind, obj, name)
    assert differs(before, found(crowd)) <= set(decider.concerned(kind, made)), made
    look(crowd, decider)


def known() -> tuple[Crowd, Decider]:
    """Three releases, each of which has been decided on once."""
    crowd = Crowd(3)
    decider = Decider(crowd.store, Policies(crowd.store))
    look(crowd, decider)
    return crowd, decider


def look(crowd: Crowd, decider: Decider) -> None:
    for deployment in crowd.deployments:
        decider.decide(deployment, NOW, there=True)


def found(crowd: Crowd) -> dict[Key, object]:
    return {
        (NAMESPACE, obj["metadata"]["name"]): gather(crowd.store, obj, None)
        for obj in crowd.deployments
    }


def differs(before: dict[Key, object], after: dict[Key, object]) -> set[Key]:
    return {key for key in before if before[key] != after[key]}


@pytest.mark.parametrize("kind", AROUND, ids=lambda kind: kind.kind)
def test_what_changes_around_one_release_leaves_the_others_alone(kind: Kind) -> None:
    """Fifty pods that get ready make fifty releases look once, and not fifty times."""
    crowd, decider = known()
    for obj in table(crowd, kind).all():
        app = obj["metadata"]["name"].partition("-")[0]
        assert decider.concerned(kind, obj) == [(NAMESPACE, app)]
    decider.forget((NAMESPACE, "app0"))
    told = {key for obj in table(crowd, kind).all() for key in decider.concerned(kind, obj)}
    assert (NAMESPACE, "app0") not in told


def test_what_was_read_before_changes_nothing_in_what_is_seen() -> None:
    """Every object in every state, read by somebody who knows what was there before."""
    crowd, readings = Crowd(2), Readings()
    deployment = crowd.deployments[0]
    for kind in AROUND:
        for obj in table(crowd, kind).all():
            for made in (*changes(obj), obj):
                crowd.put(kind, made, obj["metadata"]["name"])
                known = observe(gather(crowd.store, deployment, None, readings), readings)
                assert known == observe(gather(crowd.store, deployment, None)), made


def test_what_is_the_same_is_not_read_again() -> None:
    """Of several objects those that changed are."""
    read: list[str] = []

    def name_of(obj: Object) -> str:
        read.append(obj["metadata"]["name"])
        return read[-1]

    readings, pods = Readings(), [{"metadata": {"name": name}, "spec": 1} for name in "abc"]
    assert readings.of(name_of, pods[0]) == "a"
    assert readings.of(name_of, deepcopy(pods[0])) == "a"
    assert readings.of(name_of, pods[1]) == "b"
    assert read == ["a", "b"]
    read.clear()
    assert readings.of_each(name_of, pods) == ["a", "b", "c"]
    assert readings.of_each(name_of, [{**pods[2], "spec": 2}, pods[0]]) == ["c", "a"]
    assert read == ["a", "b", "c", "c"]


def test_a_decision_to_wait_stands_until_something_changes_or_its_time_comes() -> None:
    """One with something to do is made anew each time: its writes may have failed."""
    crowd = Crowd(1)
    raw = gather(crowd.store, crowd.deployments[0], None)
    soon = NOW + timedelta(minutes=1)
    waits = Plan(actions=(), reason="settling", wake_at=soon)
    decision = Decision(raw, observe(raw), waits)
    assert decision.stands(raw, NOW)
    assert decision.stands(gather(crowd.store, deepcopy(crowd.deployments[0]), None), NOW)
    assert not decision.stands(raw, soon)
    assert Decision(raw, decision.seen, replace(waits, wake_at=None)).stands(raw, soon)
    writes = replace(waits, actions=(SetPin("web", None),))
    assert not Decision(raw, decision.seen, writes).stands(raw, NOW)
    crowd.put(kinds.PODS, table(crowd, kinds.PODS).all()[0], "app0-v1-0")
    assert not decision.stands(gather(crowd.store, crowd.deployments[0], None), NOW)
