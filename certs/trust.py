"""Where the CA comes from: a Secret that all replicas share, or this process alone."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import structlog
from cryptography import x509

from certs import bundle
from certs.authority import Authority, BadAuthorityError
from certs.cluster import Cluster
from webhook import names
from webhook.cluster import errors
from webhook.cluster.kinds import SECRETS, Object

log = structlog.get_logger(__name__)

CERTIFICATE: Final = "ca.crt"
KEY: Final = "ca.key"
PREVIOUS: Final = "previous-ca.crt"
"""Keys of the Secret. ``previous-ca.crt`` may hold several, and leaves them as they expire."""

ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Trust:
    """The CA to sign with, and the older ones that are still to be trusted."""

    authority: Authority
    previous: tuple[x509.Certificate, ...] = ()

    def ca_bundle(self, now: datetime) -> bytes:
        """All CAs that are to be trusted at ``now``."""
        return bundle.make((self.authority.certificate, *bundle.alive(self.previous, now)))


class Source(Protocol):
    """Gives the CA that is in force, and makes a new one where none is usable."""

    async def current(self, now: datetime) -> Trust:
        """Return the CA in force; asked again at every look."""
        ...


class TrustNotSettledError(RuntimeError):
    """The CA's Secret kept changing under our writes."""


class EphemeralAuthority:
    """A CA in memory, for one process that may not write Secrets."""

    def __init__(self) -> None:
        self._trust: Trust | None = None

    async def current(self, now: datetime) -> Trust:
        """Return the CA of this process; the first call makes it."""
        if self._trust is None:
            self._trust = Trust(Authority.create(now))
        elif not self._trust.authority.usable(now):
            self._trust = _successor(self._trust, now)
        return self._trust


class SecretAuthority:
    """The CA in a Secret; the replica that comes first makes it, and all sign with it."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name

    async def current(self, now: datetime) -> Trust:
        """Read the CA, and make or replace it if there is none that can be used.

        Raises:
            errors.Forbidden: Secrets may not be read or written; ``EphemeralAuthority`` needs none.
            TrustNotSettledError: others won every race.

        """
        for _ in range(ATTEMPTS):
            trust = await self._attempt(now)
            if trust is not None:
                return trust
        raise TrustNotSettledError(
            f"Secret {self._namespace}/{self._name} changed at each of {ATTEMPTS} attempts to "
            "write a CA into it; is something else writing it?"
        )

    async def _attempt(self, now: datetime) -> Trust | None:
        """Read or write once; None if another replica was faster."""
        try:
            secret = await self._cluster.get(SECRETS, self._name, self._namespace)
        except errors.NotFound:
            return await self._create(now)
        found = self._read(secret)
        if found is not None and found.authority.usable(now):
            return found
        return await self._replace(secret, found, now)

    async def _create(self, now: datetime) -> Trust | None:
        trust = Trust(Authority.create(now))
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self._name,
                "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER},
            },
            "type": "Opaque",
            "data": _data(trust, now),
        }
        try:
            await self._cluster.create(SECRETS, body, self._namespace)
        except errors.AlreadyExists:
            return None
        log.info("certificate_authority_created", secret=self._name, namespace=self._namespace)
        return trust

    async def _replace(self, secret: Object, found: Trust | None, now: datetime) -> Trust | None:
        trust = _successor(found, now) if found else Trust(Authority.create(now))
        version = secret["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "data": _data(trust, now)}
        try:
            await self._cluster.patch(SECRETS, self._name, body, self._namespace)
        except (errors.Conflict, errors.NotFound):
            return None
        log.info("certificate_authority_replaced", secret=self._name, namespace=self._namespace)
        return trust

    def _read(self, secret: Object) -> Trust | None:
        data = secret.get("data") or {}
        try:
            authority = Authority.load(_decode(data, CERTIFICATE), _decode(data, KEY))
            return Trust(authority, bundle.parse(_decode(data, PREVIOUS)))
        except (BadAuthorityError, ValueError) as error:
            log.warning("certificate_authority_unusable", secret=self._name, error=str(error))
            return None


def _successor(trust: Trust, now: datetime) -> Trust:
    """Make a new CA beside the old ones, whose leaves are still being served."""
    return Trust(Authority.create(now), (trust.authority.certificate, *trust.previous))


def _data(trust: Trust, now: datetime) -> dict[str, str]:
    parts = {
        CERTIFICATE: trust.authority.certificate_pem,
        KEY: trust.authority.key_pem,
        PREVIOUS: bundle.make(bundle.alive(trust.previous, now)),
    }
    return {key: base64.b64encode(value).decode() for key, value in parts.items()}


def _decode(data: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(data.get(key) or "", validate=True)
    except (binascii.Error, TypeError) as error:
        raise ValueError(f"{key} is not base64: {error}") from error
