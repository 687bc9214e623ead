"""The contents of ConfigMaps and Secrets at the moment of a write, as digests and nothing else."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from webhook.cluster import errors
from webhook.cluster.client import Client
from webhook.cluster.kinds import CONFIGMAPS, SECRETS, Kind, Object
from webhook.mutation.world import Running, World
from webhook.objects.policy import Policy
from webhook.projection.config import CONFIGMAP, SECRET, Ref, live_digest

log = structlog.get_logger(__name__)

KINDS: Final[Mapping[str, Kind]] = {CONFIGMAP: CONFIGMAPS, SECRET: SECRETS}

_PATIENCE: Final = 2.0
"""Seconds that a write may wait for contents: less than half of the webhook's time-out."""


async def look(client: Client, namespace: str, refs: Iterable[Ref]) -> Mapping[Ref, str]:
    """Digests of those that are there and were read in time; the data itself is dropped at once.

    Never raises an ``errors.ApiError``: what is not known is left as it is.
    """
    wanted = tuple(refs)
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await asyncio.gather(*(_digest(client, namespace, ref) for ref in wanted))
    except TimeoutError:
        log.warning("config_not_read", namespace=namespace, error=f"not within {_PATIENCE:g} s")
        return {}
    return {ref: digest for ref, digest in zip(wanted, found, strict=True) if digest is not None}


async def _digest(client: Client, namespace: str, ref: Ref) -> str | None:
    try:
        return live_digest(await client.get(KINDS[ref.kind], ref.name, namespace))
    except errors.NotFound:
        return None
    except (errors.ApiError, ValueError) as error:  # ValueError: no name that an object can have
        log.warning("config_not_read", namespace=namespace, ref=str(ref), error=str(error))
        return None


@dataclass(frozen=True, slots=True)
class Informed:
    """A `World` that knows the contents which one write needs."""

    world: World
    known: Mapping[Ref, str]

    @property
    def identity(self) -> str:
        """User name under which Slipway's reconciler writes."""
        return self.world.identity

    @property
    def guards_config(self) -> bool:
        """Whether Slipway was given the right to read ConfigMaps and Secrets."""
        return self.world.guards_config

    def policy_for(self, namespace: str, deployment: Object) -> Policy | None:
        """The policy that guards this Deployment, None if it is not managed."""
        return self.world.policy_for(namespace, deployment)

    def running_in(self, namespace: str) -> Iterable[Running]:
        """The releases in flight in a namespace."""
        return self.world.running_in(namespace)

    def digest(self, namespace: str, ref: Ref) -> str | None:
        """The contents of a ConfigMap or Secret now; None if they are not known."""
        return self.known.get(ref)
