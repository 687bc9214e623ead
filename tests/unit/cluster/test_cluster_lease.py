"""At most one leader, known by its term, and gone in time."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fake_api import FakeApi
from virtual_time import VirtualTime, eventually

from webhook.cluster.client import Client
from webhook.cluster.kinds import LEASES
from webhook.cluster.lease import Clock, LeaseElector
from webhook.telemetry.metrics import REGISTRY


class Candidate:
    """One process that would like to lead."""

    def __init__(self, client: Client, time: VirtualTime, identity: str) -> None:
        clock = Clock(time.monotonic, time.wall, time.sleep)
        self.elector = LeaseElector(client, "slipway", "reconciler", identity, clock=clock)
        self.terms: list[int] = []
        self.working = False
        self.winding_down = 0.0
        self.failure: Exception | None = None
        self.finish = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self, floor: int = 0) -> "Candidate":
        self.task = asyncio.create_task(self.elector.run(self.work, floor=lambda: floor))
        return self

    async def work(self, term: int) -> None:
        self.terms.append(term)
        self.working = True
        try:
            await self.finish.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            if self.winding_down:
                await asyncio.sleep(self.winding_down)
            self.working = False

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})


class Field:
    """All candidates of a test."""

    def __init__(self, client: Client, api: FakeApi, time: VirtualTime) -> None:
        time.flowing = False
        self.client, self.api, self.time = client, api, time
        self.candidates: list[Candidate] = []

    def candidate(self, identity: str) -> Candidate:
        made = Candidate(self.client, self.time, identity)
        self.candidates.append(made)
        return made

    @property
    def spec(self) -> dict[str, Any]:
        lease = self.api.collections["leases"].objects["slipway", "reconciler"]
        spec: dict[str, Any] = lease["spec"]
        return spec


@pytest_asyncio.fixture
async def field(client: Client, api: FakeApi, time: VirtualTime) -> AsyncIterator[Field]:
    made = Field(client, api, time)
    yield made
    for candidate in made.candidates:
        await candidate.stop()


async def test_the_first_candidate_leads_and_keeps_the_lease(field: Field) -> None:
    """The record is one that other tools can read; renewals keep the term."""
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    assert a.elector.leading
    assert REGISTRY.get_sample_value("slipway_leader") == 1
    first = dict(field.spec)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["renewTime"])
    assert (first["holderIdentity"], first["leaseDurationSeconds"]) == ("a", 15)
    await field.time.advance(60)
    assert a.working
    assert field.spec["renewTime"] > first["renewTime"]
    assert field.spec["leaseTransitions"] == first["leaseTransitions"] == a.terms[0]
    assert field.spec["acquireTime"] == first["acquireTime"]


async def test_a_second_candidate_waits_as_long_as_the_first_renews(field: Field) -> None:
    """Two never work at the same time."""
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    await field.time.advance(1)  # out of step, so that no conflict of writes hides a mistake
    b = field.candidate("b").start()
    await field.time.settle(2)
    await field.time.advance(60)
    assert a.working
    assert (len(a.terms), b.terms) == (1, [])


async def test_a_leader_that_vanished_is_followed_after_the_lease_ran_out(field: Field) -> None:
    """Judged from when the successor saw the last renewal, whatever its time stamp says."""
    spec = {
        "holderIdentity": "dead",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 4,
        "renewTime": "2001-01-01T00:00:00.000000Z",
    }
    field.api.put(LEASES, "reconciler", namespace="slipway", spec=spec)
    b = field.candidate("b").start()
    await field.time.settle()
    await field.time.advance(14)
    assert not b.working
    await field.time.advance(4)
    await eventually(lambda: b.working)
    assert b.terms == [5]


async def test_a_leader_that_leaves_hands_over_at_once(field: Field) -> None:
    """The next look of the successor finds the lease free."""
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    b = field.candidate("b").start()
    await field.time.settle(2)
    await a.stop()
    assert not a.working
    assert field.spec["holderIdentity"] == ""
    assert REGISTRY.get_sample_value("slipway_leader") == 0
    await field.time.advance(2)
    await eventually(lambda: b.working)
    assert b.terms == [a.terms[0] + 1]


async def test_the_lease_is_released_only_after_the_work_has_stopped(
    field: Field, api: FakeApi
) -> None:
    """A successor must not start beside work that still winds down."""
    a = field.candidate("a").start()
    a.winding_down = 0.1
    await eventually(lambda: a.working)
    stopping = asyncio.create_task(a.stop())
    await asyncio.sleep(0.03)
    assert a.working
    assert field.spec["holderIdentity"] == "a"
    await stopping
    assert field.spec["holderIdentity"] == ""


async def test_a_leader_that_cannot_renew_stops_before_the_lease_runs_out(field: Field) -> None:
    """Ten seconds after the last renewal, five before anyone else may start; then it tries anew."""
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    field.api.fail("PUT", 500, times=10**6)
    field.api.fail("GET", 500, times=10**6)
    await field.time.advance(9)
    assert a.working
    await field.time.advance(3)
    await eventually(lambda: not a.working)
    assert not a.elector.leading
    assert REGISTRY.get_sample_value("slipway_leader") == 0
    field.api.faults.clear()
    await field.time.advance(10)
    await eventually(lambda: a.working)
    assert a.terms == [a.terms[0], a.terms[0] + 1]


async def test_a_machine_that_was_suspended_does_not_lead_on(field: Field) -> None:
    """The monotonic clock stood still; the wall clock tells."""
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    field.time.suspend(3600)
    assert not a.elector.leading
    writes = field.api.count("PUT")
    await field.time.advance(2.5)
    await eventually(lambda: len(a.terms) == 2)
    assert a.terms[1] > a.terms[0], "it leads again only under a new term"
    assert field.api.count("PUT") == writes + 1


async def test_a_rival_that_took_the_lease_ends_the_work(field: Field) -> None:
    """Whatever the reason, the record decides."""
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    spec = field.spec | {"holderIdentity": "z", "leaseTransitions": 7}
    field.api.put(LEASES, "reconciler", namespace="slipway", spec=spec)
    await field.time.advance(2.5)
    await eventually(lambda: not a.working)
    await a.stop()
    assert field.spec["holderIdentity"] == "z", "what is not ours is not released"


async def test_a_note_that_a_stranger_leaves_on_the_lease_does_not_end_the_work(
    field: Field,
) -> None:
    """A conflict is looked into before it is believed."""
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    field.api.put(LEASES, "reconciler", namespace="slipway", spec=dict(field.spec), note="hello")
    await field.time.advance(20)
    assert a.working
    assert len(a.terms) == 1


async def test_a_term_is_above_all_that_were_in_use_even_if_the_lease_was_deleted(
    field: Field,
) -> None:
    """Otherwise the webhook would refuse the new leader's intent for ever."""
    a = field.candidate("a").start(floor=41)
    await eventually(lambda: a.working)
    assert a.terms == [42]
    field.api.remove(LEASES, "reconciler", namespace="slipway")
    await field.time.advance(5)
    await eventually(lambda: len(a.terms) == 2)
    assert a.terms == [42, 43]


async def test_work_that_fails_gives_the_lease_back_and_the_error_on(field: Field) -> None:
    """The process ends and is started anew; another one need not wait for it."""
    a = field.candidate("a")
    a.failure = RuntimeError("a bug")
    a.finish.set()
    a.start()
    assert a.task is not None
    with pytest.raises(RuntimeError, match="a bug"):
        await a.task
    assert field.spec["holderIdentity"] == ""


async def test_work_that_is_done_ends_the_campaign(field: Field) -> None:
    """Nothing runs on, and the lease is free."""
    a = field.candidate("a")
    a.finish.set()
    a.start()
    assert a.task is not None
    await a.task
    assert field.spec["holderIdentity"] == ""


async def test_a_restarted_process_of_the_same_name_leads_under_a_new_term(field: Field) -> None:
    """Writes of its former life are told apart from those of this one."""
    spec = {"holderIdentity": "a", "leaseTransitions": 5, "leaseDurationSeconds": 15}
    field.api.put(LEASES, "reconciler", namespace="slipway", spec=spec)
    a = field.candidate("a").start()
    await eventually(lambda: a.working)
    assert a.terms == [6]


async def test_of_two_that_reach_for_the_lease_at_once_one_gets_it(field: Field) -> None:
    """Every write carries the version it is based on."""
    field.api.put(LEASES, "reconciler", namespace="slipway", spec={})
    many = [field.candidate(name).start() for name in "abcdef"]
    await eventually(lambda: any(c.working for c in many))
    await field.time.advance(10)
    assert sum(c.working for c in many) == 1
    assert all("resourceVersion" in r.body["metadata"] for r in field.api.seen if r.verb == "PUT")


async def test_an_api_server_that_is_away_is_asked_again(field: Field) -> None:
    """A candidate outlives any outage."""
    field.api.fail("GET", 500, times=3)
    a = field.candidate("a").start()
    await field.time.settle()
    await field.time.advance(8)
    await eventually(lambda: a.working)


def test_times_that_cannot_work_are_refused(client: Client) -> None:
    """A leader must stop before another may start."""
    with pytest.raises(ValueError, match="renew_deadline < duration"):
        LeaseElector(client, "n", "l", "a", duration=10, renew_deadline=10)
