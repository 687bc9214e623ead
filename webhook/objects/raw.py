"""A Kubernetes object as it is on the wire."""

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""As the API server sent it. Never changed in place; see `webhook.projection.fields`."""
