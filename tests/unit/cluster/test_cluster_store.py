"""Tables come and go with those who follow them, and tell whether they can be relied on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fake_api import CUT, FakeApi
from virtual_time import VirtualTime, eventually

from webhook.cluster import errors
from webhook.cluster.client import Client
from webhook.cluster.kinds import DEPLOYMENTS, PODS
from webhook.cluster.reflector import Pace
from webhook.cluster.store import Change, Store


@pytest_asyncio.fixture
async def store(client: Client, time: VirtualTime) -> AsyncIterator[Store]:
    time.flowing = False
    made = Store(client, pace=Pace(sleep=time.sleep, clock=time.monotonic))
    yield made
    await made.close()


async def test_a_followed_table_is_complete_when_it_is_handed_over(
    api: FakeApi, store: Store
) -> None:
    """Of one namespace, if asked for."""
    api.put(PODS, "mine")
    api.put(PODS, "theirs", namespace="bank")
    table = await store.follow(PODS, "shop")
    assert [obj["metadata"]["name"] for obj in table.all()] == ["mine"]
    assert store.table(PODS, "shop") is table
    assert len(await store.follow(PODS)) == 2


async def test_a_table_ends_with_the_last_who_follows_it(api: FakeApi, store: Store) -> None:
    """Two users, one watch; no users, none."""
    table = await store.follow(PODS, "shop")
    await store.follow(PODS, "shop")
    await eventually(lambda: len(api.watches) == 1)
    await store.unfollow(PODS, "shop")
    api.put(PODS, "web-1")
    await eventually(lambda: len(table) == 1)
    await store.unfollow(PODS, "shop")
    api.bookmark()  # the server notices on its next write that nobody listens
    await eventually(lambda: not api.watches)
    assert not table.synced
    assert not store.table(PODS, "shop").synced
    await store.unfollow(PODS, "shop")


async def test_all_listeners_hear_of_all_tables(api: FakeApi, store: Store) -> None:
    """Also when one of them fails."""
    heard: list[Change] = []

    def broken(_: Change) -> None:
        raise RuntimeError("a bug")

    store.subscribe(broken)
    store.subscribe(heard.append)
    await store.follow(PODS)
    await store.follow(DEPLOYMENTS)
    await eventually(lambda: len(api.watches) == 2)
    api.put(PODS, "web-1")
    api.put(DEPLOYMENTS, "web")
    await eventually(lambda: {c.object["metadata"]["name"] for c in heard if c.object})
    await eventually(lambda: {c.kind for c in heard if c.type == "ADDED"} == {PODS, DEPLOYMENTS})


async def test_who_unsubscribes_hears_no_more(api: FakeApi, store: Store) -> None:
    """A leader that lost its lease must not go on listening."""
    heard: list[Change] = []
    others: list[Change] = []
    unsubscribe = store.subscribe(heard.append)
    store.subscribe(others.append)
    unsubscribe()
    api.put(PODS, "web-1")
    await store.follow(PODS)
    assert (len(heard), len(others)) == (0, 2)


async def test_a_table_that_cannot_be_had_is_not_followed(api: FakeApi, store: Store) -> None:
    """The watch that was started for it ends with the attempt."""
    api.fail("GET", 403, "Forbidden", times=10**6)
    with pytest.raises(errors.Timeout):
        await store.follow(PODS, "shop", timeout=0.05)
    assert store.watch_age() == {}


async def test_a_table_has_one_selector(store: Store) -> None:
    """Two users with different labels would see each other's objects."""
    await store.follow(PODS, "shop", "app=web")
    with pytest.raises(ValueError, match="app=web"):
        await store.follow(PODS, "shop", "app=api")


async def test_a_store_is_healthy_while_its_watches_are_fresh(
    api: FakeApi, store: Store, time: VirtualTime
) -> None:
    """The reason names the kind that is not; tables of one namespace do not count."""
    assert store.healthy(120) == (True, "")
    await store.follow(DEPLOYMENTS)
    await store.follow(PODS, "shop")
    await eventually(lambda: len(api.watches) == 2)
    assert store.healthy(120) == (True, "")
    time._now += 121
    assert store.healthy(120) == (False, "deployments: nothing heard for 121 s")
    assert store.watch_age() == {"Deployment": 121.0, "Pod": 121.0}
    api.bookmark()
    await eventually(lambda: store.healthy(120)[0])


async def test_a_store_that_has_not_listed_is_not_healthy(api: FakeApi, store: Store) -> None:
    """No rights, no readiness."""
    api.fail("GET", 403, "Forbidden", times=10**6)
    task = asyncio.create_task(store.follow(DEPLOYMENTS))
    await eventually(lambda: api.seen)
    assert store.healthy(120) == (False, "deployments are not listed yet")
    task.cancel()
    await asyncio.wait({task})


async def test_closing_ends_every_watch(api: FakeApi, store: Store) -> None:
    """Nothing is left running."""
    await store.follow(PODS)
    await store.follow(DEPLOYMENTS)
    await store.close()
    api.end_watches(CUT)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("watch ")]
