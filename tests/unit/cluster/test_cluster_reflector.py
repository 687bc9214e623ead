"""A reflector keeps its table equal to the cluster through everything that happens to a watch."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fake_api import CUT, Collection, FakeApi, line, status
from virtual_time import VirtualTime, eventually

from webhook.cluster import errors
from webhook.cluster.client import Client
from webhook.cluster.kinds import CLUSTERRELEASEPOLICIES, PODS, Kind
from webhook.cluster.reflector import Change, Pace, Reflector
from webhook.cluster.table import Table


class Rig:
    """One reflector with what it told."""

    def __init__(self, client: Client, kind: Kind, time: VirtualTime) -> None:
        self.pace = Pace(spread=lambda _, most: most, sleep=time.sleep, clock=time.monotonic)
        self.table = Table(kind, clock=time.monotonic)
        self.told: list[Change] = []
        self.reflector = Reflector(client, self.table, on_change=self.told.append, pace=self.pace)
        self.task = asyncio.create_task(self.reflector.run())

    def names(self) -> set[str]:
        return {obj["metadata"]["name"] for obj in self.table.all()}

    def story(self) -> list[tuple[str, str]]:
        return [
            (change.type, change.object.get("metadata", {}).get("name", "")) for change in self.told
        ]


@pytest_asyncio.fixture
async def rig(client: Client, time: VirtualTime) -> AsyncIterator[Rig]:
    """A reflector of all pods."""
    made = Rig(client, PODS, time)
    yield made
    made.task.cancel()
    await asyncio.wait({made.task})


async def test_first_a_list_and_then_every_change(api: FakeApi, rig: Rig) -> None:
    """What was there and what comes, in one story; then nothing but the watch."""
    api.put(PODS, "web-1")
    await rig.reflector.wait_synced(5)
    await eventually(lambda: api.watches)
    api.put(PODS, "web-2")
    api.put(PODS, "web-1", spec={"nodeName": "n1"})
    api.remove(PODS, "web-2")
    await eventually(lambda: len(rig.told) >= 5)
    assert rig.story() == [
        ("ADDED", "web-1"),
        ("RELISTED", ""),
        ("ADDED", "web-2"),
        ("MODIFIED", "web-1"),
        ("DELETED", "web-2"),
    ]
    assert len(api.seen) == 2


async def test_a_watch_that_ends_in_time_goes_on_where_it_was(
    api: FakeApi, rig: Rig, time: VirtualTime
) -> None:
    """No list, and from the version of the last bookmark."""
    await eventually(lambda: api.watches)
    api.bookmark()
    version = api.version
    await eventually(lambda: rig.reflector._version == str(version))
    time._now += 300
    api.end_watches()
    await eventually(lambda: api.count("WATCH") == 2)
    assert api.seen[-1].query["resourceVersion"] == str(version)
    assert api.count("GET") == 1
    assert time.slept == []
    assert int(api.seen[-1].query["timeoutSeconds"]) == 600


async def test_a_bookmark_keeps_the_table_fresh(api: FakeApi, rig: Rig, time: VirtualTime) -> None:
    """A quiet cluster is not a dead one."""
    await eventually(lambda: api.watches)
    time._now += 100
    api.bookmark()
    await eventually(lambda: rig.table.fresh_at == time.monotonic())


async def test_an_expired_version_is_listed_anew(api: FakeApi, rig: Rig) -> None:
    """What went while nobody looked is told as deleted."""
    api.put(PODS, "stays")
    api.put(PODS, "goes")
    await eventually(lambda: api.watches)
    queue, api.watches[:] = list(api.watches), []  # the connection is deaf for a while
    api.remove(PODS, "goes")
    api.put(PODS, "comes")
    api.compacted = api.version
    queue[0].put_nowait(line("ERROR", status(410, "Expired")))
    api.watches[:] = queue
    await eventually(lambda: rig.names() == {"stays", "comes"})
    assert ("DELETED", "goes") in rig.story()
    assert rig.story().count(("ADDED", "stays")) == 1


async def test_a_connection_cut_in_mid_line_loses_nothing(api: FakeApi, rig: Rig) -> None:
    """The half event comes again, whole."""
    await eventually(lambda: api.watches)
    api.put(PODS, "web-1")
    await eventually(lambda: rig.names() == {"web-1"})
    queue, api.watches[:] = list(api.watches), []
    api.put(PODS, "web-2")
    queue[0].put_nowait(line("ADDED", {"metadata": {"name": "web-2"}})[:30])
    queue[0].put_nowait(CUT)
    api.watches[:] = queue
    await eventually(lambda: rig.names() == {"web-1", "web-2"})
    assert api.count("GET") == 1


async def test_an_own_write_is_not_undone_by_the_watch_that_lags(api: FakeApi, rig: Rig) -> None:
    """An older event after the answer to our write is ignored."""
    old = api.put(PODS, "web-1")
    await eventually(lambda: api.watches)
    queue, api.watches[:] = list(api.watches), []
    stale = api.put(PODS, "web-1", status={"phase": "Pending"})
    newest = api.put(PODS, "web-1", status={"phase": "Running"})
    rig.table.upsert(newest)
    api.watches[:] = queue
    api.say(line("MODIFIED", stale) + line("MODIFIED", newest))
    await eventually(lambda: rig.told[-1].type == "MODIFIED")
    phases = [c.object["status"].get("phase") for c in rig.told if c.type == "MODIFIED"]
    assert phases == ["Running"]
    assert old["metadata"]["uid"] == newest["metadata"]["uid"]


@pytest.mark.parametrize("code", [401, 403, 500, 503])
async def test_an_error_is_never_an_empty_cluster(
    api: FakeApi, rig: Rig, time: VirtualTime, code: int
) -> None:
    """The table stays as it was, and grows old."""
    api.put(PODS, "web-1")
    await eventually(lambda: api.watches)
    heard = rig.table.fresh_at
    time.flowing = False
    api.fail("WATCH", code, times=1000)
    api.fail("GET", code, times=1000)
    api.end_watches(CUT)
    await eventually(lambda: time.slept)
    for _ in range(4):
        await time.advance(60, step=60)
    assert rig.names() == {"web-1"}
    assert rig.table.synced
    assert rig.table.fresh_at == heard
    assert ("DELETED", "web-1") not in rig.story()


async def test_failures_are_tried_again_ever_more_slowly(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """0.8 s and then twice as long each time, 30 s at most."""
    api.fail("GET", 500, times=8)
    rig = Rig(client, PODS, time)
    await eventually(lambda: rig.table.synced)
    rig.task.cancel()
    assert time.slept == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


async def test_a_watch_that_lasted_ends_a_row_of_failures(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """The next failure waits the shortest time again."""
    api.fail("GET", 500, times=3)
    rig = Rig(client, PODS, time)
    await eventually(lambda: api.watches)
    time._now += 15
    api.end_watches(CUT)
    await eventually(lambda: api.count("WATCH") == 2)
    rig.task.cancel()
    assert time.slept == [0.8, 1.6, 3.2, 0.8]


async def test_a_server_that_ends_each_watch_at_once_is_not_asked_in_a_tight_loop(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """A clean end that comes too soon is a failure too."""
    time.flowing = False
    rig = Rig(client, PODS, time)
    await eventually(lambda: api.watches)
    api.end_watches()
    await eventually(lambda: time.slept == [0.8])
    assert api.count("WATCH") == 1
    rig.task.cancel()


async def test_a_watch_refused_for_its_version_lists_again(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """After a restore our version lies in the future; asking for it for ever would blind us."""
    api.fail("WATCH", 504, "Timeout")
    rig = Rig(client, PODS, time)
    await eventually(lambda: api.watches)
    assert api.count("GET") == 2
    rig.task.cancel()


async def test_a_kind_that_is_installed_later_is_picked_up(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """Until then it costs one list in 30 s, and its table is complete and empty."""
    time.flowing = False
    rig = Rig(client, CLUSTERRELEASEPOLICIES, time)
    await rig.reflector.wait_synced(5)
    await time.settle()
    assert rig.table.synced
    assert (len(rig.table), time.slept, api.count("WATCH")) == (0, [30.0], 0)
    await time.advance(60, step=30)
    assert api.count("GET") == 3
    assert rig.table.fresh_at == time.monotonic()
    api.collections["clusterreleasepolicies"] = Collection(CLUSTERRELEASEPOLICIES)
    api.put(CLUSTERRELEASEPOLICIES, "default", namespace="")
    await time.advance(30, step=30)
    await eventually(lambda: rig.names() == {"default"})
    await eventually(lambda: api.watches)
    rig.task.cancel()


async def test_one_answer_of_no_such_kind_does_not_empty_a_table(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """One API server of several that does not know the kind yet must not unguard everything."""
    api.collections["clusterreleasepolicies"] = Collection(CLUSTERRELEASEPOLICIES)
    api.put(CLUSTERRELEASEPOLICIES, "default", namespace="")
    rig = Rig(client, CLUSTERRELEASEPOLICIES, time)
    await eventually(lambda: api.watches)
    api.fail("WATCH", 404, body="404 page not found")
    api.fail("GET", 404, body="404 page not found")
    api.end_watches(CUT)
    await eventually(lambda: api.count("WATCH") == 3)
    assert rig.names() == {"default"}
    assert ("DELETED", "default") not in rig.story()
    rig.task.cancel()


async def test_a_kind_that_was_uninstalled_is_empty_in_the_end(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """The same answer several times in a row is believed."""
    collection = Collection(CLUSTERRELEASEPOLICIES)
    api.collections["clusterreleasepolicies"] = collection
    api.put(CLUSTERRELEASEPOLICIES, "default", namespace="")
    rig = Rig(client, CLUSTERRELEASEPOLICIES, time)
    await eventually(lambda: api.watches)
    del api.collections["clusterreleasepolicies"]
    api.end_watches(CUT)
    await eventually(lambda: not rig.names())
    assert ("DELETED", "default") in rig.story()
    rig.task.cancel()


async def test_a_listener_that_fails_does_not_stop_the_others_from_being_told(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """One object that our code stumbles over must not blind it to the rest."""
    table, told = Table(PODS), []

    def listen(change: Change) -> None:
        if change.object.get("metadata", {}).get("name") == "odd":
            raise RuntimeError("a bug")
        told.append(change)

    pace = Pace(sleep=time.sleep)
    reflector = Reflector(client, table, on_change=listen, pace=pace)
    task = asyncio.create_task(reflector.run())
    await eventually(lambda: api.watches)
    api.put(PODS, "odd")
    api.put(PODS, "even")
    await eventually(lambda: told and told[-1].object.get("metadata"))
    assert len(table) == 2
    task.cancel()


async def test_waiting_for_a_list_that_never_comes_ends(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """The error says which kind."""
    api.fail("GET", 403, "Forbidden", times=10**6)
    time.flowing = False
    rig = Rig(client, PODS, time)
    with pytest.raises(errors.Timeout, match="list Pod: not complete within"):
        await rig.reflector.wait_synced(0.05)
    rig.task.cancel()


def test_waits_are_spread() -> None:
    """A thousand reflectors do not come back at the same moment."""
    dice = random.Random(1)  # noqa: S311 the same dice each time
    pace = Pace(spread=dice.uniform)
    delays = [pace.delay(10) for _ in range(1000)]
    assert 0 <= min(delays) < 1
    assert 29 < max(delays) <= 30
    assert all(300 <= pace.watch_timeout() <= 600 for _ in range(100))
