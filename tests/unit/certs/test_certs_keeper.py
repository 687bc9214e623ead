"""The keeper: Secret, caBundle and leaf, against an API server's answers."""

import asyncio
import base64
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from certs_fakes import FakeClock, FakeCluster, configuration
from cryptography import x509

from certs import bundle, publish, tls
from certs.authority import Authority
from certs.keeper import CertificateKeeper, Clock, Material
from certs.leaf import Subject
from certs.publish import NotPublishedError
from certs.trust import EphemeralAuthority, SecretAuthority, Source, TrustNotSettledError
from webhook.cluster import errors
from webhook.cluster.errors import Call
from webhook.cluster.kinds import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    SECRETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from webhook.cluster.wire import PatchType

SUBJECT = Subject.of_service("slipway-webhook", "slipway-system")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.put(MUTATINGWEBHOOKCONFIGURATIONS, configuration(None, None))
    cluster.put(VALIDATINGWEBHOOKCONFIGURATIONS, configuration(None))
    return cluster


def replica(
    cluster: FakeCluster,
    clock: FakeClock,
    source: Source | None = None,
    on_renewal: Callable[[Material], None] = lambda material: None,
) -> CertificateKeeper:
    source = source or SecretAuthority(cluster, "slipway-system", "slipway-webhook-certs")
    ticking = Clock(clock.now, clock.sleep, lambda: 0.5)
    return CertificateKeeper(
        cluster, source, SUBJECT, "slipway", on_renewal=on_renewal, clock=ticking
    )


def published(cluster: FakeCluster) -> set[bytes]:
    """The distinct bundles in all webhooks of both configurations."""
    kinds = (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS)
    return {
        base64.b64decode(webhook["clientConfig"].get("caBundle", ""))
        for kind in kinds
        for webhook in cluster.objects[kind.kind, "slipway"]["webhooks"]
    }


def secret(cluster: FakeCluster) -> dict[str, bytes]:
    data = cluster.objects["Secret", "slipway-webhook-certs"]["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


async def test_a_new_installation_gets_a_ca_a_leaf_and_a_bundle(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """One look on an empty cluster, and the API server can call."""
    material = await replica(cluster, clock).ensure()
    assert published(cluster) == {material.ca_bundle} == {secret(cluster)["ca.crt"]}
    assert material.leaf.signed_by(
        Authority.load(secret(cluster)["ca.crt"], secret(cluster)["ca.key"])
    )


async def test_a_look_at_what_is_right_writes_nothing(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """Neither this replica nor another one writes what is there already."""
    await replica(cluster, clock).ensure()
    cluster.writes.clear()
    again = replica(cluster, clock)
    first = await again.ensure()
    assert await again.ensure() == first
    assert cluster.writes == []


async def test_two_replicas_that_start_at_once_share_one_ca(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """The one that loses the race reads the winner's CA and signs with it."""
    one, two = await asyncio.gather(*(replica(cluster, clock).ensure() for _ in range(2)))
    assert cluster.writes.count("create Secret") == 1
    assert one.ca_bundle == two.ca_bundle
    assert published(cluster) == {one.ca_bundle}
    assert one.leaf.certificate != two.leaf.certificate


async def test_a_bundle_that_an_upgrade_dropped_comes_back(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """A configuration made anew has no caBundle until the next look."""
    keeper = replica(cluster, clock)
    material = await keeper.ensure()
    cluster.put(MUTATINGWEBHOOKCONFIGURATIONS, configuration("b3RoZXI=", None))
    await keeper.ensure()
    assert published(cluster) == {material.ca_bundle}


async def test_a_configuration_that_changed_in_between_is_read_again(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """A write by index never lands on a configuration other than the one that was read."""
    call = Call("patch", "MutatingWebhookConfiguration", "slipway")
    cluster.fail["patch MutatingWebhookConfiguration"] = [
        errors.Invalid(call, "test failed"),
        errors.Conflict(call, "changed"),
    ]
    material = await replica(cluster, clock).ensure()
    assert published(cluster) == {material.ca_bundle}


async def test_a_stale_patch_is_refused_by_its_own_test(cluster: FakeCluster) -> None:
    """The resourceVersion in the patch is a precondition."""
    stale = publish.patch(cluster.objects["MutatingWebhookConfiguration", "slipway"], "bmV3")
    cluster.put(MUTATINGWEBHOOKCONFIGURATIONS, configuration(None))
    with pytest.raises(errors.Invalid):
        await cluster.patch(MUTATINGWEBHOOKCONFIGURATIONS, "slipway", stale, content=PatchType.JSON)


async def test_a_missing_configuration_does_not_stop_the_webhook(clock: FakeClock) -> None:
    """It may be installed later; the certificate is there by then."""
    keeper = replica(FakeCluster(), clock)
    await keeper.ensure()
    assert keeper.healthy() == (True, "")


async def test_endless_races_end_with_an_error_that_names_the_object(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """A fight with another writer is reported, not fought for ever."""
    call = Call("patch", "Secret", "s")
    cluster.fail["create Secret"] = [errors.AlreadyExists(call, "") for _ in range(9)]
    with pytest.raises(TrustNotSettledError, match="slipway-webhook-certs"):
        await replica(cluster, clock).ensure()
    cluster.fail["create Secret"] = []
    cluster.fail["patch MutatingWebhookConfiguration"] = [
        errors.Conflict(call, "") for _ in range(9)
    ]
    with pytest.raises(NotPublishedError, match="slipway"):
        await replica(cluster, clock).ensure()


async def test_a_leaf_is_renewed_before_it_expires(cluster: FakeCluster, clock: FakeClock) -> None:
    """Kept until its time, replaced after it, by the same CA."""
    keeper = replica(cluster, clock)
    first = await keeper.ensure()
    clock.pass_by(days=4)
    assert (await keeper.ensure()).leaf == first.leaf
    clock.pass_by(days=1)
    second = await keeper.ensure()
    assert second.not_after > first.not_after
    assert second.ca_bundle == first.ca_bundle


async def test_a_leaf_is_renewed_though_the_bundle_cannot_be_written(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """A right that was taken away must not let the certificate expire."""
    keeper = replica(cluster, clock)
    first = await keeper.ensure()
    clock.pass_by(days=6)
    denied = errors.Forbidden(Call("get", "MutatingWebhookConfiguration"), "no")
    cluster.fail["get MutatingWebhookConfiguration"] = [denied]
    with pytest.raises(errors.Forbidden):
        await keeper.ensure()
    clock.pass_by(days=2)
    assert clock.now() > first.not_after
    assert keeper.healthy() == (True, "")


async def test_a_ca_near_its_end_is_replaced_and_stays_trusted(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """Leaves of the old CA, which other replicas still serve, keep working."""
    first = await replica(cluster, clock).ensure()
    clock.pass_by(days=340)
    second = await replica(cluster, clock).ensure()
    stored = secret(cluster)
    assert second.leaf.signed_by(Authority.load(stored["ca.crt"], stored["ca.key"]))
    assert stored["ca.crt"] != first.ca_bundle
    assert first.ca_bundle in second.ca_bundle
    assert len(bundle.parse(second.ca_bundle)) == 2
    assert stored["previous-ca.crt"] == first.ca_bundle
    clock.pass_by(days=40)
    assert len(bundle.parse((await replica(cluster, clock).ensure()).ca_bundle)) == 1


async def test_a_secret_of_nonsense_is_replaced(cluster: FakeCluster, clock: FakeClock) -> None:
    """A damaged Secret costs a new CA, not an outage."""
    cluster.put(SECRETS, {"metadata": {"name": "slipway-webhook-certs"}, "data": {"ca.crt": "%%%"}})
    material = await replica(cluster, clock).ensure()
    assert published(cluster) == {material.ca_bundle} == {secret(cluster)["ca.crt"]}


async def test_without_the_right_to_secrets_a_ca_in_memory_serves(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """One process out of cluster needs no Secret."""
    keeper = replica(cluster, clock, EphemeralAuthority())
    material = await keeper.ensure()
    assert published(cluster) == {material.ca_bundle}
    assert ("Secret", "slipway-webhook-certs") not in cluster.objects
    clock.pass_by(days=340)
    assert len(bundle.parse((await keeper.ensure()).ca_bundle)) == 2


async def test_readiness_says_why_there_is_no_certificate(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """Before the first one, and after its end."""
    keeper = replica(cluster, clock)
    assert keeper.healthy() == (False, "no serving certificate yet")
    await keeper.ensure()
    clock.pass_by(days=8)
    well, reason = keeper.healthy()
    assert not well
    assert reason.startswith("the serving certificate expired at 2026-03-08")


def test_a_context_is_not_served_without_a_certificate(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """The mistake is named where it is made."""
    with pytest.raises(RuntimeError, match="ensure"):
        replica(cluster, clock).apply_to(tls.server_context())


async def test_new_connections_get_the_new_certificate_and_old_ones_go_on(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """A renewal on a listening server over loopback breaks nothing."""
    ticking = FakeClock()
    # OpenSSL judges by the real clock: the first look was five days ago, the second is now.
    ticking.time = Clock().now() - timedelta(days=5)
    keeper = replica(cluster, ticking)
    material = await keeper.ensure()
    context = tls.server_context()
    keeper.apply_to(context)
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        old_reader, old_writer, first = await _connect(port, material)
        ticking.pass_by(days=5)
        renewed = await keeper.ensure()
        _, new_writer, second = await _connect(port, renewed)
        old_writer.write(b"still here\n")
        assert await old_reader.readline() == b"still here\n"
        for writer in (old_writer, new_writer):
            writer.close()
            with suppress(ssl.SSLError):
                await writer.wait_closed()
    assert (first, second) == (material.leaf.certificate, renewed.leaf.certificate)
    assert first != second


async def test_a_failed_look_is_repeated_a_minute_later(
    cluster: FakeCluster, clock: FakeClock
) -> None:
    """An API server that is away for a while leaves the certificate in use."""
    renewals: asyncio.Queue[Material] = asyncio.Queue()
    keeper = replica(cluster, clock, on_renewal=renewals.put_nowait)
    await keeper.ensure()
    first = renewals.get_nowait()
    away = errors.Unavailable(Call("get", "Secret"), "no answer")
    cluster.fail["get Secret"] = [away, away]
    clock.pass_by(days=6)
    running = asyncio.create_task(keeper.run())
    async with asyncio.timeout(10):
        second = await renewals.get()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert cluster.fail["get Secret"] == []
    assert second.not_after > first.not_after > clock.now()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def _connect(
    port: int, material: Material
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, x509.Certificate]:
    """Connect as the API server does: its name, only our bundle trusted."""
    client = ssl.create_default_context(cadata=material.ca_bundle.decode())
    name = "slipway-webhook.slipway-system.svc"
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client, server_hostname=name
    )
    connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
    assert connection.version() == "TLSv1.3"
    der = connection.getpeercert(binary_form=True)
    assert der
    return reader, writer, x509.load_der_x509_certificate(der)
