"""Whether the story is the one that was promised: every condition, and what was not so."""

from collections.abc import Iterator
from typing import Final

from lab.demo.script import Broken
from lab.demo.story import Chapter, Story
from webhook.objects.release import Phase

TOLERANCE: Final = 0.10
"""How far a measured share may be from the asked one, of 0..1."""


def verdict(story: Story, weights: tuple[int, ...], broken: Broken) -> list[str]:
    """What was not so, in sentences; empty if v2 went out and v3 was held back as promised.

    ``weights`` are the percentages that v2 must have gone through, the last one being 100.
    """
    first, good, bad = (story.of(version) for version in ("v1", "v2", "v3"))
    if first is None or good is None or bad is None:
        return ["not all of v1, v2 and v3 were applied"]
    return [
        *_unharmed(first),
        *_strangers(first),
        *_went_out(good, weights),
        *_held_back(bad, broken),
    ]


def _went_out(chapter: Chapter, weights: tuple[int, ...]) -> Iterator[str]:
    yield from _ended(chapter, Phase.SUCCEEDED, rollout=0)
    yield from _unharmed(chapter)
    yield from _strangers(chapter)
    yield from _serves(chapter, "v2")
    asked = tuple(share.asked for share in chapter.shares)
    if asked != weights:
        yield f"v2 went through the weights {asked}, not {weights}"
    for share in chapter.shares:
        if share.requests == 0:
            yield f"v2 at {share.asked} %: no request was measured"
        elif abs(share.measured - share.asked / 100) > TOLERANCE:
            yield f"v2 at {share.asked} %: its measured share was {share.measured:.1%}"


def _held_back(chapter: Chapter, broken: Broken) -> Iterator[str]:
    yield from _ended(chapter, Phase.ABORTED, rollout=1)
    yield from _strangers(chapter)
    yield from _serves(chapter, "v2")
    if broken is Broken.NEVER_READY:
        yield from _unharmed(chapter)
        if chapter.answers:
            yield f"v3 was never ready, but it answered {chapter.answers} requests"
    else:
        yield from _harmed_little(chapter)


def _ended(chapter: Chapter, outcome: Phase, rollout: int) -> Iterator[str]:
    if chapter.outcome != outcome:
        found = f"ended {chapter.outcome}" if chapter.outcome else "had no Release"
        yield f"{chapter.version} {found}, not {outcome}: {chapter.message or 'no message'}"
    if chapter.rollout.code != rollout:
        yield (
            f"{chapter.version}: kubectl rollout status exited with {chapter.rollout.code}, "
            f"not {rollout}"
        )


def _unharmed(chapter: Chapter) -> Iterator[str]:
    if chapter.requests == 0:
        yield f"{chapter.version}: no request was made"
    if chapter.failed:
        yield f"{chapter.version}: {chapter.failed} of {chapter.requests} requests failed"


def _harmed_little(chapter: Chapter) -> Iterator[str]:
    """A version that answers errors fails its own share of requests until it is taken back."""
    if not chapter.failed_of.get("v3"):
        yield "v3 was to answer errors while it had weight, and none was seen"
    if others := {v: n for v, n in chapter.failed_of.items() if v not in ("v3", "")}:
        yield f"requests that v3 did not answer failed: {others}"
    most = max((share.asked for share in chapter.shares), default=0)
    if chapter.failed > chapter.requests * most / 100:
        yield f"{chapter.failed} of {chapter.requests} requests failed: more than {most} %"


def _strangers(chapter: Chapter) -> Iterator[str]:
    if chapter.strangers:
        names = ", ".join(chapter.strangers)
        yield f"{chapter.version}: not made by kube's own controller: {names}"


def _serves(chapter: Chapter, version: str) -> Iterator[str]:
    share = chapter.serving.get(version, 0.0)
    if share < 1:
        yield (
            f"{chapter.version}: in the last second {version} answered {share:.1%} "
            "of the requests, not all"
        )
