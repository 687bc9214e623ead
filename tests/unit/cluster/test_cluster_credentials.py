"""Who we are to the API server: tokens, plugins, certificates, pods, proxies."""

import ipaddress
import os
import ssl
import sys
import time as real_time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fake_api import FakeApi, write_kubeconfig

from webhook.cluster import credentials, errors
from webhook.cluster.client import Client
from webhook.cluster.kinds import DEPLOYMENTS


async def test_a_rotated_token_file_is_read_again_when_refused(
    api: FakeApi, tmp_path: Path
) -> None:
    """A 401 costs one more request, and no error."""
    token = tmp_path / "token"
    token.write_text("old")
    path = write_kubeconfig(tmp_path / "config", api.url, {"tokenFile": str(token)})
    api.tokens = {"new"}
    api.put(DEPLOYMENTS, "web")
    async with await Client.connect(path) as client:
        token.write_text("new")
        await client.get(DEPLOYMENTS, "web", "shop")
    assert api.count("GET") == 2


async def test_a_token_file_is_read_again_before_it_is_refused(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bound tokens are replaced long before they expire."""
    token = tmp_path / "token"
    token.write_text("old")
    path = write_kubeconfig(tmp_path / "config", api.url, {"tokenFile": str(token)})
    async with await Client.connect(path) as client:
        token.write_text("new")
        later = real_time.monotonic() + 61
        monkeypatch.setattr(credentials, "monotonic", lambda: later)
        await client.whoami()
    assert api.seen[-1].headers["Authorization"] == "Bearer new"


async def test_a_token_that_stays_wrong_is_refused_once_more_and_reported(
    api: FakeApi, tmp_path: Path
) -> None:
    """No loop of logins."""
    path = write_kubeconfig(tmp_path / "config", api.url, {"token": "bad"})
    api.tokens = {"good"}
    async with await Client.connect(path) as client:
        with pytest.raises(errors.Unauthorized, match="check the token"):
            await client.whoami()
    assert api.count("POST") == 2


PLUGIN = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text() or 0) + 1
count.write_text(str(number))
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
  "status": {"token": f"t{number}", "expirationTimestamp": "2099-01-01T00:00:00Z"}}))
"""


async def test_a_credential_plugin_is_asked_once_and_again_when_refused(
    api: FakeApi, tmp_path: Path
) -> None:
    """What cloud providers put into a kubeconfig works, without a process for every call."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "count").write_text("")
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(tmp_path / "plugin.py"), str(tmp_path / "count")],
    }
    path = write_kubeconfig(tmp_path / "config", api.url, {"exec": plugin})
    api.tokens = {"t1"}
    async with await Client.connect(path) as client:
        await client.whoami()
        await client.whoami()
        api.tokens = {"t2"}
        await client.whoami()
    assert (tmp_path / "count").read_text() == "2"


async def test_a_missing_kubeconfig_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where it looked and what to give."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(errors.NotConfigured, match=r"nowhere: name one with --kubeconfig"):
        await Client.connect()


@pytest.mark.parametrize("text", ["", "{", "a: b", "clusters: []\ncontexts: []\nusers: []\n"])
async def test_a_broken_kubeconfig_is_an_error_with_its_path(tmp_path: Path, text: str) -> None:
    """Whatever is wrong in the file, no traceback of a library."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(errors.NotConfigured, match=str(path)):
        await Client.connect(path)


async def test_an_unknown_context_is_an_error(api: FakeApi, tmp_path: Path) -> None:
    """A typing error in --context is told as one."""
    path = write_kubeconfig(tmp_path / "config", api.url, {})
    with pytest.raises(errors.NotConfigured, match="no-such-context"):
        await Client.connect(path, "no-such-context")


def test_a_proxy_from_the_environment_is_used_unless_exempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTPS_PROXY and NO_PROXY mean what they mean elsewhere."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "10.96.0.1,.internal")
    assert credentials.proxy_from_environment("https://api.example:6443") == (
        "http://proxy.example:3128"
    )
    assert credentials.proxy_from_environment("https://10.96.0.1:443") is None


# -- TLS ---------------------------------------------------------------------------------------


@dataclass
class Identity:
    certificate: Path
    key: Path


class Authority:
    """A CA that signs what the tests need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        builder = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.file = folder / "ca.crt"
        self.file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, usage: x509.ObjectIdentifier) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        made = Identity(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )


@pytest_asyncio.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[FakeApi, Authority]]:
    """An API server that demands a client certificate, or at least speaks TLS."""
    authority = Authority(tmp_path)
    server = authority.issue("server", ExtendedKeyUsageOID.SERVER_AUTH)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.load_cert_chain(server.certificate, server.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    api = FakeApi([DEPLOYMENTS])
    await api.start(context)
    yield api, authority
    await api.stop()


async def test_a_client_certificate_is_shown_and_the_server_is_checked(
    secure: tuple[FakeApi, Authority], tmp_path: Path
) -> None:
    """As in the kubeconfig that kubeadm writes."""
    api, authority = secure
    me = authority.issue("me", ExtendedKeyUsageOID.CLIENT_AUTH)
    user: dict[str, object] = {
        "client-certificate": str(me.certificate),
        "client-key": str(me.key),
    }
    ca = {"certificate-authority": str(authority.file)}
    trusting = write_kubeconfig(tmp_path / "config", api.url, user, **ca)
    async with await Client.connect(trusting) as client:
        assert await client.whoami() == "slipway"
    doubting = write_kubeconfig(tmp_path / "other", api.url, user)
    async with await Client.connect(doubting) as client:
        with pytest.raises(errors.Unavailable, match="certificate verify failed"):
            await client.whoami()


async def test_in_a_pod_the_mounted_token_is_used(
    secure: tuple[FakeApi, Authority], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has to be configured where the cluster says where it is."""
    api, authority = secure
    (tmp_path / "token").write_text("mounted")
    host, port = api.url.removeprefix("https://").split(":")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    module = "kubernetes_asyncio.config.incluster_config"
    monkeypatch.setattr(f"{module}.SERVICE_TOKEN_FILENAME", os.fspath(tmp_path / "token"))
    monkeypatch.setattr(f"{module}.SERVICE_CERT_FILENAME", os.fspath(authority.file))
    api.tokens = {"mounted"}
    async with await Client.connect() as client:
        assert await client.whoami() == "slipway"
