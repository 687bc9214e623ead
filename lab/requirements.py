"""Whether a lab can run here: tests skip with the reason, except where skipping is cheating."""

import os

import pytest

from lab import binaries, network


def missing() -> str | None:
    """Why a lab cannot run on this machine, or None if it can."""
    return binaries.missing() or network.missing()


def require(reason: str | None) -> None:
    """Skip the present test for ``reason``, if there is one; with ``CI=true``, fail it."""
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"may not be skipped in CI: {reason}", pytrace=False)
    pytest.skip(reason)
