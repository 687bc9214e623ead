"""A real server on loopback with real TLS, told what to decide by each test."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from admission_wire import Client
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from webhook.admission.limits import Limits
from webhook.admission.server import AdmissionServer
from webhook.mutation.request import Outcome, Request


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Each test runs on the loop of production and on the standard one: their TLS differs."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@dataclass
class Seen:
    """An observer that remembers."""

    reviews: list[tuple[str, str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def reviewed(self, operation: str, kind: str, result: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.reviews.append((operation, kind, result))

    def failed(self, cause: str) -> None:
        self.failures.append(cause)


@dataclass
class Rig:
    """A running server, a client for it, and what a test may change about it."""

    client: Client
    plain: Client
    server: AdmissionServer
    seen: Seen
    mutate: Callable[[Request], Outcome]
    validate: Callable[[Request], Outcome]
    ready: tuple[bool, str] = (True, "")


@asynccontextmanager
async def running(certificate: Path, limits: Limits) -> AsyncIterator[Rig]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=certificate)
    seen = Seen()

    def mutate(request: Request) -> Outcome:
        return rig.mutate(request)

    def validate(request: Request) -> Outcome:
        return rig.validate(request)

    server = AdmissionServer(
        mutate=mutate,
        validate=validate,
        ready=lambda: rig.ready,
        metrics=lambda: (b"slipway_leader 1\n", "text/plain; version=1.0.0"),
        observer=seen,
        limits=limits,
    )
    port = await server.start("127.0.0.1", 0, tls)
    plain = await server.start_plain("127.0.0.1", 0)
    rig = Rig(Client(port, trust), Client(plain, None), server, seen, unchanged, unchanged)
    try:
        yield rig
    finally:
        await server.stop()


def unchanged(request: Request) -> Outcome:
    return Outcome(object=request.object)


@pytest.fixture
def limits() -> Limits:
    """The real limits; a test module may tighten them."""
    return Limits()


@pytest.fixture
async def rig(
    certificate: Path, limits: Limits, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Rig]:
    """A server that has to answer a good review after whatever a test did to it.

    It may have logged no error of its connections, and neither may aiohttp or asyncio.
    """
    with capture_logs() as logs:
        async with running(certificate, limits) as rig:
            yield rig
            rig.mutate = unchanged
            assert await rig.client.is_well(), "the server no longer answers a good review"
    assert not [entry for entry in logs if entry["event"] == "connection_failed"]
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
