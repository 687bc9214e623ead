"""What users do, each write also to a copy of their own that Slipway never touches.

At the end the stored objects have to equal that copy.
"""

from __future__ import annotations

from typing import Any

from tests.simulation import rollout, shop
from tests.simulation.api_server import ApiServer, Key, Refused, Who
from tests.simulation.defaults import completed
from tests.simulation.deployments import HASH
from tests.simulation.patches import Object, merged, with_meta, with_spec
from webhook import names
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    DEPLOYMENTS,
    HTTPROUTES,
    INGRESSES,
    REPLICASETS,
    SERVICES,
    Kind,
)
from webhook.projection.config import plain

ALICE = Who("alice", "kubectl-client-side-apply")
ROLLOUT = Who("alice", names.KUBECTL_ROLLOUT)
AUTOSCALER = Who("system:serviceaccount:kube-system:horizontal-pod-autoscaler", "hpa")
WEB: Key = (shop.NAMESPACE, "web")
_TEMPLATE = ("spec", "template")


class Users:
    """Everybody who writes, but Slipway."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self.wanted: dict[tuple[Kind, Key], Object] = {}
        """What each user's object would be without Slipway."""
        self.config = False
        """Whether the Deployment uses a ConfigMap and a Secret."""

    # Whole objects

    def create(self, kind: Kind, obj: Object) -> None:
        if self._api.terminating:
            return  # whoever wanted it knows by now
        self._api.create(kind, obj, ALICE)
        self.wanted[kind, _key(obj)] = completed(kind, obj)

    def put(self, kind: Kind, key: Key) -> None:
        """``kubectl replace`` of the manifest: every annotation of ours is dropped."""
        self._api.put(kind, self.wanted[kind, key], ALICE)

    def delete(self, kind: Kind, key: Key) -> Object | None:
        """Returns what was deleted, as its user would create it again; None if it is not there."""
        wanted = self.wanted.pop((kind, key), None)
        if wanted is not None and self._api.find(kind, *key):
            self._api.delete(kind, key)
        return wanted

    def patch(
        self,
        kind: Kind,
        key: Key,
        patch: Object,
        who: Who = ALICE,
        *,
        subresource: str | None = None,
    ) -> None:
        """A merge patch, to the cluster and to the copy."""
        if (kind, key) not in self.wanted:
            return
        self._api.patch(kind, key, patch, who, subresource=subresource)
        self.wanted[kind, key] = completed(kind, merged(self.wanted[kind, key], patch))

    def set_policy(self, spec: Object) -> None:
        """Make the policy, or edit it."""
        body = shop.policy(spec)
        if self._api.find(CLUSTERRELEASEPOLICIES, "", "default"):
            self._api.put(CLUSTERRELEASEPOLICIES, body, ALICE)
        else:
            self._api.create(CLUSTERRELEASEPOLICIES, body, ALICE)

    def delete_policy(self) -> None:
        if self._api.find(CLUSTERRELEASEPOLICIES, "", "default"):
            self._api.delete(CLUSTERRELEASEPOLICIES, ("", "default"))

    # The Deployment

    @property
    def deployment(self) -> Object | None:
        return self._api.find(DEPLOYMENTS, *WEB)

    def found(self, name: str) -> Object | None:
        """A Deployment by name."""
        return self._api.find(DEPLOYMENTS, shop.NAMESPACE, name)

    @property
    def version(self) -> str:
        """The version that the user asked for last."""
        wanted = self.wanted[DEPLOYMENTS, WEB]
        image: str = wanted["spec"]["template"]["spec"]["containers"][0]["image"]
        return image.partition(":")[2]

    def looks_like(self, version: str) -> bool:
        """Whether the Deployment shows a version that its user has just turned away from.

        Nothing tells an apply of that version from a write that leaves the template alone.
        """
        found = self.deployment
        if found is None or version == self.version:
            return False
        asked = shop.pod_spec(version, config=self.config)["containers"]
        return bool(plain(found["spec"]["template"])["spec"]["containers"] == asked)

    def apply(self, version: str, **spec: Any) -> None:
        """``kubectl set image`` or apply: the template, and maybe more in the same write."""
        if self.looks_like(version):
            return
        template = {"spec": shop.pod_spec(version, config=self.config)}
        self.patch(DEPLOYMENTS, WEB, {"spec": {"template": template, **spec}})

    def replace_with(self, version: str) -> None:
        """``kubectl replace`` with a new image: a full-object PUT of the manifest."""
        if (DEPLOYMENTS, WEB) not in self.wanted or self.looks_like(version):
            return
        template = {"spec": shop.pod_spec(version, config=self.config)}
        new = merged(self.wanted[DEPLOYMENTS, WEB], {"spec": {"template": template}})
        self._api.put(DEPLOYMENTS, new, ALICE)
        self.wanted[DEPLOYMENTS, WEB] = new

    def set_image(self, version: str) -> None:
        """``kubectl set image``: the rest of the template is as it is shown."""
        path, image = "/spec/template/spec/containers/0/image", f"web:{version}"
        change = {"op": "replace", "path": path, "value": image}
        self._api.patch(DEPLOYMENTS, WEB, [change], ALICE, _json())
        template = {"spec": shop.pod_spec(version, config=self.config)}
        wanted = merged(self.wanted[DEPLOYMENTS, WEB], {"spec": {"template": template}})
        self.wanted[DEPLOYMENTS, WEB] = wanted

    def scale(self, replicas: int) -> None:
        """``kubectl scale`` or an autoscaler: a write of the scale subresource."""
        patch = {"spec": {"replicas": replicas}}
        self.patch(DEPLOYMENTS, WEB, patch, AUTOSCALER, subresource="scale")

    def restart(self, when: str) -> None:
        """``kubectl rollout restart``, which is refused while the Deployment is paused."""
        if self.deployment and self.deployment["spec"].get("paused") is not True:
            stamp = {"kubectl.kubernetes.io/restartedAt": when}
            template = {"metadata": {"annotations": stamp}}
            self.patch(DEPLOYMENTS, WEB, {"spec": {"template": template}}, ROLLOUT)

    def pause(self) -> None:
        if self.deployment and self.deployment["spec"].get("paused") is not True:
            self.patch(DEPLOYMENTS, WEB, {"spec": {"paused": True}}, ROLLOUT)

    def resume(self) -> None:
        """``kubectl rollout resume``, which is refused unless the Deployment is paused."""
        if self.deployment and self.deployment["spec"].get("paused") is True:
            self.patch(DEPLOYMENTS, WEB, {"spec": {"paused": None}}, ROLLOUT)

    def undo(self) -> None:
        """``kubectl rollout undo``: the template of the revision before, from its ReplicaSet."""
        found = self.deployment
        if (DEPLOYMENTS, WEB) not in self.wanted:
            return  # its namespace is going
        if found is None or found["spec"].get("paused") is True:
            return
        uid = found["metadata"]["uid"]
        revisions = [
            rs
            for rs in self._api.all(REPLICASETS)
            if rs["metadata"]["ownerReferences"][0]["uid"] == uid
        ]
        revisions.sort(key=lambda rs: int(rollout.note(rs, rollout.REVISION) or 0))
        if len(revisions) < 2:
            return
        template = _without(revisions[-2]["spec"]["template"], lambda key: key == HASH)
        self._api.patch(DEPLOYMENTS, WEB, [_replace(template)], ROLLOUT, _json())
        mine = plain(_without(template, lambda key: key.startswith(names.PREFIX)))
        self.wanted[DEPLOYMENTS, WEB] = with_spec(self.wanted[DEPLOYMENTS, WEB], template=mine)

    # Services and routes

    def routes(self) -> list[tuple[Kind, Key]]:
        return [where for where in self.wanted if where[0] in (HTTPROUTES, INGRESSES)]

    def services(self) -> list[tuple[Kind, Key]]:
        return [where for where in self.wanted if where[0] is SERVICES]


def _json() -> Any:
    from webhook.cluster.wire import PatchType  # noqa: PLC0415 only one user of it

    return PatchType.JSON


def _replace(template: Object) -> Object:
    return {"op": "replace", "path": "/spec/template", "value": template}


def _without(template: Object, ours: Any) -> Object:
    """A template without the keys of metadata that are named."""
    parts = {}
    for part in ("labels", "annotations"):
        kept = {k: v for k, v in (template["metadata"].get(part) or {}).items() if not ours(k)}
        parts[part] = kept or None
    return with_meta(template, **parts)


def _key(obj: Object) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace") or "", meta["name"]


__all__ = ["ALICE", "AUTOSCALER", "ROLLOUT", "WEB", "Refused", "Users"]
