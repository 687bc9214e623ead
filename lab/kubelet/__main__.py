"""``python -m lab.kubelet``: one node whose pods are HTTP servers in this process."""

import asyncio
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import click
import uvloop
from aiohttp import web

from lab.kubelet import metrics
from lab.kubelet.client import Client
from lab.kubelet.control import application
from lab.kubelet.node import Node


@click.command(help=__doc__)
@click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--node", "name", default="lab", show_default=True, help="Name of the node.")
@click.option(
    "--control-port",
    default=10250,
    show_default=True,
    help="Port on 127.0.0.1 for POST /crash, /ready and /unready with ?pod=NAMESPACE/NAME.",
)
@click.option("--tls", nargs=2, type=click.Path(path_type=Path), help="Certificate and key.")
def main(kubeconfig: Path, name: str, control_port: int, tls: tuple[Path, Path] | None) -> None:
    """Run until SIGTERM; with ``--tls``, serve the resource metrics API too."""
    uvloop.run(_run(kubeconfig, name, control_port, tls))


async def _run(
    kubeconfig: Path, name: str, control_port: int, tls: tuple[Path, Path] | None
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_tell_bug)
    connector = aiohttp.TCPConnector(force_close=True, limit=0)  # a kubelet's probes do not reuse
    async with Client(kubeconfig) as client, aiohttp.ClientSession(connector=connector) as session:
        node = Node(name, client, session)
        runner = web.AppRunner(application(node), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", control_port).start()
        traffic = metrics.Traffic(node)
        runners = [runner, *([await metrics.serve(client, traffic, *tls)] if tls else [])]
        counting = asyncio.create_task(traffic.run())
        life = asyncio.create_task(node.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, life.cancel)
        await asyncio.wait([life])
        counting.cancel()
        for each in runners:
            await each.cleanup()
        if not life.cancelled():
            life.result()


def _tell_bug(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Write what no one awaited to the log; the other pods live on."""
    error = context.get("exception")
    print(context.get("message"), file=sys.stderr)  # noqa: T201  # its log is its stderr
    if error is not None:
        traceback.print_exception(error)


if __name__ == "__main__":
    main()
