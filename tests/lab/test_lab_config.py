"""A container of a lab reads ConfigMaps and Secrets as with a kubelet: when it starts."""

import base64
from typing import Any

import pytest

from lab.kubelet import behaviour
from lab.kubelet.config import Config, ConfigMissing

CONTENTS: dict[str, Any] = {
    "configmaps/web": {"data": {"ERROR_RATE": "0.5", "version": "blue"}},
    "secrets/key": {"data": {"LATENCY_MS": base64.b64encode(b"20").decode()}},
}


class Api:
    """Answers what a kubelet asks."""

    async def send(self, method: str, path: str) -> tuple[int, Any]:
        assert (method, path.split("/")[:5]) == ("GET", ["", "api", "v1", "namespaces", "shop"])
        found = CONTENTS.get("/".join(path.split("/")[5:]))
        return (200, found) if found else (404, {})


def reader(**spec: Any) -> Config:
    return Config({"metadata": {"namespace": "shop"}, "spec": spec}, Api())  # type: ignore[arg-type]


def container(**parts: Any) -> dict[str, Any]:
    return {"name": "app", "image": "shop:v1", **parts}


async def test_its_behaviour_can_come_from_config() -> None:
    """Whole objects with a prefix, single keys, and plain values, which win."""
    made = await reader().applied(
        container(
            envFrom=[
                {"configMapRef": {"name": "web"}},
                {"secretRef": {"name": "key"}},
                {"prefix": "X_", "configMapRef": {"name": "web"}},
                {"configMapRef": {"name": "gone", "optional": True}},
            ],
            env=[
                {"name": "READY", "value": "false"},
                {
                    "name": "APP_VERSION",
                    "valueFrom": {"configMapKeyRef": {"name": "web", "key": "version"}},
                },
            ],
        )
    )
    read = behaviour.read(made, first=True)
    assert (read.version, read.error_rate, read.latency) == ("blue", 0.5, 0.02)
    assert not read.ready(0)
    assert {"name": "X_version", "value": "blue"} in made["env"]


async def test_a_container_without_config_is_as_it_is() -> None:
    """Nothing is asked of the API server."""
    plain = container(env=[{"name": "READY", "value": "true"}])
    assert await reader().applied(plain) is plain


@pytest.mark.parametrize(
    "parts",
    [
        {"envFrom": [{"configMapRef": {"name": "gone"}}]},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "a"}}}]},
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "gone"}}}]},
    ],
)
async def test_what_is_missing_keeps_a_container_from_starting(parts: dict[str, Any]) -> None:
    """An object or a key."""
    with pytest.raises(ConfigMissing, match="gone") as raised:
        await reader().applied(container(**parts))
    assert raised.value.reason == "CreateContainerConfigError"


@pytest.mark.parametrize(
    "volume",
    [
        {"configMap": {"name": "gone"}},
        {"secret": {"secretName": "gone"}},
        {"projected": {"sources": [{"configMap": {"name": "gone"}}]}},
    ],
)
async def test_a_volume_that_cannot_be_mounted_keeps_the_pod_from_starting(
    volume: dict[str, Any],
) -> None:
    """No container of it runs."""
    with pytest.raises(ConfigMissing) as raised:
        await reader(volumes=[{"name": "v", **volume}]).applied(container())
    assert raised.value.reason == "ContainerCreating"


async def test_an_optional_volume_may_be_missing() -> None:
    """As the pod's author said."""
    volume = {"name": "v", "configMap": {"name": "gone", "optional": True}}
    made = await reader(volumes=[volume]).applied(container())
    assert behaviour.read(made, first=True).version == "v1"
