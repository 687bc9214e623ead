"""What a hold shows, what it remembers, and what comes back when it goes."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projection_fakes import SLIPWAY, FakeWorld, Server, bare, note, stripped

from tests.strategies import SURGES, Object, defaulted, deployment, deployments, templates
from webhook import names
from webhook.objects.intent import Hold
from webhook.projection.deployment import (
    hold_of,
    project_hold,
    projected_deployment,
    shown_by,
    users_deployment,
    with_users_pause,
    without_policys_pause,
)
from webhook.projection.fields import ABSENT, Path, annotate, read, write

STEP = Hold(mode="Step", surge=2, unavailable=1)

HOLDS = st.one_of(
    st.just(Hold(mode="Gate")),
    st.just(Hold(mode="Gate", aborted=True)),
    st.builds(
        Hold,
        mode=st.sampled_from(["Step", "Halt"]),
        surge=st.integers(1, 10),
        unavailable=st.integers(0, 3),
    ),
)

_FIELDS: dict[Path, st.SearchStrategy[Any]] = {
    ("spec", "replicas"): st.integers(1, 30),
    ("spec", "revisionHistoryLimit"): st.integers(0, 20),
    ("spec", "minReadySeconds"): st.sampled_from([ABSENT, 5, 300]),
    ("spec", "progressDeadlineSeconds"): st.integers(301, 900),
    ("spec", "paused"): st.sampled_from([ABSENT, True]),
    ("spec", "strategy", "rollingUpdate", "maxSurge"): SURGES,
    ("spec", "strategy", "rollingUpdate", "maxUnavailable"): SURGES,
    ("spec", "template"): templates(),
    ("metadata", "annotations", "note"): st.sampled_from([ABSENT, "a", "b"]),
    ("metadata", "labels", "team"): st.sampled_from([ABSENT, "a", "b"]),
}

SETS = st.sampled_from(sorted(_FIELDS)).flatmap(
    lambda path: st.tuples(st.just("set"), st.just(path), _FIELDS[path])
)
OPERATIONS = st.one_of(
    SETS,
    SETS,
    st.tuples(st.just("put"), deployments()),
    st.tuples(st.just("touch")),
    st.tuples(st.just("strip")),
    st.tuples(st.just("hold"), HOLDS),
    st.tuples(st.just("hold"), HOLDS),
    st.tuples(st.just("lift")),
)


class Story:
    """A Deployment under a mix of writes, beside what its user asked for last."""

    def __init__(self, first: Object) -> None:
        self.server = Server().create(first)
        self.wanted = bare(self.server.stored)

    def perform(self, operation: tuple[Any, ...]) -> None:
        live = self.server.stored
        match operation:
            case ("set", path, value):
                self._user_writes(write(live, path, value), only=path)
            case ("put", manifest):
                self._user_writes(manifest)
            case ("touch",):
                self.server.put(live)
            case ("strip",):
                self.server.put(stripped(live))
            case ("hold", hold):
                self.server.intend(hold=hold)
            case ("lift",):
                self.server.lift()

    def _user_writes(self, new: Object, only: Path | None = None) -> None:
        """A covered field that is written as it is shown is no change."""
        live, wanted = self.server.stored, bare(new)
        if only is not None:
            wanted = write(self.wanted, only, read(wanted, only))
        for path, shown in shown_by(hold_of(live)).items():
            if read(new, path) == shown:
                wanted = write(wanted, path, read(self.wanted, path))
        self.wanted = wanted
        self.server.put(new)


@settings(max_examples=60, deadline=None)
@given(deployments(), st.lists(OPERATIONS, max_size=10))
def test_when_the_hold_goes_the_deployment_is_what_its_user_asked_for_last(
    first: Object, operations: list[tuple[Any, ...]]
) -> None:
    """Whatever writes and intent changes came between, nothing of ours and nothing lost."""
    story = Story(first)
    for operation in operations:
        story.perform(operation)
    story.server.lift()
    assert bare(story.server.stored) == story.wanted
    assert set(story.server.stored["metadata"].get("annotations", {})) & {
        names.HOLD, names.ORIGINAL, names.STABLE
    } == set()  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(deployments(), st.lists(OPERATIONS, max_size=8))
def test_while_held_every_covered_field_shows_the_hold(
    first: Object, operations: list[tuple[Any, ...]]
) -> None:
    """No write by anyone else opens a window in which the hold is lost."""
    story = Story(first)
    for operation in operations:
        story.perform(operation)
        hold = hold_of(story.server.stored)
        for path, value in shown_by(hold).items():
            assert read(story.server.stored, path) == value
        assert (hold is not None and not hold.aborted) == (
            read(story.server.stored, ("metadata", "labels", names.TRACK)) == "canary"
        )


def held(hold: Hold = STEP, **spec: Any) -> Server:
    """A Deployment that is held."""
    return Server().create(deployment(**spec)).intend(hold=hold)


MINIMUM = ("spec", "minReadySeconds")
SURGE = ("spec", "strategy", "rollingUpdate", "maxSurge")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (MINIMUM, 30),
        (("spec", "progressDeadlineSeconds"), 120),
        (SURGE, "50%"),
        (SURGE, 7),
        (("spec", "strategy", "rollingUpdate", "maxUnavailable"), 0),
    ],
)
def test_a_write_to_a_covered_field_changes_what_is_remembered_and_not_what_is_shown(
    path: Path, value: Any
) -> None:
    """The user's wish waits behind the hold."""
    server = held()
    shown = read(server.stored, path)
    server.put(write(server.stored, path, value))
    assert read(server.stored, path) == shown
    assert read(server.lift().stored, path) == value


def test_a_write_that_repeats_what_was_asked_changes_nothing() -> None:
    """Applying the same manifest again in mid-hold leaves the object as it is, value for value."""
    server = held()
    before = deepcopy(server.stored)
    server.put(deployment())
    assert server.stored == before


def test_a_write_that_drops_every_annotation_and_label_of_slipways_changes_nothing() -> None:
    """A full PUT of the live object without our keys keeps hold, memory, facts and template."""
    server = held()
    before = deepcopy(server.stored)
    server.put(stripped(server.stored))
    assert server.stored == before


def test_a_field_that_was_absent_is_absent_again() -> None:
    """No ``paused: false`` and no ``minReadySeconds: 0`` stays behind."""
    server = held(Hold(mode="Halt", surge=1)).lift()
    assert read(server.stored, MINIMUM) is ABSENT
    assert read(server.stored, ("spec", "paused")) is ABSENT


def test_a_user_who_paused_before_the_hold_finds_the_deployment_paused_after_it() -> None:
    """``paused`` is the user's own as well."""
    server = held(Hold(mode="Gate"), paused=True).lift()
    assert read(server.stored, ("spec", "paused")) is True


def test_kubectl_rollout_pause_in_a_step_pauses_after_the_hold() -> None:
    """A step does not cover ``paused``: the user's brake works at once and stays."""
    server = held()
    server.put(write(server.stored, ("spec", "paused"), True))
    assert read(server.stored, ("spec", "paused")) is True
    assert read(server.lift().stored, ("spec", "paused")) is True


@pytest.mark.parametrize("hold", [STEP, Hold(mode="Halt", surge=1)])
def test_a_strategy_replaced_whole_comes_back_whole(hold: Hold) -> None:
    """A manifest with Recreate in mid-hold is held as it is, and comes back without a rest."""
    server = held(hold)
    server.put(deployment(strategy={"type": "Recreate"}))
    assert read(server.stored, ("spec", "strategy", "type")) == "RollingUpdate"
    assert read(server.lift().stored, ("spec", "strategy")) == {"type": "Recreate"}


def test_a_patch_to_recreate_in_mid_hold_can_be_stored_when_the_hold_goes() -> None:
    """Recreate beside ``rollingUpdate`` is refused by the API server, so it never comes back."""
    server = held()
    server.put(write(server.stored, ("spec", "strategy", "type"), "Recreate"))
    if server.outcome.denied:
        return
    strategy = read(server.lift().stored, ("spec", "strategy"))
    assert not (strategy["type"] == "Recreate" and "rollingUpdate" in strategy)


@settings(max_examples=25, deadline=None)
@given(deployments(), HOLDS)
def test_a_projection_that_admission_missed_is_repaired_to_the_same_object(
    first: Object, hold: Hold
) -> None:
    """With the webhook down the reconciler makes of its own write what admission would have."""
    missed = annotate(first, {names.HOLD: hold.text()})
    repaired = projected_deployment(missed)
    server = Server(FakeWorld(policy=None)).create(first).intend(hold=hold)
    assert repaired == server.stored
    assert projected_deployment(repaired) == repaired


def test_an_exported_manifest_of_a_held_deployment_creates_the_users_own() -> None:
    """``kubectl get -o yaml`` in mid-release, applied elsewhere, brings no hold along."""
    exported = held().stored
    server = Server().create(exported)
    assert note(server.stored, names.HOLD) is None
    assert bare(server.stored) == bare(defaulted(deployment()))


@pytest.mark.parametrize("webhook", ["answers", "is gone"])
def test_an_aborted_deployment_that_slipway_leaves_stays_paused(webhook: str) -> None:
    """Whoever projects the write: the version that failed is not released by it."""
    server = Server().create(deployment("web:v1")).put(deployment("web:v2"))
    server.intend(hold=Hold(mode="Gate", aborted=True))
    lifted: dict[str, str | None] = {names.HOLD: None, names.STABLE: None}
    for changes in ({names.ORIGINAL: with_users_pause(server.stored)}, lifted):
        left = annotate(server.stored, changes)
        if webhook == "answers":
            server.put(left, username=SLIPWAY, field_manager=names.FIELD_MANAGER)
        else:
            server.stored = projected_deployment(left)
    left = server.stored
    assert read(left, ("spec", "paused")) is True
    assert hold_of(left) is None
    for key in (names.ORIGINAL, names.STABLE, names.HOLD):
        assert note(left, key) is None
    assert read(left, ("metadata", "labels", names.TRACK)) is ABSENT


def test_slipways_own_write_of_a_template_is_not_paused_by_the_admission_policy() -> None:
    """It repairs what a write without webhook left; the policy in the API server can't tell."""
    server = Server().create(deployment())
    server.stored = write(
        server.stored, ("spec", "template", "spec", "containers"), [{"name": "web", "image": "x:1"}]
    )
    wanted = write(server.stored, ("spec", "template"), deployment()["spec"]["template"])
    marked = annotate(write(wanted, ("spec", "paused"), True), {names.HELD_BY: "admission-policy"})
    server.put(marked, username=SLIPWAY, field_manager=names.FIELD_MANAGER)
    assert note(server.stored, names.HELD_BY) is None
    assert read(server.stored, ("spec", "paused")) is ABSENT


def test_a_change_on_top_of_one_that_no_webhook_saw_waits_with_it() -> None:
    """The template between the two never ran, so it is nothing to return to."""
    server = Server().create(deployment())
    unseen = write(server.stored, ("spec", "template"), deployment("web:v2")["spec"]["template"])
    server.stored = annotate(
        write(unseen, ("spec", "paused"), True), {names.HELD_BY: "admission-policy"}
    )
    server.put(deployment("web:v3"))
    assert note(server.stored, names.HOLD) is None
    assert note(server.stored, names.STABLE) is None
    assert note(server.stored, names.HELD_BY) == "admission-policy"
    assert read(server.stored, ("spec", "paused")) is True
    assert note(server.stored, names.VERSION) == "v3"


@pytest.mark.parametrize(
    ("gone", "replicas", "shown"),
    [(6, 8, "76%"), (1, 2, "51%"), (1, 3, "34%"), (3, 3, 3), (50, 100, 50), (2, 0, 2), (0, 4, 0)],
)
def test_a_deployment_that_is_scaled_down_in_a_hold_keeps_released_pods(
    gone: int, replicas: int, shown: int | str
) -> None:
    """Scaling passes the webhook by; as a number, what may go would soon be all of them."""
    hold = Hold(mode="Step", surge=2, unavailable=gone, of=replicas)
    stored = held(hold, replicas=replicas).stored
    assert read(stored, ("spec", "strategy", "rollingUpdate", "maxUnavailable")) == shown
    assert hold.unavailable_of(replicas) == gone
    assert hold.unavailable_of(1) == (0 if isinstance(shown, str) else gone)


def test_a_pause_that_the_admission_policy_set_in_a_hold_is_not_the_users() -> None:
    """It goes with the hold."""
    stored = write(held().stored, ("spec", "paused"), True)
    halt = Hold(mode="Halt", surge=2, unavailable=1)
    original = without_policys_pause(stored, halt)
    taken_up = project_hold(users_deployment(annotate(stored, {names.ORIGINAL: original})), halt)
    assert read(taken_up, ("spec", "paused")) is True
    assert read(users_deployment(taken_up), ("spec", "paused")) is ABSENT
