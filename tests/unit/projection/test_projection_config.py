"""Config is a version too: what a write means for the contents that a template shows."""

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from projection_fakes import POLICY, FakeWorld, Server, note, request

from tests.strategies import Object, deployment
from webhook import names
from webhook.mutation.contents import contents_needed
from webhook.objects.intent import Hold, Snapshots, read_intent
from webhook.objects.policy import Config
from webhook.projection.config import (
    Ref,
    digests_in,
    shown,
)
from webhook.projection.deployment import hold_of, project_hold, users_deployment
from webhook.projection.fields import ABSENT, annotate, read, write
from webhook.projection.template import (
    stable_from,
    stable_of,
    users_template,
)

GUARDS = msgspec.structs.replace(
    POLICY, spec=msgspec.structs.replace(POLICY.spec, config=Config(guard=True))
)
A, B, C = "a" * 10, "b" * 10, "c" * 10
WEB, KEY = "ConfigMap/web", "Secret/key"


def configured(image: str = "web:v1") -> Object:
    """A template whose container reads a ConfigMap and a Secret."""
    env = [{"configMapRef": {"name": "web"}}, {"secretRef": {"name": "key"}}]
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image, "envFrom": env}]},
    }


def web(image: str = "web:v1", **spec: Any) -> Object:
    return deployment(template=configured(image), **spec)


def world(**contents: str) -> FakeWorld:
    named = {"web": WEB, "key": KEY}
    return FakeWorld(policy=GUARDS, contents={named[k]: v for k, v in contents.items()})


def released(**contents: str) -> Server:
    return Server(world(**(contents or {"web": A, "key": C}))).create(web())


def shows(server: Server) -> dict[str, str]:
    """The contents that the user's template names."""
    return digests_in(users_deployment(server.stored)["spec"]["template"])


def decided(server: Server) -> Snapshots | None:
    return read_intent(Snapshots, note(server.stored, names.CONFIG))


def test_a_first_version_reads_snapshots_from_its_first_pod() -> None:
    """So its pods keep their contents as well; the version tells the contents, readably."""
    server = released()
    assert shows(server) == {WEB: A, KEY: C}
    assert decided(server) == Snapshots(shown={WEB: A, KEY: C})
    assert hold_of(server.stored) is None
    version = note(server.stored, names.VERSION)
    assert version.startswith("v1+config.")
    assert read(server.stored, ("spec", "template", "metadata", "labels"))[names.VERSION] == (
        version.replace("+", "-")
    )


def test_contents_that_are_not_known_are_read_live() -> None:
    """A ConfigMap that comes later, or an optional one that is missing, fails no write."""
    server = released(key=C)
    assert shows(server) == {KEY: C}
    assert decided(server) == Snapshots(shown={KEY: C})


def test_without_the_policys_wish_nothing_is_shown() -> None:
    """Config is left alone by default."""
    server = Server(FakeWorld(contents={WEB: A})).create(web()).put(web("web:v2"))
    assert shows(server) == {}
    assert note(server.stored, names.CONFIG) is None
    assert note(server.stored, names.VERSION) == "v2"


def test_a_wish_that_slipway_has_no_right_to_fulfil_is_said() -> None:
    """By a warning at the write, not by a refusal."""
    lacking = world(web=A)
    lacking.guards_config = False
    server = Server(lacking).create(web())
    assert "configGuard.enabled" in server.outcome.warnings[-1]
    assert shows(server) == {}


@pytest.mark.parametrize("hold", [None, Hold(mode="Step", surge=1)])
def test_reapplying_the_manifest_changes_nothing_at_rest_and_in_a_release(
    hold: Hold | None,
) -> None:
    """Also if the contents changed meanwhile: the reconciler decides about that, once."""
    server = released()
    if hold:
        server.put(web("web:v2")).intend(hold=hold)
    image = "web:v2" if hold else "web:v1"
    before = deepcopy(server.stored)
    server.world.contents = {WEB: B, KEY: C}
    server.put(annotate(web(image), dict(before["metadata"]["annotations"])))
    server.put(web(image))
    assert server.stored == before
    assert contents_needed(request(web(image), server.stored), server.world) == ()


def test_a_new_image_takes_the_contents_of_that_moment_with_it() -> None:
    """One apply of both is one release."""
    server = released()
    server.world.contents = {WEB: B, KEY: C}
    assert set(contents_needed(request(web("web:v2"), server.stored), server.world)) == {
        Ref("ConfigMap", "web"), Ref("Secret", "key"),
    }  # fmt: skip
    server.put(web("web:v2"))
    assert shows(server) == {WEB: B, KEY: C}
    assert hold_of(server.stored) == Hold(mode="Gate")


def test_contents_that_cannot_be_read_stay_what_they_were() -> None:
    """The API server is slow: the new image starts with the last known contents."""
    server = released()
    server.world.contents = {}
    server.put(web("web:v2"))
    assert shows(server) == {WEB: A, KEY: C}


def change(server: Server, **shown_: str) -> Server:
    return server.intend(config=Snapshots(shown={"ConfigMap/web": A, KEY: C, **shown_}, term=3))


def test_changed_contents_are_held_like_a_new_image() -> None:
    """In the very write in which the reconciler says so: no pod of the new contents exists."""
    server = change(released(), **{WEB: B})
    assert shows(server) == {WEB: B, KEY: C}
    assert hold_of(server.stored) == Hold(mode="Gate")
    assert read(server.stored, ("spec", "paused")) is True
    stable = stable_of(server.stored)
    assert stable is not None
    assert stable.revision != note(server.stored, names.REVISION)
    assert server.outcome.audit["decision"] == "held"
    server.put(web())
    assert shows(server) == {WEB: B, KEY: C}


def test_changed_contents_in_mid_release_take_the_place_of_the_version_in_it() -> None:
    """As a third image does; its pods stand still until traffic has moved."""
    server = released().put(web("web:v2")).intend(hold=Hold(mode="Step", surge=2))
    change(server, **{WEB: B})
    assert hold_of(server.stored) == Hold(mode="Halt", surge=2)
    assert "replaces the release in progress" in server.outcome.warnings[0]


@pytest.mark.parametrize(
    "hold", [Hold(mode="Gate"), Hold(mode="Step", surge=1), Hold(mode="Gate", aborted=True)]
)
def test_the_old_contents_again_are_the_released_version_again(hold: Hold) -> None:
    """Whoever puts a ConfigMap back has rolled back; the very template of the old pods returns."""
    server = released()
    stable = server.stored["spec"]["template"]
    change(server, **{WEB: B}).intend(hold=hold)
    change(server)
    assert server.outcome.audit["decision"] == "rolled-back"
    assert users_deployment(server.stored)["spec"]["template"] == stable


def test_rollout_undo_goes_back_to_the_contents_of_that_time_and_is_held() -> None:
    """The template of the old ReplicaSet names its snapshots; newer contents are not news."""
    server = released()
    old = deepcopy(users_template(server.stored["spec"]["template"]))
    change(server, **{WEB: B}).lift()
    server.world.contents = {WEB: B, KEY: C}
    server.put(deployment(template=old), field_manager=names.KUBECTL_ROLLOUT)
    assert shows(server) == {WEB: A, KEY: C}
    assert decided(server) == Snapshots(shown={WEB: A, KEY: C}, seen={WEB: B}, term=3)
    assert hold_of(server.stored) == Hold(mode="Gate")


def test_a_write_that_names_the_snapshots_itself_keeps_them() -> None:
    """`kubectl set image` and `rollout restart` change one thing and mean one thing."""
    server = released()
    server.world.contents = {WEB: B, KEY: C}
    stored = deepcopy(server.stored)
    stored["spec"]["template"]["spec"]["containers"][0]["image"] = "web:v2"
    server.put(stored)
    assert shows(server) == {WEB: A, KEY: C}


def test_a_change_just_before_a_restart_is_not_forgotten_by_it() -> None:
    """Apply a ConfigMap, `rollout restart`: what the restart does not show is news still."""
    server = released()
    server.world.contents = {WEB: B, KEY: C}
    stored = deepcopy(server.stored)
    stored["spec"]["template"]["metadata"]["annotations"]["restartedAt"] = "now"
    server.put(stored, field_manager=names.KUBECTL_ROLLOUT)
    assert decided(server) == Snapshots(shown={WEB: A, KEY: C})


def test_a_restart_after_an_undo_does_not_bring_the_newer_contents_back() -> None:
    """Those that the undo knew of are no news to it."""
    server = released()
    gone_back = Snapshots(shown={WEB: A, KEY: C}, seen={WEB: B}, term=3)
    server.intend(config=gone_back)
    server.world.contents = {WEB: B, KEY: C}
    stored = deepcopy(server.stored)
    stored["spec"]["template"]["metadata"]["annotations"]["restartedAt"] = "now"
    server.put(stored, field_manager=names.KUBECTL_ROLLOUT)
    assert decided(server) == gone_back


def test_what_is_known_of_an_unguarded_template_is_noted_and_restarts_nothing() -> None:
    """A Deployment from before the policy: its template stays until it changes."""
    server = Server(world(web=A, key=C))
    server.world.policy = POLICY
    server.create(web())
    server.world.policy = GUARDS
    before = deepcopy(server.stored["spec"])
    server.intend(config=Snapshots(seen={WEB: A, KEY: C}, term=3))
    assert server.stored["spec"] == before
    server.put(web())
    assert server.stored["spec"] == before


def test_config_that_is_not_guarded_any_more_is_read_live_from_the_next_change() -> None:
    """Turning it off restarts nothing either."""
    server = released()
    server.world.policy = POLICY
    before = deepcopy(server.stored["spec"])
    server.put(web())
    assert server.stored["spec"] == before
    server.put(web("web:v2"))
    assert shows(server) == {}
    assert note(server.stored, names.CONFIG) is None


@pytest.mark.parametrize(("image", "decision"), [("web:v1", "rolled-back"), ("web:v2", None)])
def test_what_was_applied_while_no_webhook_ran_gets_its_contents_when_it_is_taken_up(
    image: str, decision: str | None
) -> None:
    """The same manifest is then the released version again; a new one reads snapshots too."""
    server = released()
    kept = server.stored["spec"]["template"]
    stable = stable_from(kept).text()
    passed = write(server.stored, ("spec", "template"), configured(image))
    passed = annotate(write(passed, ("spec", "paused"), True), {names.HELD_BY: "admission-policy"})
    server.stored = passed
    users = write(passed, ("spec", "paused"), ABSENT)
    hold = Hold(mode="Gate", term=2)
    memory = note(project_hold(users, hold), names.ORIGINAL)
    taken = {names.HOLD: hold.text(), names.STABLE: stable, names.ORIGINAL: memory}
    server.put(
        annotate(passed, {**taken, names.HELD_BY: None}),
        username=server.world.identity,
        field_manager=names.FIELD_MANAGER,
    )
    assert shows(server) == {WEB: A, KEY: C}
    assert hold_of(server.stored) == hold
    if decision:
        assert server.outcome.audit["decision"] == decision
        assert users_deployment(server.stored)["spec"]["template"] == kept


def test_an_undo_while_no_webhook_ran_is_followed_when_it_is_taken_up() -> None:
    """The template names the contents that the person went back to."""
    server = change(released(), **{WEB: B}).lift()
    waiting = write(server.stored, ("spec", "template"), shown(configured(), {WEB: A, KEY: C}))
    server.stored = annotate(waiting, {names.HELD_BY: "admission-policy"})
    hold = Hold(mode="Gate", term=2)
    server.put(
        annotate(server.stored, {names.HOLD: hold.text(), names.HELD_BY: None}),
        username=server.world.identity,
        field_manager=names.FIELD_MANAGER,
    )
    assert shows(server) == {WEB: A, KEY: C}
    assert decided(server) == Snapshots(shown={WEB: A, KEY: C}, seen={WEB: B}, term=3)


def test_a_decision_whose_projection_was_lost_is_shown_by_the_next_write_of_slipways() -> None:
    """A crash between the intent and what it means, with no webhook there."""
    server = released()
    lost = Snapshots(shown={WEB: B, KEY: C}, term=3)
    server.stored = annotate(server.stored, {names.CONFIG: lost.text()})
    server.intend(config=lost)
    assert shows(server) == {WEB: B, KEY: C}
    assert hold_of(server.stored) == Hold(mode="Gate")


def test_nobody_else_may_say_which_contents_are_shown() -> None:
    """Intent is Slipway's own; a leader of an older term is refused as well."""
    server = change(released(), **{WEB: B})
    before = deepcopy(server.stored)
    forged = Snapshots(shown={WEB: C}, term=9).text()
    server.put(annotate(server.stored, {names.CONFIG: forged}))
    assert server.stored == before
    server.intend(config=Snapshots(shown={WEB: C}, term=2))
    assert "older leader" in (server.outcome.denied or "")


def test_nothing_is_looked_up_for_writes_that_no_policy_wants_guarded() -> None:
    """Nor for other kinds, nor for the reconciler's own."""
    plainly = FakeWorld(contents={WEB: A})
    assert contents_needed(request(web()), plainly) == ()
    own = request(web(), username=plainly.identity, field_manager=names.FIELD_MANAGER)
    assert contents_needed(own, world(web=A)) == ()
    service = {"kind": "Service", "metadata": {"name": "web"}, "spec": {}}
    assert contents_needed(request(service), world(web=A)) == ()
    assert contents_needed(request(web()), world(web=A)) == (
        Ref("ConfigMap", "web"), Ref("Secret", "key"),
    )  # fmt: skip
