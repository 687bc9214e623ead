"""How a container of a lab behaves, read from its own environment and ports."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DEFAULT_PORT: Final = 8080

_MISSING: Final = re.compile(r"(^|/)missing([:@]|$)")
"""An image whose name is ``missing`` cannot be pulled."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One container's part in a test; times are in seconds.

    ``turns_ready_at`` and ``turns_unready_at`` count from when it listens.
    """

    version: str
    ports: tuple[int, ...]
    calls: tuple[int, ...] = ()
    """Ports for gRPC: those that are named ``grpc``."""
    error_rate: float = 0.0
    latency: float = 0.0
    start_after: float = 0.0
    turns_ready_at: float = 0.0
    turns_unready_at: float = math.inf
    crash_after: float = math.inf
    drain: float = math.inf
    pullable: bool = True

    @property
    def turns(self) -> tuple[float, ...]:
        """The ages at which readiness changes."""
        both = (self.turns_ready_at, self.turns_unready_at)
        return tuple(at for at in both if math.isfinite(at))

    def ready(self, age: float) -> bool:
        """Whether its readiness endpoint agrees, ``age`` seconds after it began to listen."""
        return self.turns_ready_at <= age < self.turns_unready_at


def read(container: Mapping[str, Any], *, first: bool) -> Behaviour:
    """Read the behaviour of a container of a pod's spec.

    The ``first`` container listens on port 8080 if it names none; others then on nothing.
    A value that is no number counts as not given: a lab runs whatever it is handed.
    """
    env = {item["name"]: item.get("value", "") for item in container.get("env", ())}
    ready_at, unready_at = _readiness(env.get("READY", "true"))
    return Behaviour(
        version=env.get("APP_VERSION") or _tag(container.get("image", "")),
        ports=_ports(container, calls=False) or ((DEFAULT_PORT,) if first else ()),
        calls=_ports(container, calls=True),
        error_rate=_number(env, "ERROR_RATE", 0.0),
        latency=_number(env, "LATENCY_MS", 0.0) / 1000,
        start_after=_number(env, "START_MS", 0.0) / 1000,
        turns_ready_at=ready_at,
        turns_unready_at=unready_at,
        crash_after=_number(env, "CRASH_AFTER_S", math.inf),
        drain=_number(env, "DRAIN_MS", math.inf) / 1000,
        pullable=not _MISSING.search(container.get("image", "")),
    )


def port_named(container: Mapping[str, Any], port: object) -> int:
    """The number of a probe's port, which may be a name or a number."""
    for known in container.get("ports", ()):
        if known.get("name") == port:
            return int(known["containerPort"])
    return int(str(port)) if str(port).isdigit() else DEFAULT_PORT


def _ports(container: Mapping[str, Any], *, calls: bool) -> tuple[int, ...]:
    ports = [
        int(port["containerPort"])
        for port in container.get("ports", ())
        if port.get("protocol", "TCP") == "TCP" and (port.get("name") == "grpc") is calls
    ]
    return tuple(dict.fromkeys(ports))


def _readiness(value: str) -> tuple[float, float]:
    kind, _, seconds = value.partition(":")
    if kind == "false":
        return math.inf, math.inf
    at = _number({"at": seconds}, "at", 0.0)
    if kind == "after":
        return at, math.inf
    if kind == "until":
        return 0.0, at
    return 0.0, math.inf


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(env[name])
    except (KeyError, ValueError):
        return default


def _tag(image: str) -> str:
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return tag
    return digest.removeprefix("sha256:")[:12] or "latest"
