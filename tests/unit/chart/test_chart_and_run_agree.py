"""`slipway run` configures the API server as the chart does."""

from collections.abc import Callable
from typing import Any

import pytest

from webhook.cluster import install

WHERE = {"clientConfig", "namespaceSelector"}
"""What differs on purpose: where the webhook is, and which namespaces are Slipway's own."""


@pytest.mark.parametrize(
    ("kind", "of_run"),
    [
        ("MutatingWebhookConfiguration", install.mutating()),
        ("ValidatingWebhookConfiguration", install.validating()),
    ],
)
def test_run_asks_for_the_same_writes_as_the_chart(
    render: Callable[..., Any], kind: str, of_run: list[dict[str, Any]]
) -> None:
    """Rules, conditions, time-outs and policies are equal, webhook by webhook."""
    of_chart = render().one(kind)["webhooks"]
    assert [comparable(w) for w in of_run] == [comparable(w) for w in of_chart]


def comparable(webhook: dict[str, Any]) -> dict[str, Any]:
    """A webhook without where it is, and with folded white space in its conditions."""
    kept = {key: value for key, value in webhook.items() if key not in WHERE}
    kept["matchConditions"] = [
        {**condition, "expression": " ".join(condition["expression"].split())}
        for condition in webhook.get("matchConditions", ())
    ]
    return kept


def test_run_brings_the_crds_of_the_chart() -> None:
    """The package finds the very files that Helm installs."""
    names = {crd["metadata"]["name"] for crd in install.crds()}
    assert names == {
        "clusterreleasepolicies.slipway.dev",
        "releasepolicies.slipway.dev",
        "releases.slipway.dev",
    }
