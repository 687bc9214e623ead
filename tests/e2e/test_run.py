"""`slipway run`: both programs in one process, against a cluster that knows nothing of Slipway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import requirements
from lab.cluster import Lab
from lab.processes import Process
from tests.e2e.app import App
from tests.e2e.conftest import PROGRAM, open_scene
from tests.e2e.pace import TRAFFIC

pytestmark = pytest.mark.e2e

CONFIGURATIONS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


@pytest.fixture(scope="module")
def bare_lab() -> Iterator[Lab]:
    requirements.require(requirements.missing())
    with Lab.start() as running:
        yield running


def start(lab: Lab) -> Process:
    argv = [PROGRAM, "run", "--kubeconfig", str(lab.kubeconfig), "--listen", "127.0.0.1:9443"]
    process = lab.spawn("slipway-run", argv)
    process.wait_until(lambda: '"running"' in log_of(lab), 40, "running")
    return process


def log_of(lab: Lab) -> str:
    file: Path = lab.folder / "logs" / "slipway-run.log"
    return file.read_text() if file.exists() else ""


def test_run_guards_any_cluster_and_takes_its_configuration_away_at_the_end(bare_lab: Lab) -> None:
    """CRDs, certificate and configuration by URL come and go; the release between is guarded."""
    process = start(bare_lab)
    app = App(bare_lab.namespace("run"))
    policy = {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": "quick", "namespace": app.namespace},
        "spec": {
            "strategy": {"canary": {"steps": [{"setWeight": 50}]}},
            "traffic": TRAFFIC,
        },
    }
    bare_lab.apply([policy])
    shop = open_scene(bare_lab, app, "httproute", rate=150)
    said = shop.apply("v2")
    assert "under ReleasePolicy quick" in said
    shop.wait_for("v2", "Succeeded")
    report = shop.end()
    shop.assert_share_never_falls(report, "v2")

    process.stop(grace=20)
    for kind in CONFIGURATIONS:
        assert bare_lab.find(kind, "slipway-run") is None
    assert "Traceback" not in log_of(bare_lab)
    bare_lab.apply([app.having(name="later").deployment("v1")])  # nobody is called any more
