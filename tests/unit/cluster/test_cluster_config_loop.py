"""The loop that follows ConfigMaps: a change is noticed, shown, and tidied up after."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from fake_api import FakeApi, write_kubeconfig

from tests.strategies import deployment
from webhook import names
from webhook.cluster.client import Client
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    CONFIGMAPS,
    DEPLOYMENTS,
    PODS,
    REPLICASETS,
    SECRETS,
    Object,
)
from webhook.cluster.policies import FOLLOWED, Policies
from webhook.cluster.reflector import Pace
from webhook.cluster.snapshots import SnapshotKeeper
from webhook.cluster.store import Store
from webhook.cluster.world import StoreWorld
from webhook.projection.config import digest_of, digests_in, snapshot_name, snapshots_of
from webhook.projection.deployment import hold_of
from webhook.reconciler.config import ConfigPace, ConfigReconciler

SHORT = ConfigPace(gather=0.05, tidy_after=0.02, grace=timedelta(seconds=0.05))
KINDS = [DEPLOYMENTS, REPLICASETS, PODS, CONFIGMAPS, SECRETS, *FOLLOWED]


@dataclass
class Leader:
    leading: bool = True


@dataclass
class Rig:
    api: FakeApi
    store: Store
    loop: ConfigReconciler

    def config(self, **data: str) -> str:
        return digest_of(self.api.put(CONFIGMAPS, "web", data=data))

    def web(self, image: str = "web:v1") -> Object:
        env = [{"configMapRef": {"name": "web"}}]
        container = {"name": "web", "image": image, "envFrom": env}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        return self.api.put(DEPLOYMENTS, "web", spec=deployment(template=template)["spec"])

    def stored(self) -> Object:
        return self.api.collections["deployments"].objects["shop", "web"]

    def configmaps(self) -> set[str]:
        return {name for _, name in self.api.collections["configmaps"].objects}

    def writes(self) -> int:
        return sum(self.api.count(verb) for verb in ("POST", "PATCH", "PUT", "DELETE"))


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    api = FakeApi(KINDS)
    await api.start()
    api.put(CLUSTERRELEASEPOLICIES, "all", "", spec={"config": {"guard": True}})
    path = write_kubeconfig(tmp_path / "kubeconfig", api.url, {"token": "secret"})
    async with await Client.connect(path, deadline=5.0) as client:
        store = Store(client, pace=Pace(first_delay=0.01, longest_delay=0.05))
        for kind in (*FOLLOWED, DEPLOYMENTS):
            await store.follow(kind, timeout=5)
        keeper = SnapshotKeeper(client, store, StoreWorld(store, "s"), term=1, leads=Leader())
        loop = ConfigReconciler(client, store, Policies(store), keeper, SHORT)
        yield Rig(api, store, loop)
        await store.close()
    await api.stop()


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 nothing tells of all that is waited for
            await asyncio.sleep(0.01)


async def running(rig: Rig) -> asyncio.Task[None]:
    task = asyncio.create_task(rig.loop.run())
    await until(lambda: snapshots_of(rig.stored()) is not None)
    return task


async def test_changed_contents_become_a_held_version_and_old_copies_go(rig: Rig) -> None:
    """Each change is one; a copy that nothing names any more is deleted, another stays."""
    first = rig.config(a="1")
    rig.web()
    task = await running(rig)
    assert digests_in(rig.stored()["spec"]["template"]) == {}
    assert hold_of(rig.stored()) is None

    second = rig.config(a="2")
    await until(lambda: digests_in(rig.stored()["spec"]["template"]) == {"ConfigMap/web": second})
    assert hold_of(rig.stored()) is not None
    assert rig.configmaps() == {"web", snapshot_name("web", second)}

    rig.api.put(REPLICASETS, "old", spec={"template": rig.stored()["spec"]["template"]})
    third = rig.config(a="3")
    await until(lambda: digests_in(rig.stored()["spec"]["template"]) == {"ConfigMap/web": third})
    asked = rig.api.count("GET", "/replicasets")
    await until(lambda: rig.api.count("GET", "/replicasets") >= asked + 3)
    assert snapshot_name("web", second) in rig.configmaps(), "an old ReplicaSet names it"
    rig.api.remove(REPLICASETS, "old")
    await until(lambda: rig.configmaps() == {"web", snapshot_name("web", third)})
    assert first not in str(rig.configmaps())
    task.cancel()


async def test_at_rest_nothing_is_written(rig: Rig) -> None:
    """Whatever else happens to the objects around."""
    rig.config(a="1")
    rig.web()
    task = await running(rig)
    rig.config(a="2")
    await until(lambda: hold_of(rig.stored()) is not None)
    writes = rig.writes()
    rig.config(a="2")
    rig.api.put(CONFIGMAPS, "other", data={"b": "1"})
    rig.api.put(SECRETS, "other", data={})
    marker = rig.api.put(DEPLOYMENTS, "bystander", spec=deployment()["spec"])
    name = marker["metadata"]["name"]
    await until(lambda: rig.store.table(DEPLOYMENTS).get("shop", name) is not None)
    await asyncio.sleep(0.3)  # what could be written late is written within the gathering time
    assert rig.writes() == writes
    task.cancel()


async def test_without_the_right_to_read_config_the_rest_of_slipway_runs_on(rig: Rig) -> None:
    """The loop says so, keeps trying, and begins when it may."""
    rig.config(a="1")
    rig.web()
    rig.api.fail("GET", 403, "Forbidden", times=5)
    task = await running(rig)
    assert not task.done()
    task.cancel()


async def test_a_copy_that_somebody_deletes_comes_back(rig: Rig) -> None:
    """Pods of the version may restart."""
    rig.config(a="1")
    rig.web()
    task = await running(rig)
    second = rig.config(a="2")
    await until(lambda: hold_of(rig.stored()) is not None)
    name = snapshot_name("web", second)
    await until(lambda: rig.store.table(CONFIGMAPS, "shop").get("shop", name) is not None)
    rig.api.remove(CONFIGMAPS, name)
    await until(lambda: name in rig.configmaps())
    made = rig.api.collections["configmaps"].objects["shop", name]
    assert made["metadata"]["labels"] == {names.SNAPSHOT_OF: "web"}
    task.cancel()
