"""From raw objects to what the engine decides on."""

import dataclasses
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from raw_objects import UID, live, pod, release, replicaset, slice_of

from tests.strategies import Object, backend, ingress, route, service, template
from webhook import names
from webhook.objects.intent import Hold, Pin, Share, Split
from webhook.objects.policy import Routes, RouteSelector, Traffic
from webhook.objects.release import Phase, ReleaseStatus
from webhook.projection.service import project_pin
from webhook.projection.template import revision_of, stable_from
from webhook.release.actions import Protect
from webhook.release.at import At
from webhook.release.gathered import Raw
from webhook.release.observe import deployment_view, observe, pod_view
from webhook.release.observed import Observed, RootView, RouteRef
from webhook.release.plan import plan
from webhook.release.readings import Readings
from webhook.release.waits import found_settled
from webhook.traffic import httproute
from webhook.traffic.canary_service import canary_service
from webhook.traffic.nginx_ingress import canary_ingress

STEP = Hold(mode="Step", surge=1)
OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": UID}
NOW = datetime(2026, 10, 1, tzinfo=UTC)
V1, V2 = replicaset("v1"), replicaset("v2", replicas=1, revision=2)


def seen(**more: Any) -> Observed:
    """v2 held beside v1, and more."""
    raw = {"deployment": live(hold=STEP), "replicasets": [V1, V2], **more}
    return observe(Raw(**raw))


# The Deployment


def test_the_deployment_is_seen_behind_its_hold() -> None:
    """What its user wants, not what is shown."""
    view = deployment_view(live(hold=STEP, progressDeadlineSeconds=77, replicas=4))
    assert (view.progress_deadline, view.replicas, view.hold) == (77, 4, STEP)
    assert view.revision == revision_of(template("web:v2"))
    assert view.version == "v2"
    assert view.stable is not None
    assert view.stable.revision == revision_of(template("web:v1"))
    assert view.projected
    assert not view.paused_by_user


def test_a_pause_of_the_users_is_told_from_that_of_a_hold() -> None:
    """A gate pauses as well."""
    assert not deployment_view(live(hold=Hold(mode="Gate"))).paused_by_user
    assert deployment_view(live(hold=Hold(mode="Gate"), paused=True)).paused_by_user
    assert deployment_view(live(hold=STEP, paused=True)).paused_by_user


def test_a_write_that_passed_the_webhook_by_is_noticed() -> None:
    """The hold is there, but not shown."""
    obj = live(hold=STEP)
    obj["spec"]["minReadySeconds"] = 5
    assert not deployment_view(obj).projected


COMPLETE = {
    "all there": ({}, True),
    "an old generation": ({"observedGeneration": 6}, False),
    "old pods": ({"updatedReplicas": 2}, False),
    "too many pods": ({"replicas": 4}, False),
    "not available": ({"availableReplicas": 2}, False),
}


@pytest.mark.parametrize(("status", "complete"), COMPLETE.values(), ids=COMPLETE.keys())
def test_a_rollout_is_complete_as_kubectl_says(status: dict[str, int], complete: bool) -> None:
    """All pods new, all available, none left over, at the present generation."""
    done = {
        "observedGeneration": 7, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3,
    }  # fmt: skip
    assert deployment_view({**live(), "status": {**done, **status}}).complete == complete


def test_the_progressing_condition_says_whether_a_failure_is_reported() -> None:
    """That is what ``kubectl rollout status`` reads."""
    failed = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    assert deployment_view({**live(), "status": {"conditions": [failed]}}).marked_failed
    assert not deployment_view(live()).marked_failed


# Pods

PODS: dict[str, tuple[Object, bool, bool]] = {
    "ready": (pod("a"), True, False),
    "ready at once": (pod("a", changed="2026-10-01T11:00:00Z"), True, False),
    "starting": (pod("a", ready="False", changed="2026-10-01T11:00:00Z"), False, False),
    "starting, a second later": (
        pod("a", ready="False", changed="2026-10-01T11:00:01Z"), False, False,
    ),
    "lost readiness": (pod("a", ready="False", changed="2026-10-01T11:30:00Z"), False, True),
    "unknown": (pod("a", ready="Unknown", changed="2026-10-01T11:30:00Z"), False, True),
    "ending": (pod("a", ending=True), False, False),
    "ending and unready": (
        pod("a", ending=True, ready="False", changed="2026-10-01T11:30:00Z"), False, False,
    ),
    "not started": ({**pod("a"), "status": {}}, False, False),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "ready", "lost"), PODS.values(), ids=PODS.keys())
def test_a_pod_is_ready_or_has_lost_readiness_or_neither(
    raw: Object, ready: bool, lost: bool
) -> None:
    """A pod that was never ready has lost nothing."""
    view = pod_view(raw)
    assert (view.ready, view.lost_readiness) == (ready, lost)


def test_pods_belong_to_the_side_of_their_replicaset() -> None:
    """By owner; those that are over do not count."""
    pods = [
        pod("a"), pod("b"), pod("c", "v2", track="canary"), pod("over", phase="Failed"),
        pod("done", "v2", phase="Succeeded"),
    ]  # fmt: skip
    view = seen(pods=pods)
    assert view.stable is not None
    assert view.canary is not None
    assert [p.name for p in view.stable.pods] == ["a", "b"]
    assert [(p.name, p.track) for p in view.canary.pods] == [("c", "canary")]


# ReplicaSets


def test_the_released_replicaset_is_found_by_revision_and_the_new_one_by_template() -> None:
    """Never by a hash that we computed."""
    view = seen()
    assert view.stable is not None
    assert view.canary is not None
    assert (view.stable.hash, view.canary.hash) == ("h-v1", "h-v2")
    assert (view.stable.wanted, view.canary.wanted) == (3, 1)
    assert view.leftovers == ()


def test_of_two_replicasets_of_the_released_revision_the_newest_is_meant() -> None:
    """One that another key of ours made different, long ago."""
    older, newer = replicaset("v1", suffix="x", revision=1), replicaset("v1", revision=5)
    view = seen(replicasets=[newer, older, V2])
    assert view.stable is not None
    assert view.stable.hash == "h-v1"


def test_a_running_release_knows_its_released_replicaset_by_hash() -> None:
    """Whatever else has that template by now."""
    view = seen(
        replicasets=[V1, replicaset("v1", suffix="x", revision=9), V2],
        releases=[release("web-2", stable="h-v1")],
    )
    assert view.stable is not None
    assert view.stable.hash == "h-v1"
    assert [side.hash for side in view.leftovers] == ["h-v1x"]


def test_replicasets_that_are_neither_are_left_over_while_they_have_pods() -> None:
    """A version that was superseded; empty ones are history."""
    v0, v3 = replicaset("v0", replicas=0), replicaset("v3", replicas=2)
    assert [side.hash for side in seen(replicasets=[V1, V2, v0, v3]).leftovers] == ["h-v3"]
    ending = pod("z", "v0", ending=True)
    view = seen(replicasets=[V1, V2, v0], pods=[ending])
    assert [side.hash for side in view.leftovers] == ["h-v0"]


def test_replicasets_of_other_deployments_are_not_seen() -> None:
    """Same template, another owner."""
    view = seen(replicasets=[V1, replicaset("v2", owner="somebody")])
    assert view.canary is None
    assert view.leftovers == ()


def test_before_the_controller_made_the_new_replicaset_there_is_none() -> None:
    """A gate."""
    assert seen(replicasets=[V1]).canary is None


# Services


def root(view: Observed, name: str = "web") -> RootView:
    """A root Service by name."""
    return next(each for each in view.roots if each.name == name)


def test_every_service_that_selects_the_pods_is_a_root() -> None:
    """By the user's selector, whatever pin is shown in it."""
    pinned = project_pin(service("web"), Pin(hash="h-v1"))
    bare = service("none")
    del bare["spec"]["selector"]
    others = [service("api", selector={"app": "api"}), service("empty", selector={}), bare]
    view = seen(services=[pinned, service("all"), *others])
    assert [(each.name, each.pin) for each in view.roots] == [("all", None), ("web", "h-v1")]


def test_endpoints_are_those_that_are_ready_and_not_ending() -> None:
    """All slices of a Service count; no condition means ready."""
    slices = [
        slice_of("web", ("a", {"ready": True}), ("b", {"ready": False}), ("c", {})),
        slice_of("web", ("d", {"ready": True, "terminating": True}), ("e", {"ready": True})),
        slice_of("other", ("z", {"ready": True})),
    ]
    view = seen(services=[service()], slices=slices)
    assert root(view).endpoints == {"uid-a", "uid-c", "uid-e"}


def test_a_service_that_selects_pods_of_others_is_shared() -> None:
    """It can't be pinned."""
    stranger = pod("s")
    stranger["metadata"]["ownerReferences"] = [
        {"kind": "StatefulSet", "uid": "db", "controller": True}
    ]
    view = seen(services=[service()], pods=[pod("a"), stranger])
    assert root(view).shared
    assert not root(seen(services=[service()], pods=[pod("a"), pod("c", "v2")])).shared


def test_a_canary_service_is_known_by_label_and_owner() -> None:
    """It is no root, and its name is not taken; another Deployment's is none of ours."""
    mine = canary_service(service(), "web-canary", "h-v2", OWNER)
    theirs = canary_service(service(), "x-canary", "h-9", {**OWNER, "uid": "other"})
    slices = [slice_of("web-canary", ("c", {"ready": True}))]
    view = seen(services=[service(), mine, theirs], slices=slices)
    assert [(c.name, c.root, c.hash, c.endpoints) for c in view.canaries] == [
        ("web-canary", "web", "h-v2", {"uid-c"})
    ]
    assert [each.name for each in view.roots] == ["web"]
    assert view.taken == {"web"}


# Routes


def test_routes_of_both_kinds_are_seen_with_their_splits() -> None:
    """And a Service with a route is routed."""
    share = Share("web-canary", 20)
    users = ingress(("/", "web"))
    split = httproute.project(route([backend("web")], name="http"), Split(shares={"web": share}))
    nginx = {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}
    routes = {
        "HTTPRoute": [split],
        "Ingress": [users, canary_ingress(users, "web", share, OWNER)],
        "IngressClass": [nginx],
    }
    view = seen(services=[service(), service("admin")], routes=routes)
    assert [str(each.ref) for each in view.routes] == ["HTTPRoute shop/http", "Ingress shop/web"]
    assert all(each.shares == {"web": share} for each in view.routes)
    assert root(view).routed
    assert not root(view, "admin").routed
    assert view.strays == ()


@pytest.mark.parametrize(
    ("routes", "divided", "left"),
    [
        (Routes(), ["a", "b"], []),
        (Routes(exclude=(RouteSelector(name="b"),)), ["a"], ["HTTPRoute shop/b"]),
        (Routes(include=(RouteSelector(kind="HTTPRoute", name="b"),)), ["b"], ["HTTPRoute shop/a"]),
        (
            Routes(include=(RouteSelector(kind="Ingress"),)),
            [],
            ["HTTPRoute shop/a", "HTTPRoute shop/b"],
        ),
        (Routes(exclude=(RouteSelector(namespace="elsewhere"),)), ["a", "b"], []),
    ],
)
def test_a_policy_says_which_routes_are_divided(
    routes: Routes, divided: list[str], left: list[str]
) -> None:
    """Of several routes to a Service; those that are left out are told of."""
    running = release("web-2")
    spec = replace(running.spec, traffic=Traffic(routes=routes))
    view = seen(
        services=[service()],
        routes={"HTTPRoute": [route([backend("web")], name=name) for name in ("a", "b")]},
        releases=[replace(running, spec=spec)],
    )
    assert [each.ref.name for each in view.routes] == divided
    assert [str(ref) for ref in view.left_out] == left
    assert root(view).routed is bool(divided)


def test_a_route_that_was_divided_before_its_policy_left_it_out_becomes_its_users_own() -> None:
    """It is not forgotten with a split in it."""
    split = Split(shares={"web": Share("web-canary", 20)})
    running = release("web-2")
    out = Traffic(routes=Routes(exclude=(RouteSelector(kind="HTTPRoute"),)))
    view = seen(
        services=[service()],
        routes={"HTTPRoute": [httproute.project(route([backend("web")]), split)]},
        releases=[replace(running, spec=replace(running.spec, traffic=out))],
    )
    assert [each.shares for each in view.routes] == [split.shares]


def test_a_route_is_live_once_its_gateway_reports_its_present_generation() -> None:
    """Also to who knows it from the decision before, when nothing but the report has changed."""
    asked = route([backend("web")], name="http")
    readings = Readings()
    for reported, known in ((6, False), (7, True), (6, False)):
        obj = deepcopy(asked)
        obj["metadata"]["generation"] = 7
        conditions = [
            {"type": kind, "status": "True", "observedGeneration": reported}
            for kind in ("Accepted", "ResolvedRefs")
        ]
        obj["status"] = {"parents": [{"parentRef": {"name": "gw"}, "conditions": conditions}]}
        raw = Raw(live(hold=STEP), [V1, V2], services=[service()], routes={"HTTPRoute": [obj]})
        (view,) = observe(raw, readings).routes
        assert (view.unprogrammed is None) is known


def test_a_route_of_a_shared_service_is_not_split() -> None:
    """A split would name a canary for other people's pods."""
    stranger = pod("s")
    stranger["metadata"]["ownerReferences"] = []
    routes = {"HTTPRoute": [route([backend("web")])]}
    view = seen(services=[service()], pods=[stranger], routes=routes)
    assert view.routes == ()
    assert not root(view).routed


def test_the_split_of_another_deployments_service_is_not_ours() -> None:
    """Two releases in one route."""
    both = Split(shares={key: Share(f"{key}-canary", 5) for key in ("web", "api")})
    users = route([backend("web"), backend("api")])
    view = seen(services=[service()], routes={"HTTPRoute": [httproute.project(users, both)]})
    assert set(view.routes[0].shares) == {"web"}


def test_a_canary_ingress_whose_primary_is_gone_is_a_stray() -> None:
    """It is taken away."""
    orphan = canary_ingress(ingress(("/", "web")), "web", Share("web-canary", 5), OWNER)
    view = seen(services=[service()], routes={"Ingress": [orphan]})
    assert view.strays == (RouteRef("Ingress", "shop", orphan["metadata"]["name"]),)


# Releases


def test_the_running_release_is_told_from_those_that_ended() -> None:
    """The newest first; those of an earlier Deployment of that name do not count."""
    view = seen(
        releases=[
            release("web-1", Phase.SUCCEEDED, day=1),
            release("web-3", Phase.ABORTED, day=3),
            release("web-2", Phase.SUPERSEDED, day=2),
            release("web-4", Phase.SCALING, day=4),
            release("web-9", Phase.SCALING, day=9, uid="an earlier one"),
        ]
    )
    assert view.release is not None
    assert view.release.name == "web-4"
    assert [each.name for each in view.finished] == ["web-3", "web-2", "web-1"]


def test_a_release_that_was_just_made_is_running() -> None:
    """It has no start yet."""
    made = release("web-2", Phase.PENDING, day=None)
    view = seen(releases=[release("web-1", Phase.SUCCEEDED), made])
    assert view.release == made


def test_labels_of_the_new_pods_are_those_that_the_template_shows() -> None:
    """With our own version label, which a Service may select."""
    obj = live()
    obj["spec"]["template"]["metadata"]["labels"][names.VERSION] = "v2"
    assert deployment_view(obj).pod_labels == {"app": "web", names.VERSION: "v2"}


# What serves


def half_way(*ready: str, hold: Hold | None = None) -> Observed:
    """v3 is applied while v2, which nothing guarded, stands still beside v1."""
    obj = live("web:v3", hold=hold or Hold(mode="Gate"))
    known = stable_from(template("web:v2")).text()
    obj["metadata"]["annotations"][names.STABLE] = known
    sides = [replicaset("v1"), replicaset("v2", revision=2)]
    pods = [pod(f"{each}-{i}", each) for i, each in enumerate(ready)]
    pods.append(pod("v2-new", "v2", ready="False"))
    return observe(Raw(deployment=obj, replicasets=sides, pods=pods))


def test_a_rollout_that_stands_still_is_not_what_a_release_returns_to() -> None:
    """Its pods do not serve; those of the version before do, and are protected."""
    seen = half_way("v1", "v1", "v2")
    assert seen.serves_more
    assert plan(seen, NOW).actions == (Protect(stable_from(template("web:v1"))),)


def test_a_rollout_that_is_more_than_half_done_is_what_a_release_returns_to() -> None:
    """It has as many ready pods as the version before, or more."""
    assert not half_way("v1", "v2").serves_more
    assert not half_way("v1", "v2", "v2").serves_more


def test_a_version_that_was_released_is_returned_to_before_its_last_pods_are_there() -> None:
    """A third one may be applied while the old pods go: what was released last is known."""
    seen = half_way("v1", "v1", "v2")
    ended = release("web-2", Phase.SUCCEEDED)
    revision = stable_from(template("web:v2")).revision
    ended = replace(ended, spec=replace(ended.spec, revision=revision))
    decided = plan(dataclasses.replace(seen, finished=(ended,)), NOW)
    assert Protect not in map(type, decided.actions)


def test_pods_that_served_without_guard_go_only_when_their_traffic_has_left() -> None:
    """What is protected from the start on has settled and drained before they are withdrawn."""
    held = Hold(mode="Gate", term=1)
    status = ReleaseStatus(phase=Phase.PENDING, stage="protect")
    for ready, wait in (("v1", "v2"), timedelta(seconds=35)), (("v2",), timedelta()):
        begun = replace(release("web-7", Phase.PENDING), status=status)
        at = At(dataclasses.replace(half_way(*ready, hold=held), release=begun), begun, NOW)
        assert found_settled(at, status, NOW) == NOW + wait


def test_what_a_release_returns_to_stays_once_it_has_begun() -> None:
    """The hold carries the term of who acts on it."""
    seen = half_way("v1", "v1", hold=Hold(mode="Gate", term=1))
    assert Protect not in map(type, plan(seen, NOW).actions)
