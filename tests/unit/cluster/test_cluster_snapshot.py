"""One decision reads what is around its Deployment, however many others there are."""

from copy import deepcopy
from typing import Any, cast

import msgspec
import pytest

from tests.strategies import Object
from tests.unit.release import raw_objects
from tests.unit.release.raw_objects import live, pod, replicaset, slice_of
from webhook.cluster import kinds
from webhook.cluster.client import Client
from webhook.cluster.releases import readable_releases, release_object
from webhook.cluster.snapshot import gather, routing
from webhook.cluster.store import Store
from webhook.objects.intent import Hold
from webhook.release.gathered import Raw
from webhook.release.observe import observe

NAMESPACE = raw_objects.NAMESPACE


class Crowd:
    """A namespace in which every application has a release."""

    def __init__(self, apps: int) -> None:
        self.store = Store(cast("Client", None))
        self._version = 0
        self.deployments = [self._app(f"app{number}") for number in range(apps)]

    def put(self, kind: kinds.Kind, obj: Object, name: str) -> Object:
        self._version += 1
        made = deepcopy(obj)
        made["metadata"] |= {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{kind.kind}-{name}",
            "resourceVersion": str(self._version),
        }
        scope = NAMESPACE if kind in (kinds.REPLICASETS, kinds.PODS, kinds.SERVICES) else None
        scope = NAMESPACE if kind == kinds.ENDPOINTSLICES else scope
        self.store.table(kind, scope).upsert(made)
        return made

    def _app(self, app: str) -> Object:
        deployment = live(hold=Hold(mode="Step", surge=1))
        deployment["spec"]["template"]["metadata"]["labels"]["app"] = app
        deployment = self.put(kinds.DEPLOYMENTS, deployment, app)
        uid = deployment["metadata"]["uid"]
        for version in ("v1", "v2"):
            self._side(app, version, uid)
        selector = {"selector": {"app": app}, "ports": [{"port": 80}]}
        service = {"metadata": {}, "spec": selector}
        self.put(kinds.SERVICES, service, app)
        self.put(kinds.ENDPOINTSLICES, slice_of(app, (f"{app}-v1-0", {"ready": True})), app)
        rule = {"backendRefs": [{"name": app, "port": 80}]}
        self.put(kinds.HTTPROUTES, {"metadata": {}, "spec": {"rules": [rule]}}, app)
        spec = msgspec.structs.replace(
            raw_objects.release(app).spec,
            deployment=raw_objects.DeploymentRef(name=app, uid=uid),
        )
        self.put(kinds.RELEASES, {**release_object(NAMESPACE, app, spec, {}), "status": {}}, app)
        return deployment

    def _side(self, app: str, version: str, owner: str) -> None:
        made = replicaset(version, owner=owner)
        made["spec"]["template"]["metadata"]["labels"]["app"] = app
        made = self.put(kinds.REPLICASETS, made, f"{app}-{version}")
        child = pod(f"{app}-{version}-0", version)
        child["metadata"]["labels"]["app"] = app
        child["metadata"]["ownerReferences"][0]["uid"] = made["metadata"]["uid"]
        self.put(kinds.PODS, child, f"{app}-{version}-0")

    def whole(self, deployment: Object) -> Raw:
        """Everything there is, as one decision could read it as well."""
        tables: dict[str, Any] = {
            "replicasets": kinds.REPLICASETS,
            "pods": kinds.PODS,
            "services": kinds.SERVICES,
            "slices": kinds.ENDPOINTSLICES,
        }
        return Raw(
            deployment=deployment,
            routes=routing(self.store),
            releases=readable_releases(self.store.table(kinds.RELEASES).all()),
            **{key: self.store.table(kind, NAMESPACE).all() for key, kind in tables.items()},
        )


def test_what_is_around_a_deployment_is_all_that_a_decision_needs() -> None:
    """The same is seen as if everything in the namespace had been read."""
    crowd = Crowd(4)
    for deployment in crowd.deployments:
        near = observe(gather(crowd.store, deployment, None))
        far = observe(crowd.whole(deployment))
        assert near.release is not None
        assert near.roots
        assert near.routes
        assert (near.deployment, near.stable, near.canary) == (
            far.deployment,
            far.stable,
            far.canary,
        )
        assert (near.roots, near.routes, near.release) == (far.roots, far.routes, far.release)


@pytest.mark.parametrize("apps", [1, 30])
def test_a_decision_reads_no_more_in_a_crowded_namespace(apps: int) -> None:
    """So five hundred releases at once cost each as much as one."""
    crowd = Crowd(apps)
    raw = gather(crowd.store, crowd.deployments[0], None)
    read = (raw.replicasets, raw.pods, raw.services, raw.slices, raw.releases)
    assert [len(part) for part in read] == [2, 2, 1, 1, 1]
    assert len(raw.routes["HTTPRoute"]) == 1


def test_a_service_that_also_selects_pods_of_others_is_seen_as_shared() -> None:
    """The others' pods are found by the label that the Service asks for."""
    crowd = Crowd(2)
    shared = {"selector": {"tier": "front"}, "ports": [{"port": 80}]}
    crowd.put(kinds.SERVICES, {"metadata": {}, "spec": shared}, "all")
    first = crowd.deployments[0]
    first["spec"]["template"]["metadata"]["labels"]["tier"] = "front"
    other = crowd.store.table(kinds.PODS, NAMESPACE).get(NAMESPACE, "app1-v1-0")
    assert other is not None
    labelled = deepcopy(other)
    labelled["metadata"]["labels"]["tier"] = "front"
    crowd.put(kinds.PODS, labelled, "app1-v1-0")
    roots = {root.name: root.shared for root in observe(gather(crowd.store, first, None)).roots}
    assert roots == {"app0": False, "all": True}


def test_what_is_deleted_or_changed_is_found_no_more_by_its_old_words() -> None:
    """Routes that send elsewhere, pods that are gone."""
    crowd = Crowd(1)
    deployment = crowd.deployments[0]
    route = crowd.store.table(kinds.HTTPROUTES).get(NAMESPACE, "app0")
    gone = crowd.store.table(kinds.PODS, NAMESPACE).get(NAMESPACE, "app0-v2-0")
    assert route
    assert gone
    elsewhere = {"rules": [{"backendRefs": [{"name": "other", "port": 80}]}]}
    crowd.put(kinds.HTTPROUTES, {"metadata": {}, "spec": elsewhere}, "app0")
    crowd.store.table(kinds.PODS, NAMESPACE).forget(gone)
    raw = gather(crowd.store, deployment, None)
    assert raw.routes["HTTPRoute"] == []
    assert [obj["metadata"]["name"] for obj in raw.pods] == ["app0-v1-0"]
