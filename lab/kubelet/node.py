"""The node: takes every pod that waits for one, and follows each to its end."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import aiohttp

from lab.kubelet.client import Client
from lab.kubelet.container import now_text
from lab.kubelet.pod import Pod
from lab.kubelet.status import Object

_NODES: Final = "/api/v1/nodes"
_MERGE: Final = "application/strategic-merge-patch+json"
_LAST_BLOCK: Final = 254  # 10.244.255.x is for programs that a lab runs beside the pods


class Node:
    """A kubelet and, since a lab has no scheduler, the scheduler too."""

    def __init__(self, name: str, client: Client, session: aiohttp.ClientSession) -> None:
        self.pods: dict[str, Pod] = {}
        """By uid."""
        self._name = name
        self._client = client
        self._session = session
        self._labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        self._binding: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._addresses = _addresses()

    async def run(self) -> None:
        """Register, then serve pods until cancelled."""
        await self._register()
        async for kind, thing in self._client.follow("/api/v1/pods"):
            if kind == "RELISTED":
                self._relist(thing["items"])
            elif kind == "DELETED":
                self._forget(thing["metadata"]["uid"])
            else:
                self._see(thing)

    def find(self, name: str) -> Pod | None:
        """The pod with that ``namespace/name``, or None."""
        return next((pod for pod in self.pods.values() if pod.name == name), None)

    async def _register(self) -> None:
        metadata: dict[str, Any] = {"name": self._name, "labels": self._labels}
        await self._client.send("POST", _NODES, {"metadata": metadata, "spec": {}})
        untaint = {"spec": {"taints": None}}  # admission taints each new node as not ready
        await self._client.send("PATCH", f"{_NODES}/{self._name}", untaint, _MERGE)
        size = {"cpu": "1000", "memory": "1000Gi", "pods": "10000"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {"status": {"capacity": size, "allocatable": size, "conditions": [ready]}}
        await self._client.send("PATCH", f"{_NODES}/{self._name}/status", status, _MERGE)

    def _relist(self, pods: list[Object]) -> None:
        there = {pod["metadata"]["uid"] for pod in pods}
        for uid in set(self.pods) - there:
            self._forget(uid)
        for pod in pods:
            self._see(pod)

    def _see(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self.pods:
            self.pods[uid].see(pod)
        elif not pod["spec"].get("nodeName"):
            self._schedule(pod)
        elif pod["spec"]["nodeName"] == self._name and _unfinished(pod):
            address = pod.get("status", {}).get("podIP") or next(self._addresses)
            self.pods[uid] = Pod(pod, address, self._client, self._session)
            self._spawn(self.pods[uid].run())

    def _schedule(self, pod: Object) -> None:
        spec, uid = pod["spec"], pod["metadata"]["uid"]
        ours = spec.get("schedulerName", "default-scheduler") == "default-scheduler"
        ending = pod["metadata"].get("deletionTimestamp")
        if spec.get("schedulingGates") or ending or not ours or uid in self._binding:
            return
        wanted: dict[str, str] = spec.get("nodeSelector", {})
        if wanted.items() <= self._labels.items():
            self._binding.add(uid)
            self._spawn(self._bind(pod))
        elif not unschedulable(pod):
            self._spawn(self._refuse(pod))

    async def _refuse(self, pod: Object) -> None:
        """Say what a scheduler says of a pod that no node takes."""
        why = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        condition = {**refused, "message": why, "lastTransitionTime": now_text()}
        body = {
            "metadata": {"uid": pod["metadata"]["uid"]},
            "status": {"phase": "Pending", "conditions": [condition]},
        }
        await self._client.send("PATCH", f"{_path(pod)}/status", body, _MERGE)

    async def _bind(self, pod: Object) -> None:
        meta = pod["metadata"]
        body = {
            "metadata": {"name": meta["name"], "uid": meta["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self._name},
        }
        await self._client.send("POST", f"{_path(pod)}/binding", body)
        self._binding.discard(meta["uid"])

    def _forget(self, uid: str) -> None:
        pod = self.pods.pop(uid, None)
        if pod:
            pod.vanish()

    def _spawn(self, life: Any) -> None:
        task = asyncio.create_task(life)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            message = {"message": "a pod's life ended by a bug", "exception": error}
            task.get_loop().call_exception_handler(message)


def _path(pod: Object) -> str:
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


def unschedulable(pod: Object) -> bool:
    """Whether a scheduler has said that no node takes it."""
    known = pod.get("status", {}).get("conditions", ())
    return any(c.get("reason") == "Unschedulable" and c["status"] == "False" for c in known)


def _unfinished(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def _addresses() -> Iterator[str]:
    """Addresses for pods, each used again as late as possible."""
    for number in count(256):
        block, host = divmod(number % (_LAST_BLOCK * 256), 256)
        if block and host not in (0, 255):
            yield f"10.244.{block}.{host}"
