"""Configuration: one typed object for each program, validated before anything starts."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

SERVICE_ACCOUNT = "system:serviceaccount:{namespace}:slipway"


class ConfigError(ValueError):
    """A setting is wrong; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``IP:PORT`` or ``[IPv6]:PORT``; port 0 takes a free one.

        Raises:
            ConfigError: it is not one.

        """
        host, _, port = text.rpartition(":")
        host = host.strip("[]")
        try:
            ip_address(host)
            number = int(port)
        except ValueError:
            raise ConfigError(f"{text!r} is no IP:PORT, like 0.0.0.0:8443 or [::]:8443") from None
        if not 0 <= number <= 65535:
            raise ConfigError(f"{text!r}: a port is between 0 and 65535")
        return cls(host, number)


@dataclass(frozen=True, slots=True)
class Common:
    """What every program needs."""

    namespace: str = "slipway-system"
    """Slipway's own namespace: of its Secret and its Lease."""
    identity: str = ""
    """User name under which the reconciler writes; empty: that of Slipway's ServiceAccount."""
    kubeconfig: Path | None = None
    context: str | None = None
    config_guard: bool = False
    """Whether there is a right to read ConfigMaps and Secrets, and to keep snapshots of them."""
    log_level: str = "info"
    log_format: Literal["json", "console"] = "json"

    def own_identity(self) -> str:
        """The user name that may change intent."""
        return self.identity or SERVICE_ACCOUNT.format(namespace=self.namespace)


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """``slipway webhook``."""

    common: Common
    listen: Address = Address("0.0.0.0", 8443)  # noqa: S104 a pod's Service reaches it from outside
    metrics_listen: Address | None = None
    service: str = "slipway-webhook"
    secret: str = "slipway-webhook-certs"  # noqa: S105 the name of a Secret, not a secret
    webhook_configuration: str = "slipway"
    tls_minimum: Literal["1.2", "1.3"] = "1.3"


@dataclass(frozen=True, slots=True)
class ReconcilerConfig:
    """``slipway reconciler``."""

    common: Common
    metrics_listen: Address | None = None
    lease: str = "slipway-reconciler"
    pod_metrics: bool = True
    """Whether the counters of pods in a release are read, where they offer them."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """``slipway run``: both programs in one process, against any cluster."""

    common: Common
    listen: Address = Address("127.0.0.1", 8443)
    metrics_listen: Address | None = None
    lease: str = "slipway-reconciler"
    pod_metrics: bool = True
    default_policy: bool = True
    """Make a default policy where the cluster has none."""
    excluded_namespaces: tuple[str, ...] = field(default=("kube-system",))


@dataclass(frozen=True, slots=True)
class DetachConfig:
    """``slipway detach``: names are those of what is taken away; an empty one is not there."""

    common: Common
    lease: str = "slipway-reconciler"
    reconciler: str = ""
    """Slipway's own Deployment, which is scaled to 0 first."""
    webhook_configuration: str = "slipway"
    admission_policy: str = ""
    timeout: float = 240.0
    """Seconds."""
