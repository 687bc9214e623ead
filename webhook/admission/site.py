"""What all connections of the server share: routes, limits, and who is connected."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from webhook.admission.answer import Answer, refusal
from webhook.admission.limits import Limits
from webhook.admission.observer import Observer

Handler = Callable[[bytes], Answer]

RETRY_SOON: Final = (("Retry-After", "1"),)


class Route(NamedTuple):
    """What is served at one path. Handlers are short and synchronous: no threads, no tasks."""

    handle: Handler
    methods: tuple[bytes, ...] = (b"GET", b"HEAD")
    takes_review: bool = False
    """Whether the request has to bring a JSON body."""


class Peer(Protocol):
    """A connection as far as the site has to know it."""

    since: float
    reading: bool

    def check_time(self, now: float) -> None:
        """Act on whatever took too long; ``now`` is the loop's clock."""
        ...

    def close(self) -> None:
        """Send what is still to be sent and close."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


@dataclass(slots=True)
class Site:
    """State shared by the connections of one listener."""

    routes: Mapping[str, Route]
    """What is served, by path."""
    limits: Limits
    observer: Observer
    draining: bool = False
    """True: every answer tells the client to leave."""
    peers: set[Peer] = field(default_factory=set)
    in_flight: int = 0
    buffered: int = 0
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the last connection has gone."""

    def welcome(self, peer: Peer) -> bool:
        """Take a new connection; where all seats are taken, the longest idle one leaves."""
        if len(self.peers) >= self.limits.connections:
            idle = [other for other in self.peers if not other.reading]
            if not idle:
                return False
            oldest = min(idle, key=lambda other: other.since)
            self.peers.discard(oldest)
            oldest.abort()
        self.peers.add(peer)
        self.empty.clear()
        return True

    def farewell(self, peer: Peer) -> None:
        """Forget a closed connection."""
        self.peers.discard(peer)
        if not self.peers:
            self.empty.set()

    async def leave(self, seconds: float) -> bool:
        """Close idle connections now, and busy ones as they answer; False if that took longer."""
        self.draining = True
        for peer in [peer for peer in self.peers if not peer.reading]:
            peer.close()
        if not self.peers:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.empty.wait(), seconds)
        return not self.peers

    def reserve(self, size: int) -> Answer | None:
        """Claim memory for an arriving review, or return the refusal."""
        limits = self.limits
        if self.in_flight >= limits.in_flight or self.buffered + size > limits.buffered:
            self.observer.failed("overload")
            return refusal(429, "too many reviews at once; try again", RETRY_SOON)
        self.in_flight += 1
        self.buffered += size
        return None

    def release(self, size: int) -> None:
        """Give back what `reserve` claimed."""
        self.in_flight -= 1
        self.buffered -= size
