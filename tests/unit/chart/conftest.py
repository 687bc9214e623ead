"""Renders the chart with the real helm, with no cluster."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import binaries, requirements

CHART = Path(__file__).parents[3] / "charts" / "slipway"
NAMESPACE = "slipway-system"
Object = dict[str, Any]


class Rendered:
    """The objects of a chart, found by kind and name."""

    def __init__(self, text: str) -> None:
        self.objects: list[Object] = [each for each in yaml.safe_load_all(text) if each]

    def all(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Object:
        found = [each for each in self.all(kind) if name in (None, each["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} of {kind} {name}"
        return found[0]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the lab's helm."""
    requirements.require(binaries.missing())
    program = binaries.find()["helm"]

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *args], check=False, capture_output=True, text=True, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Rendered]:
    """Render the chart as `helm install slipway -n slipway-system` would."""

    def run(*args: str, release: str = "slipway") -> Rendered:
        done = helm("template", release, str(CHART), f"--namespace={NAMESPACE}", *args)
        assert done.returncode == 0, done.stderr
        return Rendered(done.stdout)

    return run
