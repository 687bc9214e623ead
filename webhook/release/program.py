"""What a release does, step by step: its strategy as one list of steps, and what holds at each.

Blue-green, an approval before the promotion and a budget for extra pods become steps like any
others, so that the engine knows one kind of progress.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from math import ceil

from webhook.objects.duration import parse_duration
from webhook.objects.intent import Share, Sticky
from webhook.objects.release import ReleaseSpec, Routing
from webhook.objects.steps import AnalysisStep, CanaryScale, HeaderRoute, MirrorRoute, Pause, Step
from webhook.objects.strategy import BlueGreen, Canary, Strategy

UNTIL_APPROVED = Step(pause=Pause())


def steps_of(spec: ReleaseSpec) -> tuple[Step, ...]:
    """Every step of a release, those that its strategy only implies included."""
    strategy = spec.strategy
    approval = (UNTIL_APPROVED,) if spec.promotion == "Manual" else ()
    if strategy.blue_green:
        return _with_approval(_of_blue_green(strategy.blue_green), approval)
    canary = strategy.canary or Canary(steps=())
    steps = _with_approval(canary.steps, approval)
    if canary.max_extra_pods is not None and canary.steps:
        # The whole new side has room only once the old one has shrunk, which needs the traffic.
        return (*steps, Step(set_weight=100))
    return steps


def _with_approval(steps: tuple[Step, ...], approval: tuple[Step, ...]) -> tuple[Step, ...]:
    return steps if steps[-1:] == approval else (*steps, *approval)


def _of_blue_green(strategy: BlueGreen) -> tuple[Step, ...]:
    count = strategy.preview_replica_count
    scale = CanaryScale(percent=100) if count is None else CanaryScale(replicas=count)
    steps = [Step(set_canary_scale=scale)]
    if strategy.preview.header_route:
        steps.append(Step(set_header_route=strategy.preview.header_route))
    if strategy.pre_promotion_analysis:
        steps.append(Step(analysis=strategy.pre_promotion_analysis))
    if not strategy.auto_promotion_enabled:
        seconds = strategy.auto_promotion_seconds
        steps.append(Step(pause=Pause(None if seconds is None else f"{seconds}s")))
    return tuple(steps)


def post_promotion(strategy: Strategy) -> AnalysisStep | None:
    """What is looked at after the switch, while the old pods are still there."""
    return strategy.blue_green.post_promotion_analysis if strategy.blue_green else None


def weight_at(steps: Sequence[Step], index: int) -> int:
    """The weight in percent that holds at a step: the last one that was set."""
    weights = [step.set_weight for step in steps[: index + 1] if step.set_weight is not None]
    return weights[-1] if weights else 0


def scale_at(steps: Sequence[Step], index: int) -> CanaryScale | None:
    """The number of new pods that a step asks for; None where the weight decides."""
    asked = [s.set_canary_scale for s in steps[: index + 1] if s.set_canary_scale is not None]
    return asked[-1] if asked and not asked[-1].match_traffic_weight else None


def routing_at(spec: ReleaseSpec, steps: Sequence[Step], index: int) -> Routing:
    """Header, cookie and mirror routes and the preview that hold at a step."""
    headers: dict[str, HeaderRoute] = {}
    mirrors: dict[str, MirrorRoute] = {}
    for step in steps[: index + 1]:
        if header := step.set_header_route:
            headers.pop(header.name, None)
            if header.match:
                headers[header.name] = header
        if mirror := step.set_mirror_route:
            mirrors.pop(mirror.name, None)
            if mirror.percentage:
                mirrors[mirror.name] = mirror
    green = spec.strategy.blue_green
    preview = green.preview.host if green else None
    return Routing(tuple(headers.values()), tuple(mirrors.values()), preview or "")


def routing_needed(spec: ReleaseSpec) -> Routing:
    """Everything that routes will be asked to carry at some step: what they must be able to."""
    steps = steps_of(spec)
    headers = [s.set_header_route for s in steps if s.set_header_route and s.set_header_route.match]
    mirrors = [
        s.set_mirror_route for s in steps if s.set_mirror_route and s.set_mirror_route.percentage
    ]
    return Routing(tuple(headers), tuple(mirrors), routing_at(spec, steps, 0).preview)


def shares_needed(spec: ReleaseSpec, roots: Iterable[str]) -> dict[str, Share]:
    """What routes to these Services will be asked to carry, all in all."""
    routing = routing_needed(spec)
    return {
        root: Share(
            canary=f"{root}-canary",
            weight=50,
            headers=routing.headers,
            mirrors=routing.mirrors,
            sticky=sticky_of(spec, spec.revision),
            preview=routing.preview,
        )
        for root in roots
    }


def sticky_of(spec: ReleaseSpec, value: str) -> Sticky | None:
    """The cookie that keeps users where they were, while the new version has a share.

    ``value`` is the new version's own: a cookie outlives the release that set it.
    """
    wanted = spec.strategy.canary.stickiness if spec.strategy.canary else None
    if wanted is None:
        return None
    return Sticky(wanted.cookie_name, round(parse_duration(wanted.ttl).total_seconds()), value)


def pods_for(weight: int, replicas: int, *, routed: bool) -> int:
    """How many new pods a weight needs beside the whole stable side.

    With routes, the share of ``replicas`` that the weight is. By pod count, so many that their
    share of all pods is nearest: n / (replicas + n); half of the traffic is the most.
    """
    if routed:
        return max(1, ceil(replicas * weight / 100))
    if weight >= 50:
        return replicas
    return min(replicas, max(1, round(replicas * weight / (100 - weight))))


def pods_within(weight: int, replicas: int) -> int:
    """How many new pods a weight needs where the stable side shrinks by as many."""
    return max(1, ceil(replicas * weight / 100))


def scaled(scale: CanaryScale, replicas: int) -> int:
    """How many pods ``setCanaryScale`` means; never more than the Deployment has."""
    if scale.replicas is not None:
        return min(scale.replicas, replicas)
    return min(replicas, ceil(replicas * (scale.share or 0) / 100))


def extra_pods(strategy: Strategy, replicas: int) -> int | None:
    """The budget for pods beside ``replicas``; None without one.

    At least 1, and at least a hundredth: a weight is a whole percent, and smaller portions of
    pods would not move on.
    """
    asked = strategy.canary.max_extra_pods if strategy.canary else None
    if asked is None:
        return None
    pods = ceil(replicas * int(asked[:-1]) / 100) if isinstance(asked, str) else asked
    return max(1, pods, ceil(replicas / 100))


def keep_for(strategy: Strategy) -> timedelta:
    """How long the old pods are kept after the switch."""
    green = strategy.blue_green
    return timedelta(seconds=green.scale_down_delay_seconds if green else 0)
