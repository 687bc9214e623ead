"""A caBundle: all CAs that the API server trusts for the webhook, old and new."""

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization


def make(certificates: Iterable[x509.Certificate]) -> bytes:
    """Join CAs in one order and each once, so that every replica writes the same bytes."""
    pems = {certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates}
    return b"".join(sorted(pems))


def parse(bundle: bytes) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a bundle, in its order; none from an empty one.

    Raises:
        ValueError: something in it is not a certificate in PEM.

    """
    return tuple(x509.load_pem_x509_certificates(bundle)) if bundle.strip() else ()


def alive(certificates: Iterable[x509.Certificate], now: datetime) -> tuple[x509.Certificate, ...]:
    """Leave out what has expired; what is not valid yet stays, as our clock may be behind."""
    return tuple(each for each in certificates if now < each.not_valid_after_utc)
