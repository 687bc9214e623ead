"""etcd, kube-apiserver and kube-controller-manager with production's rules: RBAC on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.api import Api
from lab.binaries import Binaries
from lab.errors import ApiError
from lab.pki import Pki
from lab.processes import Process, Processes

API_PORT: Final = 6443
ISSUER: Final = "https://kubernetes.default.svc"

_ETCD: Final = "http://127.0.0.1:2379"
_READY_WITHIN: Final = 60.0  # seconds; some 3 on a quiet machine


@dataclass(slots=True)
class ControlPlane:
    """The three programs; each may be ended and started again by a test."""

    etcd: Process
    api_server: Process
    controller_manager: Process


def start_api_server(
    binaries: Binaries, processes: Processes, pki: Pki, data: Path, extra: Sequence[str] = ()
) -> tuple[Process, Process]:
    """Start etcd and the API server; they are not ready yet, see `wait_ready`."""
    etcd = processes.spawn("etcd", [binaries["etcd"], *_etcd_flags(data)])
    api_server = processes.spawn(
        "kube-apiserver",
        [binaries["kube-apiserver"], *_api_server_flags(pki, data), *extra],
        {"GOGC": "400"},  # collecting garbage is a quarter of its start
    )
    return etcd, api_server


def start_controller_manager(
    binaries: Binaries, processes: Processes, pki: Pki, extra: Sequence[str] = ()
) -> Process:
    """Start the controllers; it waits for the API server by itself."""
    flags = _controller_manager_flags(pki)
    return processes.spawn(
        "kube-controller-manager", [binaries["kube-controller-manager"], *flags, *extra]
    )


def wait_listening(api_server: Process, api: Api) -> None:
    """Wait until the API server answers anything at all."""

    def answers() -> bool:
        try:
            api.text("GET", "/livez")
        except ApiError:
            return True
        except OSError:
            return False
        return True

    api_server.wait_until(answers, _READY_WITHIN, "listening")


def wait_ready(api_server: Process, api: Api) -> None:
    """Wait until the API server says that it is ready, its built-in roles included."""

    def ready() -> bool:
        try:
            api.text("GET", "/readyz")
        except (OSError, ApiError):
            return False
        return True

    api_server.wait_until(ready, _READY_WITHIN, "ready")


def _etcd_flags(data: Path) -> list[str]:
    return [
        f"--data-dir={data / 'etcd'}",
        "--unsafe-no-fsync",  # a lab's data need not survive the machine
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
    ]


def _api_server_flags(pki: Pki, data: Path) -> list[str]:
    return [
        f"--etcd-servers={_ETCD}",
        f"--secure-port={API_PORT}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--cert-dir={data / 'apiserver'}",
        f"--tls-cert-file={pki.server_cert}",
        f"--tls-private-key-file={pki.server_key}",
        f"--service-account-key-file={pki.account_key}",
        f"--service-account-signing-key-file={pki.account_key}",
        f"--service-account-issuer={ISSUER}",
        f"--token-auth-file={pki.tokens}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",  # a loopback address may not be in a slice
        "--enable-aggregator-routing=true",  # webhooks by Service without kube-proxy
    ]


def _controller_manager_flags(pki: Pki) -> list[str]:
    return [
        f"--kubeconfig={pki.admin_kubeconfig}",
        f"--service-account-private-key-file={pki.account_key}",
        f"--root-ca-file={pki.ca}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        "--bind-address=127.0.0.1",
        "--controllers=*,-nodeipam,-nodelifecycle,-attachdetach,-persistentvolume-binder",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-deployment-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--concurrent-service-endpoint-syncs=20",
        "--concurrent-namespace-syncs=20",
        "--horizontal-pod-autoscaler-sync-period=1s",  # else 15: too long for a test to watch
    ]
