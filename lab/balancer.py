"""``python -m lab.balancer``: Services of one namespace, balanced as kube-proxy does.

Each connection to a cluster IP goes to a ready endpoint at random and stays there; changes of
EndpointSlices are gathered for a while first. Without a ready endpoint, one that is ending and
still serves takes the connection; without any, it is refused. Source: Kubernetes, reference of
kube-proxy (``--iptables-min-sync-period``) and "Virtual IPs and Service Proxies".
"""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import click
import uvloop

from lab.kubelet.client import Client, Object

_CHUNK: Final = 1 << 16
_SERVICE: Final = "kubernetes.io/service-name"

Endpoint = tuple[str, int]


class Balancer:
    """The Services of a namespace, each listening at its cluster IP."""

    def __init__(self, client: Client, namespace: str, sync: float) -> None:
        self._client, self._sync = client, sync
        self._services = f"/api/v1/namespaces/{namespace}/services"
        self._slices_of = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._slices: dict[str, Object] = {}
        self._listening: dict[tuple[str, int], asyncio.Server] = {}
        self._offered: dict[tuple[str, str], list[Endpoint]] = {}
        """By Service and port name: where connections go now."""
        self._late: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Follow both kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(self._services, self._see_service))
            group.create_task(self._follow(self._slices_of, self._see_slice))

    async def _follow(self, path: str, see: Callable[[str, Object], Awaitable[None]]) -> None:
        async for kind, thing in self._client.follow(path):
            for obj in thing["items"] if kind == "RELISTED" else [thing]:
                await see(kind, obj)

    async def _see_service(self, kind: str, obj: Object) -> None:
        address, name = obj["spec"].get("clusterIP"), obj["metadata"]["name"]
        if not address or address == "None":
            return
        for port in obj["spec"].get("ports") or ():
            where = (address, port["port"])
            if kind == "DELETED":
                if server := self._listening.pop(where, None):
                    server.close()
            elif where not in self._listening:
                answer = self._answer(name, port.get("name") or "")
                self._listening[where] = await asyncio.start_server(answer, *where)

    async def _see_slice(self, kind: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if kind == "DELETED":
            self._slices.pop(name, None)
        else:
            self._slices[name] = obj
        if self._late is None:
            self._late = asyncio.get_running_loop().call_later(self._sync, self._offer)

    def _offer(self) -> None:
        self._late = None
        ready: dict[tuple[str, str], list[Endpoint]] = {}
        ending: dict[tuple[str, str], list[Endpoint]] = {}
        for obj in self._slices.values():
            service = obj["metadata"]["labels"].get(_SERVICE, "")
            for port in obj.get("ports") or ():
                key = (service, port.get("name") or "")
                for endpoint in obj.get("endpoints") or ():
                    known = endpoint.get("conditions") or {}
                    into = ready if known.get("ready") is not False else ending
                    if known.get("ready") is not False or known.get("serving"):
                        address = (endpoint["addresses"][0], port["port"])
                        into.setdefault(key, []).append(address)
        self._offered = {**ending, **ready}

    def _answer(
        self, service: str, port: str
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                to = random.choice(self._offered[service, port])
                far_reader, far_writer = await asyncio.open_connection(*to)
            except (LookupError, OSError):
                writer.transport.abort()
                return
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

        return answer


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.close()
    except OSError:
        writer.transport.abort()


@click.command(help=__doc__)
@click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--namespace", required=True)
@click.option("--sync", default=1.0, show_default=True, help="Seconds that changes are gathered.")
def main(kubeconfig: Path, namespace: str, sync: float) -> None:
    """Run until SIGTERM."""
    uvloop.run(_run(kubeconfig, namespace, sync))


async def _run(kubeconfig: Path, namespace: str, sync: float) -> None:
    async with Client(kubeconfig) as client:
        life = asyncio.create_task(Balancer(client, namespace, sync).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, life.cancel)
        await asyncio.wait([life])
        if not life.cancelled():
            life.result()


if __name__ == "__main__":
    main()
