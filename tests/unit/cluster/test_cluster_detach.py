"""`slipway detach` against a fake API server: what it takes away, and in which order."""

import asyncio
import copy
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fake_api import FakeApi, write_kubeconfig

from webhook import compose, names
from webhook.cluster import kinds
from webhook.cluster.kinds import Kind, Object
from webhook.config import Common, DetachConfig
from webhook.objects.intent import Hold, Pin
from webhook.projection.deployment import project_hold
from webhook.projection.service import project_pin
from webhook.reconciler import detach
from webhook.reconciler.detach import NotDetached

KINDS = [each for each in vars(kinds).values() if isinstance(each, Kind)]
GUARDS = (
    kinds.MUTATINGADMISSIONPOLICYBINDINGS,
    kinds.MUTATINGADMISSIONPOLICIES,
    kinds.MUTATINGWEBHOOKCONFIGURATIONS,
    kinds.VALIDATINGWEBHOOKCONFIGURATIONS,
)
ABORTED = Hold(mode="Gate", aborted=True)
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "web:v2"}]},
}


@pytest_asyncio.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    """Slipway is installed, and nothing is in flight."""
    monkeypatch.setattr(detach, "_QUIET", 0.3)
    server = FakeApi(KINDS)
    await server.start()
    for kind in GUARDS:
        server.put(kind, "slipway", namespace="")
    server.put(kinds.DEPLOYMENTS, "slipway-reconciler", "slipway-system", spec=deployment_spec(2))
    yield server
    await server.stop()


@pytest.fixture
def run(api: FakeApi, tmp_path: Path) -> Callable[..., Any]:
    """The whole program with the chart's options."""
    path = write_kubeconfig(tmp_path / "kubeconfig", api.url, {"token": "secret"})

    def start(**options: Any) -> Any:
        config = DetachConfig(
            common=Common(kubeconfig=path),
            reconciler="slipway-reconciler",
            admission_policy="slipway",
            **{"timeout": 20.0, **options},
        )
        return compose.run_detach(config)

    return start


def deployment_spec(replicas: int) -> Object:
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate"},
        "template": copy.deepcopy(TEMPLATE),
    }


def stored(api: FakeApi, kind: Kind, name: str, namespace: str = "shop") -> Object:
    return api.collections[kind.plural].objects[namespace, name]


def put(api: FakeApi, kind: Kind, obj: Object) -> None:
    """Store an object as a projection made it."""
    meta, parts = obj["metadata"], {k: v for k, v in obj.items() if k == "spec"}
    made = api.put(kind, meta["name"], **parts)
    made["metadata"] |= {k: v for k, v in meta.items() if k in ("annotations", "labels")}
    api._store(kind, made, "MODIFIED")


async def test_what_holds_changes_is_taken_away_and_the_reconciler_before_it(
    api: FakeApi, run: Callable[..., Any]
) -> None:
    """Scaled to 0, then the Lease, then webhooks and admission policy; the Lease is given back."""
    await run()
    for kind in GUARDS:
        assert not api.collections[kind.plural].objects
    own = stored(api, kinds.DEPLOYMENTS, "slipway-reconciler", "slipway-system")
    assert own["spec"]["replicas"] == 0
    lease = stored(api, kinds.LEASES, "slipway-reconciler", "slipway-system")
    assert lease["spec"]["holderIdentity"] == ""
    order = [
        seen.path.rsplit("/", 2)[-2] for seen in api.seen if seen.method in ("PATCH", "DELETE")
    ]
    assert order == ["deployments", *(kind.plural for kind in GUARDS)]


async def test_it_may_be_run_again(api: FakeApi, run: Callable[..., Any]) -> None:
    """What is gone already is no error: neither the objects nor the Deployment."""
    await run()
    api.remove(kinds.DEPLOYMENTS, "slipway-reconciler", "slipway-system")
    await run()


async def test_an_aborted_deployment_is_left_paused_with_no_intent(
    api: FakeApi, run: Callable[..., Any]
) -> None:
    """After the webhook is gone, so the write has to do it all."""
    users = {"metadata": {"name": "web", "namespace": "shop"}, "spec": deployment_spec(4)}
    put(api, kinds.DEPLOYMENTS, project_hold(users, ABORTED))
    await run()
    left = stored(api, kinds.DEPLOYMENTS, "web")
    assert left["spec"] == {**deployment_spec(4), "paused": True}
    assert not left["metadata"].get("annotations")
    assert not left["metadata"].get("labels")


async def test_a_service_that_nobody_stands_behind_is_given_back_while_the_webhook_is_there(
    api: FakeApi, run: Callable[..., Any]
) -> None:
    """First what is pinned, then the webhook."""
    users = {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "gone"}},
    }
    put(api, kinds.SERVICES, project_pin(users, Pin(hash="abc")))
    await run()
    left = stored(api, kinds.SERVICES, "web")
    assert left["spec"] == {"selector": {"app": "gone"}}
    assert not left["metadata"].get("annotations")
    writes = [(s.method, s.path.rsplit("/", 2)[-2]) for s in api.seen]
    first = writes.index(("DELETE", GUARDS[0].plural))
    assert ("PATCH", "services") in writes[:first]


async def test_what_could_not_be_taken_back_is_listed(
    api: FakeApi, run: Callable[..., Any]
) -> None:
    """By kind, name and what is on it; the webhook stays, since it keeps pins in place."""
    note = {"annotations": {names.SPLIT: "{}"}}
    route = api.put(kinds.HTTPROUTES, "web", spec={"rules": []})
    route["metadata"] |= note
    api._store(kinds.HTTPROUTES, route, "MODIFIED")
    with pytest.raises(NotDetached) as caught:
        await run(timeout=2.0)
    assert f"HTTPRoute shop/web: annotation {names.SPLIT}" in str(caught.value)


async def test_a_release_whose_deployment_is_gone_is_not_waited_for(
    api: FakeApi, run: Callable[..., Any]
) -> None:
    """The garbage collector takes it."""
    spec = {"deployment": {"name": "web", "uid": "another"}}
    api.put(kinds.RELEASES, "web-7", spec=spec, status={"phase": "Waiting"})
    await run(timeout=20.0)


async def test_while_another_reconciler_holds_the_lease_nothing_is_touched(
    api: FakeApi, run: Callable[..., Any]
) -> None:
    """Two that write would be worse than an uninstall that says so."""
    api.put(
        kinds.LEASES,
        "slipway-reconciler",
        "slipway-system",
        spec={"holderIdentity": "other", "leaseDurationSeconds": 60, "leaseTransitions": 4},
    )
    with pytest.raises(NotDetached, match="another reconciler may hold"):
        await run(timeout=1.0)
    assert not api.count("DELETE")


@pytest.mark.parametrize("left", [True, False])
async def test_the_exit_code_says_whether_anything_is_left(
    api: FakeApi, tmp_path: Path, left: bool
) -> None:
    """As the Job of an uninstall sees it; the list is on stderr, a line each."""
    if left:
        api.put(
            kinds.LEASES,
            "slipway-reconciler",
            "slipway-system",
            spec={"holderIdentity": "other", "leaseDurationSeconds": 60},
        )
    path = write_kubeconfig(tmp_path / "kubeconfig", api.url, {"token": "secret"})
    program = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("slipway"),
        "detach",
        f"--kubeconfig={path}",
        f"--timeout={1 if left else 20}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(program.communicate(), 60)
    assert program.returncode == (1 if left else 0), (out, err)
    said = "not detached in time; this is left:\n  Slipway's Lease" if left else ""
    assert said in err.decode()
