"""Slipway's keys in the pod template: on a real change only, valid, and back as they were."""

import random
import re
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from projection_fakes import FakeWorld, Server, bare, keys_in, note

from tests.strategies import IMAGES, VERSIONS, Object, deployment, deployments, template, templates
from webhook import names
from webhook.objects.intent import Hold
from webhook.projection.fields import write
from webhook.projection.template import (
    Keys,
    keys_for,
    label_value,
    revision_and_version,
    revision_of,
    users_template,
    with_keys,
)

_VALID_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
UNMANAGED = FakeWorld(policy=None)


def with_template(obj: Object, new: Object) -> Object:
    """The Deployment with another pod template."""
    return write(obj, ("spec", "template"), new)


@given(VERSIONS)
def test_a_version_label_is_always_a_valid_label_value(version: str) -> None:
    """Whatever people call a version, the API server takes the label."""
    assert _VALID_LABEL.fullmatch(label_value(version))


@settings(max_examples=50, deadline=None)
@given(templates())
def test_a_template_with_its_keys_gives_back_the_users_template(users: Object) -> None:
    """Adding our keys and taking them away is no change."""
    keys = keys_for(users)
    assert users_template(with_keys(users, keys)) == users
    assert _VALID_LABEL.fullmatch(keys.labels[names.VERSION])


@settings(max_examples=30, deadline=None)
@given(templates(), st.randoms(use_true_random=False))
def test_a_revision_does_not_depend_on_the_order_of_keys(
    users: Object, dice: random.Random
) -> None:
    """A tool that writes the same template in another order asks for the same revision."""
    assert revision_of(_shuffled(users, dice)) == revision_of(users)


def _shuffled(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, _shuffled(item, dice)) for key, item in value.items()]
        dice.shuffle(items)
        return dict(items)
    return [_shuffled(item, dice) for item in value] if isinstance(value, list) else value


@settings(max_examples=40, deadline=None)
@given(templates(), templates())
def test_templates_that_differ_have_different_revisions(one: Object, other: Object) -> None:
    """A revision names one template."""
    assert (revision_of(one) == revision_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("web:v1", "v1"),
        ("web", "latest"),
        ("registry:5000/team/web:1.2", "1.2"),
        ("registry:5000/team/web", "latest"),
        ("web:1.2@sha256:0123456789abcdef0123", "1.2"),
        ("registry:5000/web@sha256:0123456789abcdef0123", "0123456789ab"),
        ("", "latest"),
    ],
)
def test_the_version_is_read_off_the_image(image: str, version: str) -> None:
    """The tag, else the first digits of the digest, else what an image without both is."""
    assert revision_and_version(template(image))[1] == version


def test_the_version_label_of_the_user_comes_first() -> None:
    """``app.kubernetes.io/version`` is what people know."""
    users = write(template("web:v1"), ("metadata", "labels", names.VERSION_LABEL), "2.0")
    assert revision_and_version(users)[1] == "2.0"


def test_a_template_without_containers_has_no_known_version() -> None:
    """Odd input gives an odd version and no traceback."""
    assert revision_and_version({"spec": {"containers": []}})[1] == "unknown"
    assert revision_and_version({})[1] == "unknown"


@settings(max_examples=40, deadline=None)
@given(deployments(), IMAGES)
def test_a_first_version_is_made_known_and_not_held(first: Object, image: str) -> None:
    """Nothing serves yet, so there is nothing to protect."""
    server = Server().create(first)
    keys = keys_in(server.stored)
    assert keys == keys_for(first["spec"]["template"])
    assert note(server.stored, names.HOLD) is None
    assert note(server.stored, names.REVISION) == keys.annotations[names.REVISION]


@settings(max_examples=30, deadline=None)
@given(deployments(), st.booleans(), st.sampled_from(["labels", "annotations", "replicas", "none"]))
def test_a_write_that_does_not_change_the_template_never_changes_the_template(
    first: Object, guarded_from_birth: bool, change: str
) -> None:
    """Enabling Slipway on a running Deployment restarts nothing, and no write does later."""
    server = Server(FakeWorld() if guarded_from_birth else UNMANAGED).create(first)
    before = deepcopy(server.stored["spec"]["template"])
    server.world = FakeWorld()
    manifest = deepcopy(first)
    if change == "replicas":
        manifest["spec"]["replicas"] += 1
    elif change != "none":
        manifest = write(manifest, ("metadata", change, "touched"), "yes")
    server.put(manifest)
    assert server.stored["spec"]["template"] == before
    assert note(server.stored, names.HOLD) is None


def test_a_user_can_neither_remove_nor_change_slipways_keys_in_the_template() -> None:
    """Otherwise a needless rollout would start."""
    server = Server().create(deployment())
    before = deepcopy(server.stored)
    for changed in (
        write(server.stored, ("spec", "template", "metadata", "labels", names.VERSION), "mine"),
        write(server.stored, ("spec", "template", "metadata", "annotations", names.REVISION), "x"),
        with_template(server.stored, template()),
    ):
        server.put(changed)
        assert server.stored["spec"]["template"] == before["spec"]["template"]


@settings(max_examples=30, deadline=None)
@given(deployments(), templates(), st.booleans(), st.booleans(), st.booleans())
def test_a_return_to_the_stable_template_restores_exactly_the_stable_templates_keys(
    first: Object, new: Object, guarded_from_birth: bool, by_undo: bool, in_step: bool
) -> None:
    """So the controller finds the ReplicaSet that still serves, and starts no pod."""
    assume(new != first["spec"]["template"])
    server = Server(FakeWorld() if guarded_from_birth else UNMANAGED).create(first)
    stable = deepcopy(server.stored["spec"]["template"])
    server.world = FakeWorld()
    server.put(with_template(server.stored, new))
    assert server.stored["spec"]["template"] != stable
    if in_step:
        server.intend(hold=Hold(mode="Step", surge=1))
    # `kubectl rollout undo` copies the ReplicaSet's template, keys of ours included.
    back = stable if by_undo else first["spec"]["template"]
    held = deepcopy(server.stored["spec"]["template"])
    server.put(with_template(server.stored, back))
    # Shown the released template, the controller would delete held pods that have traffic.
    assert server.stored["spec"]["template"] == (held if in_step else stable)
    assert "returns to the released version" in server.outcome.warnings[0]
    server.lift()
    assert server.stored["spec"]["template"] == stable


def test_the_version_applied_again_on_the_way_back_is_what_is_asked_for() -> None:
    """v2, back to v1, v2 again while v2's pods are held: in the end it is v2 that is wanted."""
    server = Server().create(deployment("web:v1"))
    first = deepcopy(server.stored["spec"]["template"])
    server.put(deployment("web:v2"))
    second = deepcopy(server.stored["spec"]["template"])
    server.intend(hold=Hold(mode="Step", surge=1))
    server.put(with_template(server.stored, first))
    server.intend(hold=Hold(mode="Halt", surge=1))
    assert server.stored["spec"]["template"] == second
    server.put(deployment("web:v2"))
    server.lift()
    assert server.stored["spec"]["template"] == second


def test_an_undo_to_an_older_version_carries_that_versions_keys() -> None:
    """Not those of the version that is left: what the label says is what runs."""
    server = Server().create(deployment("web:v1"))
    older = deepcopy(server.stored["spec"]["template"])
    server.put(deployment("web:v2")).lift()
    server.put(with_template(server.stored, older))
    assert keys_in(server.stored) == keys_for(template("web:v1"))


def test_a_template_written_without_a_policy_carries_no_keys() -> None:
    """What Slipway does not guard it does not mark."""
    server = Server().create(deployment("web:v1"))
    server.world = UNMANAGED
    server.put(deployment("web:v2"))
    assert keys_in(server.stored) == Keys()
    assert bare(server.stored)["spec"] == deployment("web:v2")["spec"]
