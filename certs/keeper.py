"""Keeps the webhook's certificates in order for as long as it runs."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from certs import leaf, publish, tls
from certs.authority import Authority
from certs.cluster import Cluster
from certs.leaf import Leaf, Subject
from certs.publish import NotPublishedError
from certs.trust import Source, TrustNotSettledError
from webhook.cluster import errors

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 60.0
"""Seconds between looks. Short, because a suspended machine's timers stand still and its
certificates do not, and because a configuration that was made anew has no caBundle."""


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Material:
    """What the webhook serves with now, and what the API server was told to trust."""

    leaf: Leaf
    ca_bundle: bytes

    @property
    def chain_pem(self) -> bytes:
        """The serving certificate, in PEM."""
        return self.leaf.chain_pem

    @property
    def key_pem(self) -> bytes:
        """Its private key, in PEM."""
        return self.leaf.key_pem

    @property
    def not_after(self) -> datetime:
        """When the serving certificate expires."""
        return self.leaf.not_after


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall clock, sleep and chance; tests bring their own."""

    now: Callable[[], datetime] = _utc
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = field(default=random.random)


class CertificateKeeper:
    """Signs this replica's leaf, keeps it fresh, and keeps the caBundle right.

    ``configuration`` names the MutatingWebhookConfiguration and ValidatingWebhookConfiguration to
    write; None writes none, for a caller that passes ``ca_bundle`` on in its own way.
    ``on_renewal`` is told of each new leaf.
    """

    def __init__(
        self,
        cluster: Cluster,
        source: Source,
        subject: Subject,
        configuration: str | None,
        *,
        on_renewal: Callable[[Material], None] = lambda material: None,
        clock: Clock | None = None,
    ) -> None:
        self._cluster = cluster
        self._source = source
        self._subject = subject
        self._configuration = configuration
        self._on_renewal = on_renewal
        self._clock = clock or Clock()
        self._material: Material | None = None
        self._contexts: list[ssl.SSLContext] = []

    async def ensure(self) -> Material:
        """Look once: CA, caBundle, leaf; change what is not right.

        The bundle goes out before a leaf of a new CA is served, so that the API server trusts
        what it meets. A leaf of the CA in force is renewed whether the bundle can be written or
        not.

        Raises:
            errors.ApiError: the API server; what was there before stays in use.
            TrustNotSettledError, NotPublishedError: others won every race.

        """
        now = self._clock.now()
        trust = await self._source.current(now)
        ca_bundle = trust.ca_bundle(now)
        known = self._material is not None and self._material.leaf.signed_by(trust.authority)
        if known:
            self._serve(trust.authority, ca_bundle, now)
        if self._configuration is not None:
            await publish.publish(self._cluster, self._configuration, ca_bundle)
        return self._serve(trust.authority, ca_bundle, now)

    def _serve(self, authority: Authority, ca_bundle: bytes, now: datetime) -> Material:
        current = self._material.leaf if self._material else None
        if current and now < current.renew_at and current.signed_by(authority):
            self._material = Material(current, ca_bundle)
            return self._material
        fresh = leaf.issue(authority, self._subject, now, self._clock.jitter())
        self._material = Material(fresh, ca_bundle)
        for context in self._contexts:
            tls.load(context, fresh)
        log.info("serving_certificate_issued", not_after=fresh.not_after.isoformat())
        self._on_renewal(self._material)
        return self._material

    def apply_to(self, context: ssl.SSLContext) -> None:
        """Serve with the current leaf on ``context``, and with each later one, while it is in use.

        Raises:
            RuntimeError: ``ensure`` has not been called.

        """
        if self._material is None:
            raise RuntimeError("there is no certificate yet: await ensure() first")
        tls.load(context, self._material.leaf)
        self._contexts.append(context)

    def healthy(self) -> tuple[bool, str]:
        """Whether the leaf is valid now, with the reason if not; for readiness."""
        if self._material is None:
            return False, "no serving certificate yet"
        expiry = self._material.not_after
        if self._clock.now() >= expiry:
            return False, f"the serving certificate expired at {expiry.isoformat()}"
        return True, ""

    async def run(self) -> None:
        """Look every minute, by the wall clock, until cancelled. A failed look is tried again."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            try:
                await self.ensure()
            except (errors.ApiError, TrustNotSettledError, NotPublishedError) as error:
                log.warning("certificate_look_failed", error=str(error))
