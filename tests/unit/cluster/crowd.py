"""A namespace full of releases, as tables know it."""

from copy import deepcopy
from typing import Any, cast

import msgspec

from tests.strategies import Object
from tests.unit.release import raw_objects
from tests.unit.release.raw_objects import live, pod, replicaset, slice_of
from webhook.cluster import kinds
from webhook.cluster.client import Client
from webhook.cluster.releases import readable_releases, release_object
from webhook.cluster.snapshot import routing
from webhook.cluster.store import Store
from webhook.objects.intent import Hold
from webhook.release.gathered import Raw

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
