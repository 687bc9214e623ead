"""The EndpointSlice controller: which pods each Service offers."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping

from tests.simulation.api_server import KUBE, ApiServer, Key
from tests.simulation.clock import Clock
from tests.simulation.deployments import is_ready
from tests.simulation.patches import Object
from webhook.cluster.kinds import ENDPOINTSLICES, PODS, SERVICES, Kind

SERVICE = "kubernetes.io/service-name"
Label = tuple[str, str]


class SliceController:
    """Writes one slice for each Service, a moment after something changed."""

    def __init__(self, clock: Clock, api: ApiServer, dice: random.Random, slowest: int) -> None:
        self._clock, self._api, self._dice, self._slowest = clock, api, dice, slowest
        self._booked: set[Key] = set()
        self._asked, self._pods = _ByLabel(), _ByLabel()
        """Services by the label that they ask for first; pods by each of theirs."""
        api.subscribe(self._changed)

    def _changed(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        meta = obj["metadata"]
        gone = type_ == "DELETED"
        if kind is SERVICES:
            asked = list((obj["spec"].get("selector") or {}).items())[:1]
            self._asked.put((meta["namespace"], meta["name"]), [] if gone else asked)
            if old is None or type_ == "DELETED" or old["spec"] != obj["spec"]:
                self._book((meta["namespace"], meta["name"]))
        elif kind is PODS and (old is None or gone or _shape(old) != _shape(obj)):
            for service in self._asking(obj, old or obj):
                if selects(service, obj) or (old is not None and selects(service, old)):
                    self._book((meta["namespace"], service["metadata"]["name"]))
            labels = (meta.get("labels") or {}).items()
            self._pods.put((meta["namespace"], meta["name"]), [] if gone else labels)

    def _asking(self, *pods: Object) -> list[Object]:
        """Services that may select one of these, the oldest first."""
        labels = {item for pod in pods for item in (pod["metadata"].get("labels") or {}).items()}
        keys = {key for item in labels for key in self._asked.found(item)}
        found = [obj for key in keys if (obj := self._api.find(SERVICES, *key))]
        return sorted(found, key=lambda obj: int(obj["metadata"]["uid"].rpartition("-")[2]))

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
        first = next(iter((service["spec"].get("selector") or {}).items()), None)
        near = [self._api.get(PODS, *key) for key in self._pods.found(first)]
        pods = [pod for pod in near if selects(service, pod)]
        endpoints = [_endpoint(pod) for pod in pods]
        if there is not None:
            self._api.write(ENDPOINTSLICES, {**there, "endpoints": endpoints})
            return
        if self._api.terminating:
            return
        meta = {"name": name, "namespace": key[0], "labels": {SERVICE: key[1]}}
        made = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta}
        self._api.create(ENDPOINTSLICES, {**made, "endpoints": endpoints}, KUBE)


class _ByLabel:
    """Objects by labels, so that in a crowd nobody looks at everybody."""

    def __init__(self) -> None:
        self._labels: dict[Key, tuple[Label, ...]] = {}
        self._keys: defaultdict[Label, dict[Key, None]] = defaultdict(dict)

    def put(self, key: Key, labels: Iterable[Label]) -> None:
        """An object has these labels now; none: it is gone."""
        before, now = self._labels.get(key, ()), tuple(labels)
        for label in before:
            if label not in now:
                del self._keys[label][key]
        for label in now:
            self._keys[label][key] = None
        self._labels[key] = now

    def found(self, label: Label | None) -> Iterable[Key]:
        """In the order in which they came."""
        return self._keys.get(label, ()) if label else ()


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
