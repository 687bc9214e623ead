"""The composition root: the only place where things are built and wired together."""

import asyncio
import os
import secrets
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any

import structlog

from certs import tls
from certs.keeper import CertificateKeeper, Material
from certs.leaf import Subject
from certs.trust import EphemeralAuthority, SecretAuthority
from webhook.admission.server import AdmissionServer
from webhook.cluster import install
from webhook.cluster.apply import Actuator
from webhook.cluster.client import Client
from webhook.cluster.contents import Informed, look
from webhook.cluster.kinds import RELEASES, Kind
from webhook.cluster.lease import LeaseElector
from webhook.cluster.policies import FOLLOWED, Policies
from webhook.cluster.snapshot import CLUSTER_WIDE
from webhook.cluster.snapshots import SnapshotKeeper
from webhook.cluster.store import Store
from webhook.cluster.world import StoreWorld
from webhook.config import (
    Address,
    Common,
    DetachConfig,
    ReconcilerConfig,
    RunConfig,
    WebhookConfig,
)
from webhook.mutation.contents import contents_needed
from webhook.mutation.mutate import mutate
from webhook.mutation.request import Outcome, Request
from webhook.mutation.validate import validate
from webhook.mutation.world import World
from webhook.projection.config import Ref
from webhook.reconciler.active import highest_term
from webhook.reconciler.config import ConfigReconciler
from webhook.reconciler.counting import Counting
from webhook.reconciler.counts import count_releases
from webhook.reconciler.detach import NotDetached, detach, remains
from webhook.reconciler.loop import Reconciler, follow_cluster
from webhook.telemetry import metrics

log = structlog.get_logger(__name__)

_SYNC = 30.0
"""Seconds for all watches to be complete at the start."""
_STALE = 180.0
"""Seconds without a word from a watch after which a program is not ready; bookmarks come each
minute."""
_WEBHOOK_KINDS: tuple[Kind, ...] = (*FOLLOWED, RELEASES)
_RECONCILER_KINDS: tuple[Kind, ...] = (*FOLLOWED, *CLUSTER_WIDE)


async def serve_webhook(config: WebhookConfig) -> None:
    """Serve admission until SIGTERM, then drain."""
    async with _cluster(config.common) as (client, store):
        await follow_cluster(store, _WEBHOOK_KINDS, _SYNC)
        namespace = config.common.namespace
        keeper = CertificateKeeper(
            client,
            SecretAuthority(client, namespace, config.secret),
            Subject.of_service(config.service, namespace),
            config.webhook_configuration,
            on_renewal=_expires,
        )
        await keeper.ensure()
        world = _world(store, config.common, config.common.own_identity())
        ready = _both(keeper.healthy, partial(store.healthy, _STALE))
        server = _admission(client, world, ready)
        context = tls.server_context(_TLS[config.tls_minimum])
        keeper.apply_to(context)
        await server.start(config.listen.host, config.listen.port, context)
        await _plain(server, config.metrics_listen)
        async with _background(keeper.run(), _report(store)):
            await _told_to_stop()
            await server.drain()
        await server.stop()


async def run_reconciler(config: ReconcilerConfig) -> None:
    """Campaign for the Lease and run releases while leading, until SIGTERM."""
    async with _cluster(config.common) as (client, store):
        await follow_cluster(store, _RECONCILER_KINDS, _SYNC)
        server = _health(partial(store.healthy, _STALE))
        await _plain(server, config.metrics_listen)
        async with _background(_report(store)):
            await _until_stopped(
                _lead(client, store, config.common, config.lease, pod_metrics=config.pod_metrics)
            )
        await server.stop()


async def run_both(config: RunConfig) -> None:
    """Webhook and reconciler in one process; what was installed for it is taken away at the end."""
    async with _cluster(config.common) as (client, store):
        await install.prepare(client, config.common.namespace, default_policy=config.default_policy)
        await follow_cluster(store, _RECONCILER_KINDS, _SYNC)
        subject = Subject(ips=(ip_address(config.listen.host),))
        keeper = CertificateKeeper(client, EphemeralAuthority(), subject, None)
        material = await keeper.ensure()
        identity = config.common.identity or await client.whoami()
        world = _world(store, config.common, identity)
        server = _admission(client, world, _both(keeper.healthy, partial(store.healthy, _STALE)))
        context = tls.server_context()
        keeper.apply_to(context)
        port = await server.start(config.listen.host, config.listen.port, context)
        await _plain(server, config.metrics_listen)
        address = Address(config.listen.host, port)
        await install.configure(
            client,
            address,
            material.ca_bundle,
            excluded=(config.common.namespace, *config.excluded_namespaces),
        )
        log.info("running", url=install.url(address, ""), identity=identity)
        try:
            async with _background(keeper.run(), _report(store)):
                await _until_stopped(
                    _lead(
                        client, store, config.common, config.lease, pod_metrics=config.pod_metrics
                    )
                )
        finally:
            await install.unconfigure(client)
            await server.drain(grace=0.2)
            await server.stop()


async def run_detach(config: DetachConfig) -> None:
    """Take Slipway out of the cluster; raises NotDetached with what is left in the end."""
    async with _cluster(config.common) as (client, store):
        namespace = config.common.namespace
        if config.reconciler:
            await install.stop_deployment(client, namespace, config.reconciler)
        await follow_cluster(store, _RECONCILER_KINDS, _SYNC)

        done = False

        async def work(
            reconciler: Reconciler, actuator: Actuator, contents: ConfigReconciler | None
        ) -> None:
            nonlocal done
            await detach(
                client,
                store,
                reconciler,
                actuator,
                configuration=config.webhook_configuration,
                admission_policy=config.admission_policy,
                config=contents,
            )
            done = True

        async def in_time() -> None:
            async with asyncio.timeout(config.timeout):
                await _campaign(client, store, config.common, config.lease, work, detaching=True)

        with suppress(TimeoutError):
            await _until_stopped(in_time())
        if not done:
            raise NotDetached(await remains(client, store))
        log.info("detached")


async def _lead(
    client: Client, store: Store, common: Common, lease: str, *, pod_metrics: bool
) -> None:
    async def work(
        reconciler: Reconciler, _actuator: Actuator, contents: ConfigReconciler | None
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(reconciler.run())
            if contents is not None:
                group.create_task(contents.run())

    await _campaign(client, store, common, lease, work, pod_metrics=pod_metrics)


async def _campaign(
    client: Client,
    store: Store,
    common: Common,
    lease: str,
    work: Callable[[Reconciler, Actuator, ConfigReconciler | None], Coroutine[Any, Any, None]],
    *,
    detaching: bool = False,
    pod_metrics: bool = False,
) -> None:
    """Do the work while holding the Lease, until the work ends."""
    instance = f"{socket.gethostname()}_{secrets.token_hex(4)}"
    elector = LeaseElector(client, common.namespace, lease, instance)

    async def lead(term: int) -> None:
        log.info("leading", term=term)
        actuator = Actuator(client, store, term=term, instance=instance, leads=elector)
        reconciler = Reconciler(
            client,
            store,
            Policies(store),
            actuator,
            detaching=detaching,
            counting=Counting(store) if pod_metrics else None,
        )
        contents = None
        if common.config_guard:
            world = _world(store, common, common.own_identity())
            keeper = SnapshotKeeper(client, store, world, term=term, leads=elector)
            contents = ConfigReconciler(client, store, Policies(store), keeper)
        await work(reconciler, actuator, contents)

    await elector.run(lead, floor=partial(highest_term, store))


def _world(store: Store, common: Common, identity: str) -> StoreWorld:
    return StoreWorld(store, identity, guards_config=common.config_guard)


def _admission(
    client: Client, world: World, ready: Callable[[], tuple[bool, str]]
) -> AdmissionServer:
    def decide(request: Request) -> Outcome | Awaitable[Outcome]:
        needed = contents_needed(request, world) if world.guards_config else ()
        if needed:
            return informed(request, needed)
        return mutate(request, world, datetime.now(UTC))

    async def informed(request: Request, needed: tuple[Ref, ...]) -> Outcome:
        known = await look(client, request.namespace, needed)
        return mutate(request, Informed(world, known), datetime.now(UTC))

    return AdmissionServer(
        mutate=decide,
        validate=validate,
        ready=ready,
        metrics=metrics.render,
        observer=_Counted(),
    )


def _health(ready: Callable[[], tuple[bool, str]]) -> AdmissionServer:
    """The plain listener alone: the reconciler takes no reviews."""
    return AdmissionServer(mutate=_unasked, validate=_unasked, ready=ready, metrics=metrics.render)


def _unasked(request: Request) -> Outcome:
    return Outcome(object=request.object)


_requests = lru_cache(maxsize=256)(metrics.WEBHOOK_REQUESTS.labels)  # looking one up is dear


class _Counted:
    """Metrics of the admission server."""

    def reviewed(self, operation: str, kind: str, result: str, seconds: float) -> None:
        _requests(operation, kind, result).inc()
        metrics.WEBHOOK_DURATION.observe(seconds)

    def failed(self, cause: str) -> None:
        metrics.WEBHOOK_FAILURES.labels(cause).inc()


_TLS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def _expires(material: Material) -> None:
    metrics.CERTIFICATE_NOT_AFTER.set(material.not_after.timestamp())


def _both(*checks: Callable[[], tuple[bool, str]]) -> Callable[[], tuple[bool, str]]:
    def ready() -> tuple[bool, str]:
        for check in checks:
            fine, why = check()
            if not fine:
                return False, why
        return True, ""

    return ready


async def _plain(server: AdmissionServer, address: Address | None) -> None:
    if address is not None:
        await server.start_plain(address.host, address.port)


async def _report(store: Store) -> None:
    """Keep the gauges up to date that no event sets."""
    while True:
        for kind, age in store.watch_age().items():
            metrics.WATCH_AGE.labels(kind).set(age)
        count_releases(store)
        await asyncio.sleep(5)


@asynccontextmanager
async def _cluster(common: Common) -> AsyncIterator[tuple[Client, Store]]:
    async with await Client.connect(common.kubeconfig, common.context) as client:
        store = Store(client)
        try:
            yield client, store
        finally:
            await store.close()


@asynccontextmanager
async def _background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work beside the body; it is cancelled at the end, and its failure ends the body."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(item) for item in work]
        yield
        for task in tasks:
            task.cancel()


async def _told_to_stop() -> None:
    """Return on SIGTERM or SIGINT; a second one ends the process at once."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        if told.is_set():
            os._exit(130)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await told.wait()
    log.info("stopping")


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Do work until told to stop; the work's own end or failure ends it as well."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(_told_to_stop())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
        return
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
