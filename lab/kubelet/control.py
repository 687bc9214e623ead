"""A door for tests: make a pod crash, change its mind about being ready, or lose its machine."""

from collections.abc import Callable

from aiohttp import web

from lab.kubelet.node import Node
from lab.kubelet.pod import Pod


def application(node: Node) -> web.Application:
    """``POST /crash?pod=NS/NAME[&down=SECONDS]``, ``/ready?pod=``, ``/unready``, ``/lose``."""

    def route(path: str, act: Callable[[Pod, web.Request], None]) -> web.RouteDef:
        async def handler(request: web.Request) -> web.Response:
            pod = node.find(request.query.get("pod", ""))
            if pod is None:
                return web.Response(status=404, text="no such pod on this node\n")
            act(pod, request)
            return web.Response(text="done\n")

        return web.post(path, handler)

    app = web.Application()
    acts = {"/crash": _crash, "/ready": _ready, "/unready": _unready, "/lose": _lose}
    app.add_routes([route(path, act) for path, act in acts.items()])
    return app


def _crash(pod: Pod, request: web.Request) -> None:
    down = request.query.get("down")
    pod.containers[0].crash(None if down is None else float(down))


def _ready(pod: Pod, _: web.Request) -> None:
    pod.containers[0].server.force_ready(True)


def _unready(pod: Pod, _: web.Request) -> None:
    pod.containers[0].server.force_ready(False)


def _lose(pod: Pod, _: web.Request) -> None:
    pod.lose()
