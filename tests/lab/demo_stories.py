"""States and stories for the demo's tests, made by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lab.demo.state import Command, Pod, State, Traffic
from lab.demo.story import CONTROLLER, Chapter, Share, Story
from lab.probe import Answer, Report
from webhook.objects.policy import Traffic as Times
from webhook.objects.release import (
    DeploymentRef,
    Phase,
    PolicyRef,
    Release,
    ReleaseSpec,
    ReleaseStatus,
    StableRef,
    Weight,
)
from webhook.objects.steps import Pause, Step
from webhook.objects.strategy import Canary, Strategy

NOW = 1_800_000_000.0
STEPS = (Step(set_weight=25), Step(pause=Pause("2s")), Step(set_weight=50), Step(pause=Pause("2s")))


def release(
    version: str = "v2", stable: str = "v1", *, asked: int = 0, since: float = 1.0, **status: Any
) -> Release:
    """A release whose present stage is in effect for ``since`` seconds."""
    at = datetime.fromtimestamp(NOW - since, UTC)
    spec = ReleaseSpec(
        deployment=DeploymentRef("shop", "1"),
        policy=PolicyRef("ClusterReleasePolicy", "default"),
        version=version,
        revision=f"r-{version}",
        pod_labels={"app": "shop"},
        stable=StableRef("h1", stable, f"r-{stable}"),
        strategy=Strategy(canary=Canary(STEPS)),
        traffic=Times(settle="3s", drain="5s"),
        progress_deadline_seconds=12,
    )
    known = {"stage_since": at, "scaling_since": at, "traffic_left_at": at, "steps": len(STEPS)}
    return Release(
        "shop-2", "shop", spec, ReleaseStatus(weight=Weight(asked=asked), **{**known, **status})
    )


def pod(name: str, version: str, **options: Any) -> Pod:
    """A pod as kube's controller makes it."""
    return Pod(name, version, owner=f"shop-{version}", made_by=CONTROLLER, **options)


def halfway(**changes: Any) -> State:
    """v2 at 50 %, paused; one of its pods is not ready, one of v1's is ending."""
    state = State(
        at=NOW,
        elapsed=65.4,
        commands=(Command("kubectl apply -f v2.yaml", ("deployment.apps/shop configured",), 0),),
        versions=("v1", "v2"),
        pods=(
            pod("a", "v1"),
            pod("b", "v1"),
            pod("c", "v1", ending=True),
            pod("d", "v2"),
            pod("e", "v2", ready=False),
        ),
        release=release(
            asked=50,
            phase=Phase.WAITING,
            stage="pause",
            step=3,
            reason="Paused",
            message="v2 has 50 % of the traffic; pause until 10:00",
        ),
        traffic=Traffic(
            total=12345,
            failed=0,
            rate=200,
            shares={"v1": 0.51, "v2": 0.49},
            history={"v1": (1.0, 0.5), "v2": (0.0, 0.5)},
        ),
    )
    return replace(state, **changes)


def answers(version: str, since: float, seconds: float, *, status: int = 200) -> list[Answer]:
    """A hundred answers a second."""
    times = (since + n / 100 for n in range(int(seconds * 100)))
    return [Answer(at, 0.0, 0.001, status, version, "", reused=True) for at in times]


def chapter(version: str, **changes: Any) -> Chapter:
    """The chapter of v1, v2 or v3 in a demo in which all was well."""
    shares = tuple(Share(weight, weight / 100, 400) for weight in (25, 50, 75, 100))
    good = Chapter(
        version=version,
        outcome={"v1": "", "v2": "Succeeded", "v3": "Aborted"}[version],
        message="",
        seconds=30.0,
        requests=6000,
        failed=0,
        failed_of={},
        answers={"v1": 6000, "v2": 3000, "v3": 0}[version],
        shares=shares if version == "v2" else (),
        rollout=Command("kubectl rollout status", (), 1 if version == "v3" else 0),
        serving={"v1": 1.0} if version == "v1" else {"v2": 1.0},
        strangers=(),
    )
    return replace(good, **changes)


def story(version: str = "v1", **changes: Any) -> Story:
    """A demo in which all was well but what is changed in the chapter of one version."""
    chapters = [chapter(v, **(changes if v == version else {})) for v in ("v1", "v2", "v3")]
    return Story(tuple(chapters), Report(()))
