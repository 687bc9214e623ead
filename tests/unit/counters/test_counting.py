"""Each second the pages of all pods in a release are read, and only theirs."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from webhook.cluster.kinds import PODS, REPLICASETS, Kind
from webhook.counters.pages import NoPage
from webhook.objects.raw import Object
from webhook.reconciler.counting import Counting

KEY = ("shop", "web")
DEPLOYMENT: Object = {"metadata": {"uid": "d"}, "spec": {"template": {}}}


class Table:
    """The objects of one kind, by owner."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._objects = list(objects)

    def found(self, word: str) -> list[Object]:
        return [o for o in self._objects if f"owner {o['metadata']['owner']}" == word]


class Store:
    """Two versions, two pods of each; only v2's template asks to be scraped."""

    def table(self, kind: Kind, _namespace: str) -> Table:
        if kind == REPLICASETS:
            return Table(replicaset(v) for v in ("v1", "v2"))
        assert kind == PODS
        return Table(pod(v, n) for v in ("v1", "v2") for n in (1, 2))


class Pages:
    """Answers 5 more at each look, but for the second pod, which never answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __aenter__(self) -> "Pages":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get(self, url: str) -> str:
        self.asked.append(url)
        if "10.0.2.2" in url:
            raise NoPage("gone")
        return f'http_requests_total{{path="/"}} {5 * len(self.asked)}\n'


def replicaset(version: str) -> Object:
    noted = {"prometheus.io/scrape": "true", "prometheus.io/port": "80"}
    template: Object = {"metadata": {"annotations": noted if version == "v2" else {}}, "spec": {}}
    return {"metadata": {"uid": version, "owner": "d"}, "spec": {"template": template}}


def pod(version: str, number: int) -> Object:
    meta: dict[str, Any] = {"uid": f"{version}-{number}", "owner": version}
    meta["labels"] = {"pod-template-hash": version}
    address = f"10.0.{version[1]}.{number}"
    return {
        "metadata": meta,
        "status": {"phase": "Running", "podIP": address, "hostIP": "10.9.9.9"},
    }


async def test_the_pods_of_a_release_are_looked_at_and_counted() -> None:
    """A pod that does not answer is left out; one that asks for nothing is not asked."""
    pages, looks, twice = Pages(), count(1), asyncio.Event()

    def now() -> datetime:
        if next(looks) > 2:
            twice.set()
        return datetime.now(UTC)

    counting = Counting(Store(), lambda: pages, now)  # type: ignore[arg-type]
    running = asyncio.create_task(counting.run(lambda: [(KEY, DEPLOYMENT)]))
    async with asyncio.timeout(10):
        await twice.wait()
    running.cancel()
    assert set(pages.asked) == {"http://10.0.2.1:80/metrics", "http://10.0.2.2:80/metrics"}
    first, second = counting.of(KEY)[:2]
    assert (first.requests, first.noise) == ({"v2": 0}, {"v2": 0})
    assert second.requests == {"v2": 10}
    counting.forget(KEY)
    assert counting.of(KEY) == ()


async def test_a_page_that_breaks_the_parser_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods may write what they like; the releases of all others go on."""

    def broken(_text: str) -> None:
        raise KeyError("odd")

    monkeypatch.setattr("webhook.reconciler.counting.read", broken)
    pages = Pages()
    counting = Counting(Store(), lambda: pages)  # type: ignore[arg-type]
    running = asyncio.create_task(counting.run(lambda: [(KEY, DEPLOYMENT)]))
    await asyncio.wait([running], timeout=0.2)
    assert pages.asked
    assert not running.done()
    running.cancel()
