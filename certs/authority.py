"""The certificate authority that signs what the API server trusts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BACKDATE: Final = timedelta(hours=1)
"""How far a certificate's start lies in the past, for clocks that are behind ours."""
LIFE: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)
"""A CA with less life than this left is replaced; it must be longer than a leaf lives."""


class BadAuthorityError(ValueError):
    """Stored bytes are not a CA certificate with its key; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate and its private key (ECDSA P-256)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, now: datetime) -> Self:
        """Make a new self-signed CA that is valid from an hour before ``now`` for a year."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = now.replace(microsecond=0)  # certificates count whole seconds
        serial = x509.random_serial_number()
        # The serial in the name keeps an old and a new CA apart where clients search by name.
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"slipway CA {serial:040x}"[:64])]
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> Self:
        """Read a CA back from PEM.

        Raises:
            BadAuthorityError: not PEM, not a CA, another kind of key, or not this key's.

        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            key = serialization.load_pem_private_key(key_pem, password=None)
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        except (ValueError, TypeError, x509.ExtensionNotFound) as error:
            raise BadAuthorityError(f"not a CA certificate and key in PEM: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadAuthorityError("the CA's key is not an elliptic curve key")
        if certificate.public_key() != key.public_key():
            raise BadAuthorityError("the CA's key does not belong to its certificate")
        if not constraints.value.ca:
            raise BadAuthorityError("the certificate is not a CA's")
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate, in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, in PEM, not encrypted."""
        return private_pem(self.key)

    def usable(self, now: datetime) -> bool:
        """Whether it is valid and has enough life left to sign with."""
        start, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return start <= now < end - RENEW_BEFORE


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a private key as PKCS #8 in PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


_SIGNS: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
