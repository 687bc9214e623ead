"""Leader election on a Lease: at most one process works, and a later one can be told by its term.

Expiry is judged by our own clocks, from when we last saw the record change; the other process's
clock does not matter. Both the monotonic and the wall clock count: a machine that was suspended
must not take itself for the leader that it was.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from webhook.cluster import errors
from webhook.cluster.client import Client
from webhook.cluster.kinds import LEASES, Object
from webhook.telemetry import metrics

log = structlog.get_logger(__name__)

_CALL: Final = 5.0
"""Seconds that one call may take, where the renew deadline does not ask for less."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, and waiting for it."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def now(self) -> "Instant":
        """Read both clocks."""
        return Instant(self.monotonic(), self.wall())

    def since(self, then: "Instant") -> float:
        """Seconds since ``then``, by the clock that says more."""
        now = self.now()
        return max(now.monotonic - then.monotonic, now.wall - then.wall)


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks."""

    monotonic: float
    wall: float


class LeaseElector:
    """Campaigns for one Lease, and works while it holds it.

    ``identity`` must be this process's alone (pod name and a random part). The Lease is free to
    be taken ``duration`` seconds after its last renewal; the holder stops by itself
    ``renew_deadline`` seconds after it, and tries every ``retry`` seconds.

    The term is ``leaseTransitions``, and grows each time the Lease is taken.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry: float = 2.0,
        clock: Clock | None = None,
    ) -> None:
        if not retry < renew_deadline < duration:
            raise ValueError("a lease needs retry < renew_deadline < duration")
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration = duration
        self._renew_deadline = renew_deadline
        self._retry = retry
        self._clock = clock or Clock()
        self._seen: tuple[object, Instant] | None = None
        self._highest = 0
        self._held: Object | None = None
        self._renewed = self._clock.now()
        self._log = log.bind(lease=f"{namespace}/{name}", identity=identity)

    @property
    def leading(self) -> bool:
        """Whether the Lease is ours at this moment; look before each write that matters."""
        return self._held is not None and self._left() > 0

    async def run(
        self,
        on_lead: Callable[[int], Awaitable[None]],
        *,
        floor: Callable[[], int] = lambda: 0,
    ) -> None:
        """Campaign, run ``on_lead(term)`` while leading, campaign again after a loss.

        ``floor`` gives the highest term that the caller knows to have been in use, so that a Lease
        that somebody deleted does not start again below its own past.

        Returns when ``on_lead`` does. When the Lease is lost or this is cancelled, ``on_lead`` is
        cancelled and awaited; the Lease is given back only after that.

        Raises:
            Exception: whatever ``on_lead`` raised; the Lease is given back first.

        """
        while True:
            term = await self._campaign(floor)
            if await self._lead(term, on_lead):
                return

    # -- becoming the leader -------------------------------------------------------------------

    async def _campaign(self, floor: Callable[[], int]) -> int:
        while True:
            try:
                term = await self._try(floor)
            except errors.ApiError as error:
                if not isinstance(error, errors.Conflict | errors.AlreadyExists):
                    self._log.warning("lease_not_reached", error=str(error))
                term = None
            if term is not None:
                self._log.info("lease_acquired", term=term)
                return term
            await self._clock.sleep(self._retry)

    async def _try(self, floor: Callable[[], int]) -> int | None:
        """Take the Lease if it is free; return the term, or None while somebody else holds it."""
        began = self._clock.now()
        try:
            lease = await self._call(self._client.get(LEASES, self._name, self._namespace))
        except errors.NotFound:
            lease = None
        if lease is not None and not self._is_free(lease):
            return None
        spec = (lease or {}).get("spec") or {}
        self._highest = max(self._highest, int(spec.get("leaseTransitions") or 0), floor())
        term = self._highest + 1
        wanted = self._record(term, acquired=_micro_time(began.wall), renewed=began)
        if lease is None:
            body = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": wanted,
            }
            answer = self._client.create(LEASES, body, self._namespace)
        else:
            answer = self._client.replace(LEASES, {**lease, "spec": wanted}, self._namespace)
        self._held = await self._call(answer)
        self._renewed, self._highest = began, term
        return term

    def _is_free(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        record = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if self._seen is None or self._seen[0] != record:
            self._seen = (record, self._clock.now())
        if holder in {"", self._identity}:
            return True
        lasts = float(spec.get("leaseDurationSeconds") or self._duration)
        return self._clock.since(self._seen[1]) > lasts

    # -- being the leader ----------------------------------------------------------------------

    async def _lead(self, term: int, on_lead: Callable[[int], Awaitable[None]]) -> bool:
        """Work until the work ends (True) or the Lease is lost (False)."""
        metrics.LEADER.set(1)
        work = asyncio.ensure_future(on_lead(term))
        renewal = asyncio.create_task(self._renew_until_lost(), name="renew lease")
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            ended = work.done()
        finally:
            # Renewal goes on while the work winds down, so that no successor starts beside it.
            await _stop(work)
            await _stop(renewal)
            await self._release()
            metrics.LEADER.set(0)
            failure = None if work.cancelled() else work.exception()
            if failure is not None:
                self._log.error("leader_failed", error=repr(failure))
        if failure is not None:
            raise failure
        if not renewal.cancelled():
            renewal.result()
        return ended

    async def _renew_until_lost(self) -> None:
        while True:
            await self._clock.sleep(min(self._retry, max(self._left(), 0.0)))
            if self._left() <= 0:
                self._lost("not renewed in time")
                return
            try:
                await self._renew()
            except errors.ApiError as error:
                self._log.warning(
                    "lease_not_renewed", error=str(error), left=round(self._left(), 1)
                )
            if self._held is None:
                return

    async def _renew(self) -> None:
        held = self._held
        if held is None:
            return
        began = self._clock.now()
        spec = {**held["spec"], "renewTime": _micro_time(began.wall)}
        try:
            self._held = await self._call(
                self._client.replace(LEASES, {**held, "spec": spec}, self._namespace)
            )
        except (errors.Conflict, errors.NotFound):
            await self._look_again(held)
        else:
            self._renewed = began

    async def _look_again(self, held: Object) -> None:
        """After a conflict: our own write whose answer was lost, a stranger's note, or a rival."""
        try:
            found = await self._call(self._client.get(LEASES, self._name, self._namespace))
        except errors.NotFound:
            self._lost("it was deleted")
            return
        mine, theirs = held["spec"], found.get("spec") or {}
        if any(mine[key] != theirs.get(key) for key in ("holderIdentity", "leaseTransitions")):
            self._lost(f"taken by {theirs.get('holderIdentity') or 'nobody'}")
        else:
            self._held = found

    def _lost(self, why: str) -> None:
        self._held = None
        self._log.error("lease_lost", why=why)

    async def _release(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        now = self._clock.now()
        spec = {
            **held["spec"],
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": _micro_time(now.wall),
        }
        try:
            body = {**held, "spec": spec}
            async with asyncio.timeout(_CALL):
                await self._client.replace(LEASES, body, self._namespace)
        except (errors.ApiError, TimeoutError) as error:
            self._log.warning("lease_not_released", error=str(error))  # it expires by itself
        else:
            self._log.info("lease_released")

    # -- details -------------------------------------------------------------------------------

    def _left(self) -> float:
        return self._renew_deadline - self._clock.since(self._renewed)

    async def _call(self, call: Awaitable[Object]) -> Object:
        """Give one call half of the deadline at most, so that there is a second try."""
        seconds = min(_CALL, self._renew_deadline / 2)
        if self._held is not None:
            seconds = max(min(seconds, self._left()), 0.0)
        what = errors.Call("use", LEASES.kind, self._name, self._namespace)
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError:
            raise errors.Timeout(what, f"no answer within {seconds:.2g} s") from None

    def _record(self, term: int, *, acquired: str, renewed: Instant) -> Object:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "acquireTime": acquired,
            "renewTime": _micro_time(renewed.wall),
            "leaseTransitions": term,
        }


def _micro_time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _stop(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
