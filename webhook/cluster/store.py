"""All tables of a process: which are followed, and whether what they say can be relied on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from webhook.cluster.client import Client
from webhook.cluster.kinds import Kind
from webhook.cluster.reflector import Pace, Reflector
from webhook.cluster.table import Change, Table

__all__ = ["Change", "Store", "Table"]

log = structlog.get_logger(__name__)

Scope: TypeAlias = tuple[Kind, str | None]


@dataclass(slots=True)
class _Followed:
    reflector: Reflector
    task: asyncio.Task[None]
    labels: str | None
    users: int = 0


class Store:
    """Tables by kind and scope: of the whole cluster (namespace None), or of one namespace.

    The two scopes of a kind are tables of their own.
    """

    def __init__(self, client: Client, *, pace: Pace | None = None) -> None:
        self._client = client
        self._pace = pace or Pace()
        self._tables: dict[Scope, Table] = {}
        self._followed: dict[Scope, _Followed] = {}
        self._listeners: list[Callable[[Change], None]] = []

    def table(self, kind: Kind, namespace: str | None = None) -> Table:
        """Return a table; empty and not ``synced`` as long as nobody follows it."""
        scope = (kind, namespace)
        if scope not in self._tables:
            self._tables[scope] = Table(kind, namespace, clock=self._pace.clock)
        return self._tables[scope]

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``callback`` for every change in every table, in the order of each watch.

        Call the answer to be told no more.
        """
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def follow(
        self,
        kind: Kind,
        namespace: str | None = None,
        labels: str | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 raises an error of our own
    ) -> Table:
        """Keep a table up to date until as many ``unfollow``; return it once it is complete.

        With ``labels``, ``upsert`` only objects that match them: nobody would take others out.

        Raises:
            errors.Timeout: it was not complete within ``timeout`` seconds; nothing is followed.
            ValueError: the table is followed with other labels.

        """
        scope = (kind, namespace)
        if scope not in self._followed:
            self._start(scope, labels)
        followed = self._followed[scope]
        if followed.labels != labels:
            raise ValueError(f"{kind.kind} in {namespace}: followed with {followed.labels!r}")
        followed.users += 1
        try:
            await followed.reflector.wait_synced(timeout)
        except BaseException:
            await self.unfollow(kind, namespace)
            raise
        return self._tables[scope]

    async def unfollow(self, kind: Kind, namespace: str | None = None) -> None:
        """Give a table up; the last one to do so ends its watch and drops its objects."""
        scope = (kind, namespace)
        followed = self._followed.get(scope)
        if followed is None:
            return
        followed.users -= 1
        if followed.users <= 0:
            del self._followed[scope]
            self._tables.pop(scope).synced = False
            await _stop(followed.task)

    def healthy(self, max_age: float) -> tuple[bool, str]:
        """Tell whether all cluster-wide tables are complete and heard of within ``max_age`` s.

        The second value is the reason if not. Tables of one namespace do not count: they hold up
        the releases that need them, and nothing else.
        """
        now = self._pace.clock()
        for (kind, namespace), followed in self._followed.items():
            table = self._tables[kind, namespace]
            if followed.task.done():
                return False, f"the watch of {kind.plural} has ended"
            if namespace is not None:
                continue
            if not table.synced:
                return False, f"{kind.plural} are not listed yet"
            if now - table.fresh_at > max_age:
                return False, f"{kind.plural}: nothing heard for {now - table.fresh_at:.0f} s"
        return True, ""

    def watch_age(self) -> dict[str, float]:
        """Seconds since each followed kind was last heard of; the oldest of its tables."""
        now = self._pace.clock()
        ages: dict[str, float] = {}
        for kind, namespace in self._followed:
            age = now - self._tables[kind, namespace].fresh_at
            ages[kind.kind] = max(age, ages.get(kind.kind, 0.0))
        return ages

    async def close(self) -> None:
        """End all watches."""
        tasks = [followed.task for followed in self._followed.values()]
        self._followed.clear()
        for task in tasks:
            await _stop(task)

    def _start(self, scope: Scope, labels: str | None) -> None:
        kind, namespace = scope
        reflector = Reflector(
            self._client,
            self.table(kind, namespace),
            labels=labels,
            on_change=self._publish,
            pace=self._pace,
        )
        name = f"watch {kind.plural} {namespace or ''}".rstrip()
        task = asyncio.create_task(reflector.run(), name=name)
        self._followed[scope] = _Followed(reflector, task, labels)

    def _publish(self, change: Change) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(change)
            except Exception:  # one listener's bug must not hide the change from the others
                log.exception("change_listener_failed", kind=change.kind.kind, change=change.type)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
