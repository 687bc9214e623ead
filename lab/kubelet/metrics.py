"""The resource metrics API, for autoscalers and `kubectl top`: pods use what a test says."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from lab.kubelet.client import Client
from lab.kubelet.node import Node
from lab.kubelet.status import Object
from lab.metrics import ADDRESS, CPU, PORT

_GROUP: Final = "metrics.k8s.io/v1beta1"
_ROOT: Final = f"/apis/{_GROUP}"
_PODS: Final = {
    "name": "pods",
    "singularName": "",
    "kind": "PodMetrics",
    "namespaced": True,
    "verbs": ["get", "list"],
}
_WINDOW: Final = 1  # seconds; an autoscaler waits for one after a pod is ready


class Traffic:
    """How many requests each pod of a node answered lately."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._before: dict[str, int] = {}
        self._now: dict[str, int] = {}

    async def run(self) -> None:
        """Count once a second until cancelled."""
        while True:
            self._before, self._now = self._now, self._counted()
            await asyncio.sleep(_WINDOW)

    def recent(self) -> dict[str, int]:
        """By uid, the requests since one to two seconds ago."""
        return {uid: n - self._before.get(uid, 0) for uid, n in self._counted().items()}

    def _counted(self) -> dict[str, int]:
        return {uid: pod.answered for uid, pod in self._node.pods.items()}


async def serve(client: Client, traffic: Traffic, cert: Path, key: Path) -> web.AppRunner:
    """Serve until the runner is cleaned up; the API server comes here by an APIService."""
    runner = web.AppRunner(_application(client, traffic), access_log=None)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    await web.TCPSite(runner, ADDRESS, PORT, ssl_context=tls).start()
    return runner


def _application(client: Client, traffic: Traffic) -> web.Application:
    async def resources(_: web.Request) -> web.Response:
        listing = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": _GROUP}
        return web.json_response({**listing, "resources": [_PODS]})

    async def pods(request: web.Request) -> web.Response:
        path = f"/api/v1/namespaces/{request.match_info['namespace']}"
        _, namespace = await client.send("GET", path)
        _, found = await client.send("GET", f"{path}/pods?{request.query_string}")
        cpu = (namespace["metadata"].get("annotations") or {}).get(CPU, "0")
        return web.json_response(pod_metrics(found.get("items", []), cpu, traffic.recent()))

    app = web.Application()
    app.add_routes([web.get(_ROOT, resources)])
    app.add_routes([web.get(f"{_ROOT}/namespaces/{{namespace}}/pods", pods)])
    return app


def pod_metrics(pods: list[Object], cpu: str, requests: Mapping[str, int]) -> Object:
    """A PodMetricsList: running pods use ``cpu`` together, each by its share of the requests."""
    running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
    answered = [requests.get(pod["metadata"]["uid"], 0) for pod in running]
    whole = sum(answered)
    shares = [n / whole if whole else 1 / len(running) for n in answered]
    used = [_millicores(cpu) * share for share in shares]
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    items = [_item(pod, millicores, now) for pod, millicores in zip(running, used, strict=True)]
    kind = {"kind": "PodMetricsList", "apiVersion": _GROUP, "metadata": {}}
    return {**kind, "items": items}


def _item(pod: Object, millicores: float, now: str) -> Object:
    meta = {key: pod["metadata"].get(key) for key in ("name", "namespace", "labels")}
    usage = {"cpu": f"{round(millicores * 1_000_000)}n", "memory": "16Mi"}
    first = pod["spec"]["containers"][0]["name"]
    return {
        "metadata": {**meta, "creationTimestamp": now},
        "timestamp": now,
        "window": f"{_WINDOW}s",
        "containers": [{"name": first, "usage": usage}],
    }


def _millicores(quantity: str) -> float:
    """A quantity of CPU: cores, or thousandths with an ``m``."""
    return float(quantity[:-1]) if quantity.endswith("m") else float(quantity) * 1000
