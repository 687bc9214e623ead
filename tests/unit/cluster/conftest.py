"""A fake API server on loopback, a client of it, and time that obeys."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fake_api import FakeApi, write_kubeconfig
from virtual_time import VirtualTime

from webhook.cluster.client import Client
from webhook.cluster.kinds import DEPLOYMENTS, LEASES, PODS


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    server = FakeApi([DEPLOYMENTS, PODS, LEASES])
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def client(api: FakeApi, tmp_path: Path, time: VirtualTime) -> AsyncIterator[Client]:
    path = write_kubeconfig(tmp_path / "kubeconfig", api.url, {"token": "secret"})
    async with await Client.connect(path, deadline=5.0, sleep=time.sleep) as connected:
        yield connected
