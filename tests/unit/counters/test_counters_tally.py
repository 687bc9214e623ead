"""Requests by version, whatever becomes of single pods."""

from datetime import UTC, datetime, timedelta

from webhook.counters.reading import Reading
from webhook.counters.tally import Tally, probes_of
from webhook.counters.targets import Target

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def look(
    tally: Tally, second: int, probes: float = 0.0, *, clean: bool = True, **pods: float
) -> None:
    """One look; ``v1_a=5``: the pod a of v1 has answered 5 requests."""
    read = [
        (Target(pod, pod.partition("_")[0], ""), Reading(count, clean))
        for pod, count in pods.items()
    ]
    tally.add(NOON + timedelta(seconds=second), read, probes)


def counts(tally: Tally) -> list[dict[str, float]]:
    """What each look came to."""
    return [dict(sample.requests) for sample in tally.samples]


def test_pods_of_a_version_are_added_up_from_the_first_look_on() -> None:
    """What they answered before is not of this release."""
    tally = Tally()
    look(tally, 0, v1_a=100, v1_b=50, v2_a=0)
    look(tally, 1, v1_a=103, v1_b=51, v2_a=2)
    assert counts(tally) == [{"v1": 0, "v2": 0}, {"v1": 4, "v2": 2}]


def test_a_pod_that_goes_or_starts_again_takes_nothing_away() -> None:
    """A counter that fell began at nothing; a pod that is gone answered what it answered."""
    tally = Tally()
    look(tally, 0, v1_a=100, v1_b=10)
    look(tally, 1, v1_a=110, v1_b=12)
    look(tally, 2, v1_b=1)
    look(tally, 3)
    assert [each["v1"] for each in counts(tally)] == [0, 12, 13, 13]


def test_a_pod_that_missed_a_look_is_taken_up_again() -> None:
    """A page that came too late once is no loss."""
    tally = Tally()
    look(tally, 0, v1_a=1)
    look(tally, 1)
    look(tally, 2, v1_a=9)
    assert counts(tally)[-1] == {"v1": 8}


def test_where_paths_are_not_told_probes_and_our_own_looks_are_noise() -> None:
    """Two pods, probed twice in a second, and looked at once."""
    tally = Tally()
    look(tally, 0, probes=2.0, clean=False, v1_a=1, v1_b=1)
    assert tally.samples[-1].noise == {"v1": 6.0}
    look(tally, 1, probes=2.0, v1_a=1, v1_b=1)
    assert tally.samples[-1].noise == {"v1": 0.0}


def test_nothing_is_known_of_pods_that_never_said_anything() -> None:
    """No sample, rather than zeros."""
    tally = Tally()
    look(tally, 0)
    assert not tally.samples


def test_how_often_a_pod_is_probed_is_read_off_its_template() -> None:
    """Every 10 s where nothing else is said; a command inside the pod is no request."""
    probe = {"httpGet": {"path": "/", "port": 1}}
    containers = [
        {"readinessProbe": {**probe, "periodSeconds": 2}, "livenessProbe": probe},
        {"readinessProbe": {"exec": {"command": ["true"]}}},
    ]
    assert probes_of({"spec": {"containers": containers}}) == 0.6
    assert probes_of({}) == 0.0
