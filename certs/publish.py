"""Writes the caBundle into the webhook configurations, where the API server reads it."""

import base64
from typing import Any, Final

import structlog

from certs.cluster import Cluster
from webhook.cluster import errors
from webhook.cluster.kinds import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Kind,
    Object,
)
from webhook.cluster.wire import PatchType

log = structlog.get_logger(__name__)

CONFIGURATIONS: Final = (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS)
ATTEMPTS: Final = 5


class NotPublishedError(RuntimeError):
    """A webhook configuration kept changing under our writes."""


async def publish(cluster: Cluster, name: str, ca_bundle: bytes) -> None:
    """Make every webhook of the configurations ``name`` trust ``ca_bundle``; both kinds.

    Nothing is written where it is so already. A configuration that is not there is passed over:
    it may come later, and is asked for again at the next look.

    Raises:
        NotPublishedError: others won every race.

    """
    encoded = base64.b64encode(ca_bundle).decode()
    for kind in CONFIGURATIONS:
        await _publish(cluster, kind, name, encoded)


async def _publish(cluster: Cluster, kind: Kind, name: str, encoded: str) -> None:
    for _ in range(ATTEMPTS):
        try:
            found = await cluster.get(kind, name)
            changes = patch(found, encoded)
            if changes:
                await cluster.patch(kind, name, changes, content=PatchType.JSON)
                log.info("ca_bundle_published", kind=kind.kind, name=name)
        except errors.NotFound:
            log.warning("webhook_configuration_missing", kind=kind.kind, name=name)
        except (errors.Conflict, errors.Invalid):  # Invalid: the test on resourceVersion
            continue
        return
    raise NotPublishedError(
        f"{kind.kind} {name} changed at each of {ATTEMPTS} attempts to write its caBundle; is "
        "something else writing it?"
    )


def patch(configuration: Object, encoded: str) -> list[dict[str, Any]]:
    """Return the JSON Patch that sets caBundle where it differs; empty if it is right already.

    It holds only for the configuration it was made from: it finds webhooks by index.
    """
    webhooks = configuration.get("webhooks") or []
    writes = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": encoded}
        for index, webhook in enumerate(webhooks)
        if webhook["clientConfig"].get("caBundle") != encoded
    ]
    if not writes:
        return []
    version = configuration["metadata"]["resourceVersion"]
    return [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *writes]
