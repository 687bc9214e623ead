"""Slipway on a lab runs as its chart says, with the rights that its chart gives."""

from collections.abc import Iterator

import pytest

from lab import requirements, slipway
from lab.cluster import Lab
from lab.shop import Shop
from lab.slipway import Slipway

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def installed() -> Iterator[Slipway]:
    requirements.require(requirements.missing())
    with Lab.start() as lab:
        yield slipway.install(lab)


def test_the_chart_guards_deployments_by_its_service(installed: Slipway) -> None:
    """A plain Deployment passes through the webhook, called by Service with the chart's CA."""
    shop = Shop.open(installed.lab, installed.lab.namespace("guarded"))
    shop.wait_rolled_out()
    (pod,) = shop.pods()
    assert pod["metadata"]["labels"]["slipway.dev/version"] == "v1"


def test_with_the_webhook_killed_applies_succeed_and_it_guards_again_after_a_restart(
    installed: Slipway,
) -> None:
    """One process is ended with no warning and started again; the other lives on."""
    installed.webhook.kill()
    unguarded = Shop.open(installed.lab, installed.lab.namespace("unguarded"))
    unguarded.wait_rolled_out()
    assert "slipway.dev/version" not in unguarded.pods()[0]["metadata"]["labels"]
    assert installed.reconciler.process is not None
    assert installed.reconciler.process.alive
    installed.webhook.start()
    installed.webhook.wait_ready()
    guarded = Shop.open(installed.lab, installed.lab.namespace("guarded"))
    guarded.wait_rolled_out()
    assert guarded.pods()[0]["metadata"]["labels"]["slipway.dev/version"] == "v1"


def test_processes_run_with_the_rights_of_the_charts_account(installed: Slipway) -> None:
    """What the chart does not grant is forbidden: the token is not an admin's."""
    lab = installed.lab
    config = lab.service_account_kubeconfig(slipway.NAMESPACE, "slipway")
    env = {"KUBECONFIG": str(config)}
    may = lab.run(
        [lab.binaries["kubectl"], "auth", "can-i", "delete", "nodes"], env=env, check=False
    )
    assert may.stdout.strip() == "no"
    who = lab.run([lab.binaries["kubectl"], "auth", "whoami", "-o", "json"], env=env).stdout
    assert "system:serviceaccount:slipway-system:slipway" in who
