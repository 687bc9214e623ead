"""The keys, certificates and tokens of one lab: made anew for each, valid for some days."""

import base64
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

API_SERVER: Final = "https://127.0.0.1:6443"
"""Where the API server is, inside a lab."""

_LIFE: Final = timedelta(days=7)
_NAMES: Final = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_ADDRESSES: Final = ("127.0.0.1", "10.96.0.1")


@dataclass(frozen=True, slots=True)
class Pki:
    """Where everything is; ``admin_token`` belongs to a user in the group system:masters."""

    ca: Path
    server_cert: Path
    server_key: Path
    account_key: Path
    tokens: Path
    admin_token: str
    admin_kubeconfig: Path


def make(folder: Path) -> Pki:
    """Write a CA, the API server's leaf, the ServiceAccount key, tokens and a kubeconfig."""
    folder.mkdir(mode=0o700)
    token = secrets.token_urlsafe(24)
    pki = Pki(
        ca=folder / "ca.crt",
        server_cert=folder / "apiserver.crt",
        server_key=folder / "apiserver.key",
        account_key=folder / "service-accounts.key",
        tokens=folder / "tokens.csv",
        admin_token=token,
        admin_kubeconfig=folder / "admin.kubeconfig",
    )
    _write_certificates(pki)
    _write_key(pki.account_key, ec.generate_private_key(ec.SECP256R1()))
    pki.tokens.write_text(f'{token},admin,admin,"system:masters"\n')
    write_kubeconfig(pki.admin_kubeconfig, pki.ca, token)
    return pki


def write_kubeconfig(
    path: Path, ca: Path, token: str, server: str = API_SERVER, namespace: str = "default"
) -> Path:
    """Write a kubeconfig with one context for a bearer token, with the CA inline; return it."""
    data = base64_of(ca)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [
            {"name": "lab", "cluster": {"server": server, "certificate-authority-data": data}}
        ],
        "users": [{"name": "lab", "user": {"token": token}}],
        "contexts": [
            {"name": "lab", "context": {"cluster": "lab", "user": "lab", "namespace": namespace}}
        ],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))
    return path


def base64_of(file: Path) -> str:
    """The base64 of a file, as kubeconfigs and webhook configurations carry it."""
    return base64.b64encode(file.read_bytes()).decode()


def _write_certificates(pki: Pki) -> None:
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "slipway-lab-ca")])
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kube-apiserver")])
    names: list[x509.GeneralName] = [x509.DNSName(dns) for dns in _NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    leaf = (
        _certificate(name, ca_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pki.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    pki.server_cert.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    _write_key(pki.server_key, key)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + _LIFE)
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,  # PKCS8 is not read as an account key
            serialization.NoEncryption(),
        )
    )
