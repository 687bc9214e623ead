"""Keeps a table equal to the cluster: list, then watch, for as long as it runs."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog

from webhook.cluster import errors
from webhook.cluster.client import Client, WatchEvent
from webhook.cluster.errors import Call
from webhook.cluster.table import Change, Table

__all__ = ["Change", "Pace", "Reflector"]

log = structlog.get_logger(__name__)

_SAYS_NOTHING_OF_OUR_VERSION: Final = frozenset({0, 401, 403, 429, 503})
"""Statuses after which a watch goes on from where it was; after all others it lists again."""

_ABSENT_BEFORE_EMPTY: Final = 3
"""Answers of "no such kind" in a row before objects that were there are believed to be gone."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a reflector waits, and for what. Seconds."""

    shortest_watch: float = 300.0
    longest_watch: float = 600.0
    first_delay: float = 0.8
    longest_delay: float = 30.0
    absent: float = 30.0
    """Between two looks for a kind that is not installed."""
    healthy: float = 10.0
    """A watch that lasted this long ends a row of failures."""
    spread: Callable[[float, float], float] = random.uniform
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    def watch_timeout(self) -> float:
        """When the server should end the next watch; spread, so that not all end at once."""
        return self.spread(self.shortest_watch, self.longest_watch)

    def delay(self, failures: int) -> float:
        """How long to wait after so many failures in a row: full jitter, growing."""
        longest = min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 16))
        return self.spread(0.0, longest)


class Reflector:
    """Follows one kind into one table and reports every change.

    Errors never empty the table: it stays as it was and its ``fresh_at`` grows old. Only a kind
    that is not installed is empty.
    """

    def __init__(
        self,
        client: Client,
        table: Table,
        *,
        labels: str | None = None,
        on_change: Callable[[Change], None],
        pace: Pace | None = None,
    ) -> None:
        self._client = client
        self._table = table
        self._labels = labels
        self._on_change = on_change
        self._pace = pace or Pace()
        self._version: str | None = None
        self._synced = asyncio.Event()
        self._failures = 0
        self._absences = 0
        self._log = log.bind(kind=table.kind.kind, namespace=table.namespace or "")

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            delay = await self._round()
            if delay > 0:
                await self._pace.sleep(delay)

    async def wait_synced(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 see Raises
        """Wait until the first list is in the table.

        Raises:
            errors.Timeout: that took longer than ``timeout`` seconds.

        """
        try:
            async with asyncio.timeout(timeout):
                await self._synced.wait()
        except TimeoutError:
            call = Call("list", self._table.kind.kind, "", self._table.namespace or "")
            raise errors.Timeout(call, f"not complete within {timeout:g} s") from None

    async def _round(self) -> float:
        """List if needed and watch once; return how long to wait before the next round."""
        began = self._pace.clock()
        try:
            if self._version is None:
                await self._list()
            await self._watch(self._version or "")
        except errors.NotFound as error:
            return self._absent(error)
        except errors.ApiError as error:
            self._settle(began)
            if error.status not in _SAYS_NOTHING_OF_OUR_VERSION:
                self._version = None
            return self._failed(error)
        except Exception as error:  # an object that breaks our own code must not blind us for good
            self._version = None
            self._log.exception("watch_crashed")
            return self._failed(error)
        self._table.touch()
        self._settle(began)
        # A server that ends each watch at once must not be asked in a tight loop.
        return 0.0 if self._pace.clock() - began >= 1.0 else self._failed(None)

    def _settle(self, began: float) -> None:
        if self._pace.clock() - began >= self._pace.healthy:
            self._failures = 0

    async def _list(self) -> None:
        table = self._table
        page = await self._client.list(
            table.kind, table.namespace, labels=self._labels, trim=table.trim
        )
        if self._absences:
            self._absences = 0
            self._log.info("kind_installed")
        self._version = page.resource_version
        self._complete(table.replace(page.items, page.resource_version))

    async def _watch(self, version: str) -> None:
        events = self._client.watch(
            self._table.kind,
            self._table.namespace,
            labels=self._labels,
            resource_version=version,
            timeout=self._pace.watch_timeout(),
        )
        async with aclosing(events):
            async for event in events:
                self._take(event)

    def _take(self, event: WatchEvent) -> None:
        self._version = str(event.object["metadata"]["resourceVersion"])
        if event.type == "BOOKMARK":
            self._table.touch(self._version)
            return
        change = self._table.observe(event.type, event.object)
        if change is not None:
            self._report([change])

    def _absent(self, error: errors.NotFound) -> float:
        self._version = None
        self._absences += 1
        if len(self._table) and self._absences < _ABSENT_BEFORE_EMPTY:
            return self._failed(error)
        self._failures = 0
        if not self._table.synced or len(self._table) or self._absences == 1:
            self._log.info("kind_not_installed", looks_again_in=self._pace.absent)
        self._complete(self._table.clear())
        return self._pace.absent

    def _failed(self, error: Exception | None) -> float:
        self._failures += 1
        delay = self._pace.delay(self._failures)
        if isinstance(error, errors.ApiError) and error.retry_after:
            delay = max(delay, error.retry_after)
        report = self._log.info if isinstance(error, errors.Gone) else self._log.warning
        report(
            "watch_failed",
            error=str(error or "the server ended the watch at once"),
            failures=self._failures,
            retry_in=round(delay, 3),
        )
        return delay

    def _complete(self, changes: list[Change]) -> None:
        self._synced.set()
        self._report([*changes, Change(self._table.kind, "RELISTED", {})])

    def _report(self, changes: Iterable[Change]) -> None:
        for change in changes:
            try:
                self._on_change(change)
            except Exception:  # a listener's bug with one object must not hide all the others
                self._log.exception("change_listener_failed", change=change.type)
