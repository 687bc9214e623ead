"""The short-lived certificate that one replica of the webhook serves with."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.authority import BACKDATE, Authority, private_pem

LIFE: Final = timedelta(days=7)
RENEW_AT: Final = 2 / 3
"""The part of its life after which a leaf is renewed."""
JITTER: Final = 0.1
"""The part of its life by which renewals of several replicas are spread, to the early side."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The names and addresses under which the API server calls the webhook."""

    dns: tuple[str, ...] = ()
    ips: tuple[IPv4Address | IPv6Address, ...] = ()

    def __post_init__(self) -> None:
        if not self.dns and not self.ips:
            raise ValueError("a serving certificate needs a DNS name or an IP address")

    @classmethod
    def of_service(cls, name: str, namespace: str) -> Self:
        """All names of a Service; the API server uses ``name.namespace.svc``."""
        base = f"{name}.{namespace}"
        return cls((f"{base}.svc", f"{base}.svc.cluster.local", base, name))


@dataclass(frozen=True, slots=True)
class Leaf:
    """A serving certificate with its key; ``renew_at`` is when the next one is due."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    renew_at: datetime

    @property
    def not_after(self) -> datetime:
        """When it expires."""
        return self.certificate.not_valid_after_utc

    @property
    def chain_pem(self) -> bytes:
        """The certificate in PEM; the CA signs it directly, so it is the whole chain."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, in PEM, not encrypted."""
        return private_pem(self.key)

    def signed_by(self, authority: Authority) -> bool:
        """Whether this CA, and not only one of the same name, signed it."""
        ours = self.certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        theirs = x509.SubjectKeyIdentifier.from_public_key(authority.key.public_key())
        return ours.value.key_identifier == theirs.digest


def issue(authority: Authority, subject: Subject, now: datetime, jitter: float = 0.0) -> Leaf:
    """Sign a new serving certificate for a week, or until the CA expires if that is sooner.

    ``jitter`` in [0, 1) moves the renewal to the early side by up to ``JITTER`` of the life.
    """
    now = now.replace(microsecond=0)
    end = min(now + LIFE, authority.certificate.not_valid_after_utc)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slipway webhook")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
        .add_extension(_alternatives(subject), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SERVES, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return Leaf(certificate, key, renewal(now, end, jitter))


def renewal(start: datetime, end: datetime, jitter: float) -> datetime:
    """When a certificate that lives from ``start`` to ``end`` is renewed."""
    return start + (end - start) * (RENEW_AT - JITTER * jitter)


def _alternatives(subject: Subject) -> x509.SubjectAlternativeName:
    dns = [x509.DNSName(name) for name in subject.dns]
    ips = [x509.IPAddress(address) for address in subject.ips]
    return x509.SubjectAlternativeName([*dns, *ips])


_SERVES: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
