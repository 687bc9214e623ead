"""Several applications, each behind another kind of route, released side by side."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, Lock
from typing import Final

from lab.cluster import Lab
from tests.e2e.app import App
from tests.e2e.conftest import open_scene, policy
from tests.soak.scale import Share
from tests.soak.shop import STEPS, Shop

KINDS: Final = ("httproute", "ingress", "ingressroute", "traefikservice", "none")
RATE: Final = 200.0
"""Requests a second, over all applications."""

_LINGERS: Final = {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}
"""What an application needs whose pods are killed, with Slipway or without: it serves on for
longer than its proxy takes to hear of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a soak comes to; it has not failed, or it would have raised."""

    releases: int
    requests: int
    failed: int
    shares: tuple[Share, ...]
    between: Counter[str]
    """How often each thing came in between."""


def soak(
    lab: Lab, releases: int, *, seed: int = 0, told: Callable[[int], None] = lambda _done: None
) -> Outcome:
    """So many releases in all, at every kind of route at once; ``told`` after each.

    Raises AssertionError at the first failed request, share outside of its interval, release that
    does not succeed, or object that is not as it was applied at the end.
    """
    shops = [_open(lab, kind, seed) for kind in KINDS]
    shares = [releases // len(shops) + (n < releases % len(shops)) for n in range(len(shops))]
    stopped, lock, done = Event(), Lock(), Counter[str]()

    def play(shop: Shop, count: int) -> None:
        try:
            for _ in range(count):
                if stopped.is_set():
                    return
                shop.release()
                shop.assert_none_failed()
                with lock:
                    done[shop.kind] += 1
                    told(done.total())
        except BaseException:
            stopped.set()
            raise

    try:
        with ThreadPoolExecutor(len(shops)) as pool:
            playing = [pool.submit(play, *each) for each in zip(shops, shares, strict=True)]
            wait(playing, return_when=FIRST_EXCEPTION)
        for future in playing:
            future.result()
        return _outcome(shops)
    finally:
        for shop in shops:
            shop.scene.probe.stop()
            shop.scene.releases.close()
            lab.delete("namespaces", shop.scene.namespace)


def _open(lab: Lab, kind: str, seed: int) -> Shop:
    namespace = lab.namespace("soak")
    lab.create(policy(namespace, STEPS))
    scene = open_scene(lab, App(namespace, container=_LINGERS), kind, RATE / len(KINDS))
    return Shop(scene, kind, random.Random(f"{seed} {kind}"))  # noqa: S311 dice for tests


def _outcome(shops: Sequence[Shop]) -> Outcome:
    reports = [shop.judge() for shop in shops]
    return Outcome(
        releases=sum(shop.released for shop in shops),
        requests=sum(report.total for report in reports),
        failed=sum(report.failed for report in reports),
        shares=tuple(share for shop in shops for share in shop.shares),
        between=sum((Counter(shop.done) for shop in shops), Counter()),
    )
