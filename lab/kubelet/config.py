"""ConfigMaps and Secrets as a kubelet reads them: at each start of a container, and only then."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.kubelet.client import Client

Object = Mapping[str, Any]
Source = tuple[str, str]
"""(plural, name)."""

_NOT_STARTED: Final = "CreateContainerConfigError"
_NOT_MOUNTED: Final = "ContainerCreating"
_ALL_OF: Final = {"configMapRef": "configmaps", "secretRef": "secrets"}
_KEY_OF: Final = {"configMapKeyRef": "configmaps", "secretKeyRef": "secrets"}
_FILES: Final = {"configMap": "configmaps", "secret": "secrets"}


class ConfigMissing(Exception):
    """A container cannot start: its text says what is missing, ``reason`` goes into its status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Config:
    """What one pod reads from its namespace."""

    def __init__(self, pod: Object, client: Client) -> None:
        self._pod = pod
        self._client = client

    async def applied(self, container: Object) -> Object:
        """Give a container with plain values in its environment.

        Raises ConfigMissing where an object or a key is not there, and not optional.
        """
        read: dict[Source, Mapping[str, str] | None] = {}
        for plural, name, optional in _mounted(self._pod["spec"]):
            if await self._read(read, plural, name) is None and not optional:
                raise ConfigMissing(_NOT_MOUNTED, f"{plural} {name!r} not found")
        env: dict[str, str] = {}
        for entry in container.get("envFrom", ()):
            for field, plural in _ALL_OF.items():
                if field in entry:
                    found = await self._whole(read, plural, entry[field])
                    env |= {entry.get("prefix", "") + key: value for key, value in found.items()}
        for item in container.get("env", ()):
            value = await self._value(read, item)
            if value is not None:
                env[item["name"]] = value
        if not read:
            return container
        return {**container, "env": [{"name": name, "value": env[name]} for name in env]}

    async def _value(
        self, read: dict[Source, Mapping[str, str] | None], item: Object
    ) -> str | None:
        source = item.get("valueFrom") or {}
        for field, plural in _KEY_OF.items():
            if field in source:
                reference = source[field]
                found = await self._whole(read, plural, reference)
                if reference["key"] in found:
                    return found[reference["key"]]
                if reference.get("optional"):
                    return None
                what = f"no key {reference['key']!r} in {plural} {reference['name']!r}"
                raise ConfigMissing(_NOT_STARTED, what)
        return str(item.get("value", ""))

    async def _whole(
        self, read: dict[Source, Mapping[str, str] | None], plural: str, reference: Object
    ) -> Mapping[str, str]:
        found = await self._read(read, plural, reference["name"])
        if found is None and not reference.get("optional"):
            raise ConfigMissing(_NOT_STARTED, f"{plural} {reference['name']!r} not found")
        return found or {}

    async def _read(
        self, read: dict[Source, Mapping[str, str] | None], plural: str, name: str
    ) -> Mapping[str, str] | None:
        if (plural, name) not in read:
            namespace = self._pod["metadata"]["namespace"]
            path = f"/api/v1/namespaces/{namespace}/{plural}/{name}"
            code, answer = await self._client.send("GET", path)
            read[plural, name] = _texts(plural, answer) if code == 200 else None
        return read[plural, name]


def _texts(plural: str, obj: Object) -> Mapping[str, str]:
    data: Mapping[str, str] = obj.get("data") or {}
    return {key: _decoded(value) for key, value in data.items()} if plural == "secrets" else data


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode(errors="replace")
    except binascii.Error:
        return ""


def _mounted(spec: Object) -> Iterator[tuple[str, str, bool]]:
    """(plural, name, optional) of what a pod's volumes show; the contents are not played."""
    for volume in spec.get("volumes", ()):
        for part in (volume, *volume.get("projected", {}).get("sources", ())):
            for field, plural in _FILES.items():
                if field in part:
                    name = part[field].get("name") or part[field].get("secretName", "")
                    yield plural, name, part[field].get("optional", False)
