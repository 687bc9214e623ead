"""Ready-built programs by download: only what the digest promises is used."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab import binaries, bundle
from lab.errors import BundleError


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


WHOLE = archive(
    {
        **{f"controller-tools/envtest/{name}": b"#!/bin/sh\n" for name in binaries.CONTROL_PLANE},
        "crds/gateways.yaml": b"kind: CustomResourceDefinition\n",
    }
)
DIGEST = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback with one file; notes what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(WHOLE)))
            self.end_headers()
            self.wfile.write(WHOLE)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/bundle.tar.gz", asked
        running.shutdown()
        thread.join()


def test_a_bundle_with_the_right_digest_is_downloaded_once_and_used(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Go and no cache are needed where the bundle has everything."""
    url, asked = server
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    monkeypatch.setenv(bundle.VARIABLE, f"{url}#sha256={DIGEST}")
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("PATH", "")
    first, second = binaries.find(), binaries.find()
    assert first == second
    assert Path(first["etcd"]).read_bytes() == b"#!/bin/sh\n"
    assert (first.gateway_crds / "gateways.yaml").exists()
    assert len(asked) == 1


def test_a_bundle_that_is_not_what_its_digest_says_is_refused(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Nothing of it is unpacked or kept."""
    with pytest.raises(BundleError, match="nothing was unpacked"):
        bundle.fetch(tmp_path, f"{server[0]}#sha256={'0' * 64}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "named", ["https://example/b.tgz", "file:///etc/passwd#sha256=" + "0" * 64]
)
def test_a_bundle_is_named_by_url_and_digest(tmp_path: Path, named: str) -> None:
    """Without a digest, or from elsewhere than the web, it is not fetched at all."""
    with pytest.raises(BundleError, match="write it as"):
        bundle.fetch(tmp_path, named)


def test_without_a_name_there_is_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual case: programs come from the cache or are built."""
    monkeypatch.delenv(bundle.VARIABLE, raising=False)
    assert bundle.fetch(tmp_path) is None
