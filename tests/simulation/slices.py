"""The EndpointSlice controller: which pods each Service offers."""

from __future__ import annotations

import random
from collections.abc import Mapping

from tests.simulation.api_server import KUBE, ApiServer, Key
from tests.simulation.clock import Clock
from tests.simulation.deployments import is_ready
from tests.simulation.patches import Object
from webhook.cluster.kinds import ENDPOINTSLICES, PODS, SERVICES, Kind

SERVICE = "kubernetes.io/service-name"


class SliceController:
    """Writes one slice for each Service, a moment after something changed."""

    def __init__(self, clock: Clock, api: ApiServer, dice: random.Random, slowest: int) -> None:
        self._clock, self._api, self._dice, self._slowest = clock, api, dice, slowest
        self._booked: set[Key] = set()
        api.subscribe(self._changed)

    def _changed(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        meta = obj["metadata"]
        if kind is SERVICES:
            if old is None or type_ == "DELETED" or old["spec"] != obj["spec"]:
                self._book((meta["namespace"], meta["name"]))
        elif kind is PODS and (old is None or type_ == "DELETED" or _shape(old) != _shape(obj)):
            for service in self._api.all(SERVICES):
                if selects(service, obj) or (old is not None and selects(service, old)):
                    self._book((meta["namespace"], service["metadata"]["name"]))

    def _book(self, key: Key) -> None:
        if key not in self._booked:
            self._booked.add(key)
            self._clock.after(self._dice.randrange(2, self._slowest), self._sync, key)

    def _sync(self, key: Key) -> None:
        self._booked.discard(key)
        service = self._api.find(SERVICES, *key)
        name = f"{key[1]}-slice"
        there = self._api.find(ENDPOINTSLICES, key[0], name)
        if service is None:
            if there is not None:
                self._api.remove(ENDPOINTSLICES, (key[0], name))
            return
        pods = [pod for pod in self._api.all(PODS) if selects(service, pod)]
        endpoints = [_endpoint(pod) for pod in pods]
        if there is not None:
            self._api.write(ENDPOINTSLICES, {**there, "endpoints": endpoints})
            return
        meta = {"name": name, "namespace": key[0], "labels": {SERVICE: key[1]}}
        made = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta}
        self._api.create(ENDPOINTSLICES, {**made, "endpoints": endpoints}, KUBE)


def selects(service: Object, pod: Object) -> bool:
    """Whether the Service's selector, as it is now, takes in the pod."""
    if service["spec"].get("type") == "ExternalName":
        return False  # a name, whatever its selector says
    selector: Mapping[str, str] = service["spec"].get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())


def _shape(pod: Object) -> tuple[object, ...]:
    meta = pod["metadata"]
    return is_ready(pod), "deletionTimestamp" in meta, meta.get("labels")


def _endpoint(pod: Object) -> Object:
    ending = "deletionTimestamp" in pod["metadata"]
    return {
        "addresses": ["10.0.0.1"],
        "conditions": {"ready": is_ready(pod), "serving": True, "terminating": ending},
        "targetRef": {"kind": "Pod", "uid": pod["metadata"]["uid"]},
    }
