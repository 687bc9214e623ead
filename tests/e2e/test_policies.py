"""What the real API server takes as a policy, and what it refuses before it is stored."""

from typing import Any

import pytest

from lab.cluster import Lab, as_yaml
from lab.slipway import Slipway

pytestmark = pytest.mark.e2e

EVERYTHING: dict[str, Any] = {
    "match": {"objectSelector": {"matchLabels": {"team": "shop"}}},
    "strategy": {
        "canary": {
            "maxExtraPods": "25%",
            "stickiness": {"cookieName": "seen", "ttl": "2h"},
            "steps": [
                {"setCanaryScale": {"replicas": 2}},
                {"setCanaryScale": {"percent": 50}},
                {"setCanaryScale": {"weight": 50}},
                {"setCanaryScale": {"matchTrafficWeight": True}},
                {
                    "setHeaderRoute": {
                        "name": "testers",
                        "match": [
                            {"headerName": "X-Team", "headerValue": {"prefix": "qa-"}},
                            {"cookieName": "team", "cookieValue": {"regex": "qa|dev"}},
                        ],
                    }
                },
                {"setHeaderRoute": {"name": "testers"}},
                {
                    "setMirrorRoute": {
                        "name": "copy",
                        "percentage": 10,
                        "match": [
                            {
                                "method": {"exact": "GET"},
                                "path": {"prefix": "/api"},
                                "headers": {"X-Team": {"exact": "qa"}},
                            }
                        ],
                    }
                },
                {"analysis": {"templates": [{"templateName": "smoke"}]}},
                {"pause": {}},
                {"pause": {"duration": "1m30s"}},
                {"setWeight": 50},
            ],
        }
    },
    "traffic": {
        "settle": "2s",
        "drain": "10s",
        "routes": {"include": [{"kind": "HTTPRoute"}], "exclude": [{"name": "admin"}]},
    },
    "promotion": "Manual",
    "rollbackWindow": {"revisions": 3},
    "config": {"guard": True},
    "progressDeadline": "5m",
    "guardrails": {
        "onUnguardable": "Deny",
        "onSharedService": "Deny",
        "onUnsupportedStep": "Skip",
    },
    "revisionHistoryLimit": 3,
}
GREEN: dict[str, Any] = {
    "strategy": {
        "blueGreen": {
            "preview": {
                "host": "next.shop.example",
                "headerRoute": {
                    "name": "testers",
                    "match": [{"headerName": "X-Team", "headerValue": {"exact": "qa"}}],
                },
            },
            "previewReplicaCount": 1,
            "autoPromotionEnabled": False,
            "autoPromotionSeconds": 60,
            "prePromotionAnalysis": {"templates": [{"templateName": "smoke"}]},
            "postPromotionAnalysis": {"templates": [{"templateName": "errors"}]},
            "scaleDownDelaySeconds": 5,
        }
    }
}
SAME = {"headerName": "a", "headerValue": {"exact": "b"}, "cookieName": "c"}
NONSENSE: dict[str, tuple[dict[str, Any], str]] = {
    "two strategies": ({"canary": {}, "none": {}}, "exactly one of canary, blueGreen, none"),
    "two kinds of step in one": (
        {"canary": {"steps": [{"setWeight": 1, "pause": {}}]}}, "must have at most 1",
    ),
    "a step of nothing": ({"canary": {"steps": [{}]}}, "at least 1"),
    "a weight above all": ({"canary": {"steps": [{"setWeight": 101}]}}, "less than or equal"),
    "a budget of nothing": ({"canary": {"maxExtraPods": 0}}, "maxExtraPods is a number from 1"),
    "a budget in words": ({"canary": {"maxExtraPods": "some"}}, "maxExtraPods is a number from 1"),
    "a header and a cookie in one": (
        {"canary": {"steps": [{"setHeaderRoute": {"name": "x", "match": [SAME]}}]}},
        "headerName and headerValue, or cookieName and cookieValue",
    ),
    "a misspelt field": ({"blueGreen": {"autoPromotion": True}}, "autoPromotion"),
}  # fmt: skip


@pytest.mark.parametrize("spec", [EVERYTHING, GREEN], ids=["canary", "blue-green"])
def test_the_api_server_takes_every_field_that_the_documentation_names(
    lab: Lab, guarded: Slipway, spec: dict[str, Any]
) -> None:
    """Stored as written, and readable for Slipway: its webhook refuses what it can't read."""
    namespace = lab.namespace("policies")
    lab.apply([body(namespace, spec)])
    stored = lab.get("releasepolicies", "own", namespace)["spec"]
    assert {key: stored[key] for key in spec if key != "match"} == {
        key: value for key, value in spec.items() if key != "match"
    }


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_in_a_policy_is_refused_with_a_reason(
    lab: Lab, guarded: Slipway, what: str
) -> None:
    """Before it is stored, in words that say what would be right."""
    strategy, reason = NONSENSE[what]
    manifest = as_yaml([body(lab.namespace("policies"), {"strategy": strategy})])
    done = lab.kubectl("apply", "-f", "-", input=manifest, check=False)
    assert done.returncode != 0
    assert reason in done.stderr, done.stderr


def body(namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The policy as its user writes it."""
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": "own", "namespace": namespace},
        "spec": spec,
    }
