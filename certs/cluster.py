"""The little that certificates need of the API server."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from webhook.cluster.kinds import Kind, Object
from webhook.cluster.wire import PatchType


class Cluster(Protocol):
    """Three calls of ``webhook.cluster.client.Client``; they raise ``webhook.cluster.errors``."""

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """Read one object."""
        ...

    async def create(self, kind: Kind, body: Object, namespace: str | None = None) -> Object:
        """Create one object."""
        ...

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Mapping[str, Any] | Sequence[Any],
        namespace: str | None = None,
        *,
        content: PatchType = PatchType.MERGE,
    ) -> Object:
        """Change parts of one object."""
        ...
