"""A bundle of ready-built programs, downloaded once and believed only by its digest.

``SLIPWAY_LAB_BUNDLE`` names it as ``URL#sha256=DIGEST``: a tar archive, compressed or not, such as
the ones in which Kubernetes' own test assets are published. There is no default, because a
digest that nobody has checked is worth nothing.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Final
from urllib.parse import urldefrag, urlsplit

from lab.errors import BundleError

VARIABLE: Final = "SLIPWAY_LAB_BUNDLE"
_TIMEOUT: Final = 60.0
"""Seconds without a byte."""
_LARGEST: Final = 2 * 1024**3


def fetch(cache: Path, named: str | None = None) -> Path | None:
    """The folder with the bundle's programs, downloaded if need be; None if none is named.

    Raises BundleError: it is named wrongly, cannot be had, or is not what its digest says.
    """
    named = named or os.environ.get(VARIABLE)
    if not named:
        return None
    url, fragment = urldefrag(named)
    digest = fragment.removeprefix("sha256=")
    if urlsplit(url).scheme not in ("http", "https") or len(digest) != 64:
        raise BundleError(named, f"write it as {VARIABLE}=https://...#sha256=DIGEST")
    folder = cache / f"bundle-{digest[:16]}"
    if not folder.exists():
        _download(url, digest, folder)
    return folder


def program(folder: Path, name: str) -> Path | None:
    """Where a program is in an unpacked bundle, at whatever depth."""
    found = sorted(path for path in folder.rglob(name) if path.is_file())
    return found[0] if found else None


def _download(url: str, digest: str, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="bundle-", dir=into.parent))
    try:
        archive = work / "archive"
        found = _save(url, archive)
        if found != digest:
            raise BundleError(url, f"its SHA-256 is {found}, not {digest}; nothing was unpacked")
        with tarfile.open(archive) as tar:
            tar.extractall(work / "unpacked", filter="data")
        (work / "unpacked").rename(into)
    except (OSError, tarfile.TarError) as error:
        if not into.exists():  # a caller at the same time may have been first
            raise BundleError(url, str(error)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _save(url: str, archive: Path) -> str:
    digest = hashlib.sha256()
    # The scheme was checked: http or https.
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, archive.open("wb") as file:  # noqa: S310
        while chunk := answer.read(1 << 20):
            digest.update(chunk)
            file.write(chunk)
            if file.tell() > _LARGEST:
                raise BundleError(url, f"it is larger than {_LARGEST} bytes")
    return digest.hexdigest()
