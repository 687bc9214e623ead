"""Random policies, as raw objects that `webhook.objects.policy` can read."""

from __future__ import annotations

import random
from typing import Any

from tests.simulation import shop
from webhook.objects.intent import Share, Split
from webhook.objects.steps import HeaderMatch, HeaderRoute, StringMatch
from webhook.traffic import httproute

Spec = dict[str, Any]


def _carry_more() -> bool:
    """Whether routers can carry headers, mirrors and previews beside the weight."""
    header = HeaderMatch(header_name="x", header_value=StringMatch(exact="y"))
    share = Share("web-canary", 0, headers=(HeaderRoute("people", (header,)),))
    plain = Share("web-canary", 0)
    route = shop.http_route("web", ("web",))
    shown = [httproute.project(route, Split(shares={"web": s}))["spec"] for s in (share, plain)]
    return bool(shown[0] != shown[1])


CARRY_MORE = _carry_more()


def random_policy(dice: random.Random, settle: int, drain: int, *, everything: bool) -> Spec:
    """The ``spec`` of a policy."""
    spec: Spec = {
        "strategy": random_strategy(dice, everything=everything),
        "traffic": {"settle": f"{settle}ms", "drain": f"{drain}ms"},
        "revisionHistoryLimit": dice.choice((0, 1, 10)),
    }
    if dice.random() < 0.3:
        spec["progressDeadline"] = dice.choice(("15s", "2m"))
    if everything and dice.random() < 0.25:
        spec["promotion"] = "Manual"
    if everything and dice.random() < 0.25:
        spec["rollbackWindow"] = {"revisions": dice.choice((1, 2))}
    if everything and dice.random() < 0.25:
        spec["guardrails"] = {"onSharedService": "Deny", "onUnsupportedStep": "Skip"}
    return spec


def random_strategy(dice: random.Random, *, everything: bool) -> Spec:
    if everything and dice.random() < 0.25:
        return {"blueGreen": _blue_green(dice)}
    canary: Spec = {"steps": [_step(dice, everything=everything) for _ in range(dice.randrange(5))]}
    if everything and dice.random() < 0.25:
        canary["maxExtraPods"] = dice.choice((1, 2, "25%", "50%"))
    if everything and dice.random() < 0.15 and CARRY_MORE:
        canary["stickiness"] = {}
    return {"canary": canary}


def _step(dice: random.Random, *, everything: bool) -> Spec:
    if everything and dice.random() < 0.4:
        return _beyond(dice)
    if dice.random() < 0.35:
        return {"pause": dice.choice(({}, {"duration": "1s"}, {"duration": "20s"}))}
    return {"setWeight": dice.choice((0, 1, 10, 25, 50, 75, 100))}


def _beyond(dice: random.Random) -> Spec:
    match dice.randrange(4 if CARRY_MORE else 2):
        case 0:
            return {"setCanaryScale": _scale(dice)}
        case 1:
            return {"analysis": {"templates": [{"templateName": "errors"}]}}
        case 2:
            return {"setHeaderRoute": _header(dice)}
        case _:
            share = dice.choice((0, 20, 100))
            return {"setMirrorRoute": {"name": "copy", "percentage": share}}


def _scale(dice: random.Random) -> Spec:
    return dice.choice(
        ({"replicas": 2}, {"percent": 50}, {"percent": 100}, {"matchTrafficWeight": True})
    )


def _header(dice: random.Random) -> Spec:
    header = {"headerName": "x-canary", "headerValue": {"exact": "yes"}}
    cookie = {"cookieName": "canary", "cookieValue": {"exact": "yes"}}
    return {
        "name": "people",
        "match": [] if dice.random() < 0.2 else [dice.choice((header, cookie))],
    }


def _blue_green(dice: random.Random) -> Spec:
    spec: Spec = {"scaleDownDelaySeconds": dice.choice((0, 1, 30))}
    if dice.random() < 0.4:
        spec["autoPromotionEnabled"] = False
        if dice.random() < 0.5:
            spec["autoPromotionSeconds"] = dice.choice((1, 20))
    if dice.random() < 0.3:
        spec["previewReplicaCount"] = 1
    if dice.random() < 0.3 and CARRY_MORE:
        spec["preview"] = {"host": "preview.example"}
    for when in ("prePromotionAnalysis", "postPromotionAnalysis"):
        if dice.random() < 0.2:
            spec[when] = {"templates": [{"templateName": "errors"}]}
    return spec
