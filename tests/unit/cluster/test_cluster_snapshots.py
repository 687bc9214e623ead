"""Snapshots of ConfigMaps and Secrets: made from what was read, owned, shown, and deleted."""

import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fake_api import FakeApi, write_kubeconfig
from structlog.testing import capture_logs
from virtual_time import VirtualTime

from tests.strategies import deployment
from webhook import names
from webhook.cluster import errors
from webhook.cluster.apply import LeadershipLost
from webhook.cluster.client import Client
from webhook.cluster.contents import look
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    RELEASEPOLICIES,
    REPLICASETS,
    SECRETS,
    Object,
)
from webhook.cluster.snapshots import ContentsMoved, SnapshotKeeper, known_in
from webhook.cluster.store import Store
from webhook.cluster.trims import trim_for
from webhook.cluster.world import StoreWorld
from webhook.objects.intent import Snapshots
from webhook.projection.config import UNCOPIED, Ref, digest_of, shown, snapshot_name
from webhook.projection.deployment import hold_of
from webhook.projection.fields import read
from webhook.snapshots.plan import Copy, MakeCopy, OwnCopy, ShowContents

WEB, KEY = Ref("ConfigMap", "web"), Ref("Secret", "key")
HIDDEN = "aHVudGVyMg=="
SECRET_PARTS: dict[str, Any] = {"type": "Opaque", "data": {"password": HIDDEN}}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    kinds = [DEPLOYMENTS, REPLICASETS, PODS, CONFIGMAPS, SECRETS]
    server = FakeApi([*kinds, CLUSTERRELEASEPOLICIES, RELEASEPOLICIES, NAMESPACES])
    await server.start()
    yield server
    await server.stop()


@dataclass
class Elected:
    leading: bool = True


@dataclass
class Rig:
    api: FakeApi
    client: Client
    store: Store
    keeper: SnapshotKeeper
    leads: Elected

    async def follow(self) -> None:
        for kind in (CONFIGMAPS, SECRETS):
            await self.store.follow(kind, "shop", timeout=5)

    def web(self, **spec: Any) -> Object:
        obj = deployment(**spec)
        return self.api.put(DEPLOYMENTS, "web", spec=obj["spec"])

    def snapshot(self, ref: Ref, digest: str) -> Object:
        plural = "configmaps" if ref.kind == "ConfigMap" else "secrets"
        return self.api.collections[plural].objects["shop", snapshot_name(ref.name, digest)]


@pytest_asyncio.fixture
async def rig(api: FakeApi, tmp_path: Path, time: VirtualTime) -> AsyncIterator[Rig]:
    path = write_kubeconfig(tmp_path / "kubeconfig", api.url, {"token": "secret"})
    async with await Client.connect(path, deadline=5.0, sleep=time.sleep) as client:
        store, leads = Store(client), Elected()
        keeper = SnapshotKeeper(client, store, StoreWorld(store, "slipway"), term=4, leads=leads)
        yield Rig(api, client, store, keeper, leads)
        await store.close()


def config(rig: Rig, **data: str) -> str:
    return digest_of(rig.api.put(CONFIGMAPS, "web", data=data or {"a": "1"}))


def template(**digests: str) -> Object:
    env = [{"configMapRef": {"name": "web"}}]
    made = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:v1", "envFrom": env}]},
    }
    return shown(made, {f"ConfigMap/{key}": digest for key, digest in digests.items()})


async def test_a_snapshot_is_immutable_and_goes_with_its_deployment(rig: Rig) -> None:
    """The same contents and type under a name of its own."""
    owner = rig.web()
    secret = rig.api.put(SECRETS, "key", **SECRET_PARTS)
    digest = digest_of(secret)
    await rig.keeper.perform(owner, MakeCopy(KEY, digest))
    made = rig.snapshot(KEY, digest)
    assert (made["type"], made["data"], made["immutable"]) == (
        "Opaque", {"password": HIDDEN}, True
    )  # fmt: skip
    assert made["metadata"]["labels"] == {names.SNAPSHOT_OF: "key"}
    (reference,) = made["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["uid"]) == ("Deployment", owner["metadata"]["uid"])
    assert digest_of(made) == digest
    await rig.keeper.perform(owner, MakeCopy(KEY, digest))


async def test_contents_that_moved_on_are_not_copied_under_the_wrong_name(rig: Rig) -> None:
    """They are decided on anew."""
    owner, digest = rig.web(), config(rig)
    config(rig, a="2")
    with pytest.raises(ContentsMoved):
        await rig.keeper.perform(owner, MakeCopy(WEB, digest))


async def test_a_strangers_object_is_not_taken_for_a_snapshot(rig: Rig) -> None:
    """Whatever its name: it must be labelled, and have the contents that the name promises."""
    owner, digest = rig.web(), config(rig)
    name = snapshot_name("web", digest)
    for parts in ({"data": {"a": "1"}}, {"data": {"a": "2"}}):
        rig.api.put(CONFIGMAPS, name, **parts)
        with pytest.raises(errors.AlreadyExists):
            await rig.keeper.perform(owner, MakeCopy(WEB, digest))


async def test_a_second_owner_does_not_drive_out_the_first(rig: Rig) -> None:
    """The cluster deletes a snapshot after the last of them."""
    owner, digest = rig.web(), config(rig)
    await rig.keeper.perform(owner, MakeCopy(WEB, digest))
    await rig.follow()
    other = rig.api.put(DEPLOYMENTS, "other", spec=deployment()["spec"])
    await rig.keeper.perform(other, OwnCopy(Ref("ConfigMap", snapshot_name("web", digest))))
    owners = rig.snapshot(WEB, digest)["metadata"]["ownerReferences"]
    assert [each["name"] for each in owners] == ["web", "other"]


async def test_contents_that_only_a_late_watch_calls_news_are_not_shown(rig: Rig) -> None:
    """The Deployment shows what came with it; the watch has yet to hear of that."""
    old, new = config(rig, a="1"), config(rig, a="2")
    shows = Snapshots(shown={str(WEB): new})
    web = rig.web(template=template(web=new))
    web["metadata"]["annotations"] = {names.CONFIG: shows.text()}
    with pytest.raises(ContentsMoved, match=f"ConfigMap/web in shop is not what it was: {old}"):
        await rig.keeper.perform(web, ShowContents(Snapshots(shown={str(WEB): old})))
    stored = rig.api.collections["deployments"].objects["shop", "web"]
    assert stored["metadata"]["resourceVersion"] == web["metadata"]["resourceVersion"]


async def test_without_a_webhook_a_release_of_contents_begins_all_the_same(rig: Rig) -> None:
    """The reconciler writes what the webhook would have: template and hold in one write."""
    rig.api.put(CLUSTERRELEASEPOLICIES, "all", "", spec={"config": {"guard": True}})
    for kind in (CLUSTERRELEASEPOLICIES, RELEASEPOLICIES, NAMESPACES):
        await rig.store.follow(kind, timeout=5)
    before = rig.web(template=template(web="a" * 10))
    decided = Snapshots(shown={str(WEB): "b" * 10})
    with capture_logs() as logs:
        await rig.keeper.perform(before, ShowContents(decided))
    stored = rig.api.collections["deployments"].objects["shop", "web"]
    container = stored["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": snapshot_name("web", "b" * 10)}}]
    hold = hold_of(stored)
    assert hold is not None
    assert hold.mode == "Gate"
    assert read(stored, ("spec", "paused")) is True
    assert [entry["event"] for entry in logs] == ["contents_repaired"]
    with pytest.raises(errors.Conflict):
        await rig.keeper.perform(before, ShowContents(decided))


async def test_one_who_leads_no_more_writes_nothing(rig: Rig) -> None:
    """A new leader decides anew."""
    owner, digest = rig.web(), config(rig)
    rig.leads.leading = False
    for action in (MakeCopy(WEB, digest), ShowContents(Snapshots())):
        with pytest.raises(LeadershipLost):
            await rig.keeper.perform(owner, action)
    with pytest.raises(LeadershipLost):
        await rig.keeper.drop("shop", WEB)


async def test_what_history_and_pods_name_is_in_use(rig: Rig) -> None:
    """Not only the present template: an old ReplicaSet can be returned to, an old pod restarts."""
    rig.web(template=template(web="a" * 10))
    rig.api.put(REPLICASETS, "web-1", spec={"template": template(web="b" * 10)})
    rig.api.put(PODS, "web-1-x", spec=template(web="c" * 10)["spec"])
    assert await rig.keeper.used_in("shop") == {
        Ref("ConfigMap", snapshot_name("web", digit * 10)) for digit in "abc"
    }


async def test_a_snapshot_is_deleted_only_as_the_object_that_was_seen(rig: Rig) -> None:
    """Another one of the same name is somebody's new one."""
    owner, digest = rig.web(), config(rig)
    await rig.keeper.perform(owner, MakeCopy(WEB, digest))
    await rig.follow()
    ref = Ref("ConfigMap", snapshot_name("web", digest))
    assert known_in(rig.store, "shop").copies == {
        ref: Copy(digest, frozenset({owner["metadata"]["uid"]}))
    }
    await rig.keeper.drop("shop", ref)
    assert known_in(rig.store, "shop").copies == {}
    await rig.keeper.drop("shop", ref)


@pytest.mark.parametrize("labelled", [True, False])
def test_no_contents_are_kept_in_memory(labelled: bool) -> None:
    """Of a Secret and its snapshot, the tables have a digest and whose they are."""
    note = {"kubectl.kubernetes.io/last-applied-configuration": HIDDEN, names.LIVE: "no"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "key", "namespace": "shop", "uid": "u", "resourceVersion": "3",
            "labels": {"a": HIDDEN, **({names.SNAPSHOT_OF: "key"} if labelled else {})},
            "annotations": note,
        },
        **SECRET_PARTS,
    }  # fmt: skip
    before = copy.deepcopy(secret)
    kept = trim_for(SECRETS)(secret)
    assert secret == before
    assert HIDDEN not in repr(kept)
    assert kept["digest"] == digest_of(secret)
    assert (names.SNAPSHOT_OF in kept["metadata"].get("labels", {})) is labelled


async def test_contents_are_looked_up_as_digests_and_never_fail_a_write(rig: Rig) -> None:
    """What is missing or may not be read is left out; what is to be read live says so."""
    digest = config(rig)
    meant_live = {"metadata": {"name": "live", "namespace": "shop", "annotations": {
        names.LIVE: "true"}}}  # fmt: skip
    rig.api.collections["configmaps"].objects["shop", "live"] = {
        "apiVersion": "v1", "kind": "ConfigMap", **meant_live
    }  # fmt: skip
    live, gone = Ref("ConfigMap", "live"), Ref("ConfigMap", "gone")
    known = await look(rig.client, "shop", (WEB, live, gone, Ref("Secret", "../x")))
    assert known == {WEB: digest, live: UNCOPIED}
    rig.api.fail("GET", 403, "Forbidden", times=2)
    assert await look(rig.client, "shop", (WEB, KEY)) == {}
