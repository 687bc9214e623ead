"""A whole cluster as one object: for tests, for the demo, for a person at a prompt."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

import yaml

from lab import binaries, control_plane, metrics, network, pki, registry, setup, traefik
from lab.api import Api, Object
from lab.errors import ApiError, CommandError
from lab.probe import Probe
from lab.processes import DIE_WITH_PARENT, Process, Processes, poll_until

T = TypeVar("T")

KUBELET_PORT: Final = 10250
"""Where the kubelet listens for tests' orders; see `Lab.crash`."""

_FORWARDS: Final = {
    "api": control_plane.API_PORT,
    "web": traefik.WEB_PORT,
    "metrics": traefik.METRICS_PORT,
    "kubelet": KUBELET_PORT,
}
_COMMAND_SECONDS: Final = 120.0


class Lab:
    """A running cluster: control plane, one node, Traefik. Use ``with Lab.start() as lab:``.

    Everything runs in a network namespace of its own; ``kubectl``, ``spawn`` and ``probe`` run
    programs inside it. ``api`` speaks to the API server from outside.
    """

    def __init__(self, folder: Path, programs: binaries.Binaries) -> None:
        self.folder = folder
        self.binaries = programs
        self.pki = pki.make(folder / "pki")
        self.env = _environment(folder.name)
        self.network = network.start(folder, self.env, tuple(_FORWARDS.values()))
        self.processes = Processes(folder / "logs", self.network.enter, self.env)
        self.api = Api(self.network.connect, self.pki.ca, self.pki.admin_token)
        self.seconds: dict[str, float] = {}
        """How long after the beginning each part was ready."""
        self.patience: float = 1
        """Deadlines of `wait` are longer by this factor."""
        self._numbers = count(1)
        self.kubelet: Process
        self.traefik: Process
        self.control_plane: control_plane.ControlPlane

    @classmethod
    def start(
        cls,
        *,
        throttle: str = traefik.QUICK,
        assets: Path | None = None,
        api_server_flags: Sequence[str] = (),
    ) -> Self:
        """Start a cluster and wait until it serves; it takes some seconds.

        ``throttle`` is how long Traefik gathers changes; ``assets`` a folder of programs to
        prefer. Raises a LabError, with nothing left running.
        """
        registry.collect_garbage()
        lab = cls(registry.new_folder(), binaries.find(assets))
        try:
            lab._start(throttle, api_server_flags)
        except BaseException:
            lab.stop(keep_files=True)  # the error names a log
            raise
        return lab

    def _start(self, throttle: str, api_server_flags: Sequence[str]) -> None:
        began = time.monotonic()
        etcd, api_server = control_plane.start_api_server(
            self.binaries, self.processes, self.pki, self.folder, api_server_flags
        )
        control_plane.wait_listening(api_server, self.api)
        manager = control_plane.start_controller_manager(self.binaries, self.processes, self.pki)
        control_plane.wait_ready(api_server, self.api)
        self.seconds["api server"] = time.monotonic() - began
        self.control_plane = control_plane.ControlPlane(etcd, api_server, manager)
        self.start_kubelet()
        setup.install_crds(self.api, self.binaries.gateway_crds)
        self.seconds["gateway CRDs"] = time.monotonic() - began
        setup.create(self.api, traefik.OBJECTS)
        self.start_traefik(throttle)
        setup.wait_node(self.api, self.kubelet)
        setup.wait_account(self.api, "default")
        self.seconds["controllers"] = time.monotonic() - began
        setup.wait_gateway(self.api, self.traefik)
        self.seconds["traefik"] = time.monotonic() - began
        write = pki.write_kubeconfig
        server = f"https://127.0.0.1:{self.network.ports[control_plane.API_PORT]}"
        write(self.outside_kubeconfig, self.pki.ca, self.pki.admin_token, server)
        ports = {name: self.network.ports[port] for name, port in _FORWARDS.items()}
        registry.register(self.folder, self.network.holder.pid, ports)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop(keep_files=error is not None)

    def stop(self, *, keep_files: bool = False) -> None:
        """End everything; the files go too, unless they may be needed to see what went wrong."""
        self.api.close()
        self.processes.close()
        self.network.close()
        if not keep_files:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def id(self) -> str:
        """Its short name."""
        return self.folder.name

    @property
    def kubeconfig(self) -> Path:
        """An admin's kubeconfig for programs inside the namespace."""
        return self.pki.admin_kubeconfig

    @property
    def outside_kubeconfig(self) -> Path:
        """An admin's kubeconfig for programs outside, through a port on 127.0.0.1."""
        return self.folder / "kubeconfig"

    # Programs -------------------------------------------------------------------------------

    def start_kubelet(self) -> Process:
        """Start the node's kubelet (again, if it was ended)."""
        argv = [sys.executable, "-m", "lab.kubelet", f"--kubeconfig={self.kubeconfig}"]
        argv += ["--tls", str(self.pki.server_cert), str(self.pki.server_key)]
        self.kubelet = self.spawn("kubelet", [*argv, f"--control-port={KUBELET_PORT}"])
        return self.kubelet

    def start_traefik(self, throttle: str = traefik.QUICK) -> Process:
        """Start Traefik (again, if it was ended)."""
        self.traefik = traefik.start(self.processes, self.kubeconfig, throttle)
        return self.traefik

    def spawn(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program inside the namespace; its output goes to ``logs/NAME.log``."""
        return self.processes.spawn(name, argv, env)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,  # as in subprocess
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = _COMMAND_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside the namespace to its end; CommandError if ``check`` and it fails."""
        done = subprocess.run(
            [*self.network.enter, *DIE_WITH_PARENT, *argv],
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**self.env, "KUBECONFIG": str(self.kubeconfig), **(env or {})},
        )
        if check and done.returncode:
            raise CommandError(list(argv), done.returncode, done.stderr or done.stdout)
        return done

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # as in subprocess
        check: bool = True,
        timeout: float = _COMMAND_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl as an admin."""
        return self.run(
            [self.binaries["kubectl"], *args], input=input, check=check, timeout=timeout
        )

    def helm(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the real helm as an admin."""
        return self.run([self.binaries["helm"], *args], check=check)

    def probe(
        self,
        host: str | None = None,
        *,
        rate: float = 100,
        url: str = f"http://127.0.0.1:{traefik.WEB_PORT}/",
        calls: bool = False,
    ) -> Probe:
        """Start a steady load through Traefik on a virtual host (or on any other URL).

        ``calls``: of gRPC instead of GETs.
        """
        name = f"probe-{next(self._numbers)}"
        out = self.folder / f"{name}.jsonl"
        argv = [sys.executable, "-m", "lab.probe", "--url", url, "--rate", str(rate)]
        argv += ["--host", host] if host else []
        argv += ["--calls"] if calls else []
        return Probe(self.spawn(name, [*argv, "--out", str(out)]), out, rate)

    def balance(self, namespace: str, sync: float = 1.0) -> Process:
        """Let the Services of a namespace answer at their cluster IPs; see `lab.balancer`."""
        argv = [sys.executable, "-m", "lab.balancer", f"--kubeconfig={self.kubeconfig}"]
        argv += [f"--namespace={namespace}", f"--sync={sync}"]
        return self.spawn(f"balancer-{namespace}", argv)

    # Objects --------------------------------------------------------------------------------

    def apply(
        self, manifest: str | Object | Sequence[Object], *flags: str, namespace: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``kubectl apply -f -`` of YAML or of objects."""
        scope = [f"--namespace={namespace}"] if namespace else []
        return self.kubectl("apply", *scope, *flags, "-f", "-", input=as_yaml(manifest))

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """Read one object; ``kind`` as for kubectl. ApiError with status 404 if there is none."""
        return self.api.request("GET", self.api.path(kind, namespace, name))

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Read one object, or None if there is none."""
        try:
            return self.get(kind, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, labels: str = "") -> list[Object]:
        """Read all objects of a kind, of one namespace or of all, by a label selector."""
        query = f"?labelSelector={labels}" if labels else ""
        return list(self.api.request("GET", self.api.path(kind, namespace) + query)["items"])

    def create(self, thing: Object) -> Object:
        """Create one object, without the start of a kubectl."""
        path = self.api.path(thing["kind"], thing["metadata"].get("namespace"))
        return self.api.request("POST", path, thing)

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Ask for one object's deletion, and do not wait; it need not be there."""
        try:
            self.api.request("DELETE", self.api.path(kind, namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise

    def patch(self, kind: str, name: str, body: Object, namespace: str | None = None) -> Object:
        """Merge-patch one object."""
        path = self.api.path(kind, namespace, name)
        return self.api.request("PATCH", path, body, "application/merge-patch+json")

    def namespace(self, prefix: str = "test", labels: Mapping[str, str] | None = None) -> str:
        """Create a fresh namespace, ready for pods, and return its name."""
        name = f"{prefix}-{next(self._numbers)}"
        body = {"metadata": {"name": name, "labels": dict(labels or {})}}
        self.api.request("POST", "/api/v1/namespaces", body)
        setup.wait_account(self.api, name)
        return name

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig, for programs inside, with a fresh token of a ServiceAccount."""
        token = self.service_account_token(namespace, name)
        path = self.folder / "pki" / f"{namespace}.{name}.kubeconfig"
        return pki.write_kubeconfig(path, self.pki.ca, token, namespace=namespace)

    def service_account_token(self, namespace: str, name: str) -> str:
        """A fresh token of a ServiceAccount, as a pod of it would hold."""
        path = self.api.path("serviceaccounts", namespace, name) + "/token"
        body = {"spec": {"expirationSeconds": 24 * 3600}}
        return str(self.api.request("POST", path, body)["status"]["token"])

    def wait(
        self, condition: Callable[[], T | Literal[False] | None], timeout: float, what: str
    ) -> T:
        """Return the first truthy ``condition()``; WaitTimeoutError with ``what`` after it."""
        return poll_until(condition, timeout * self.patience, what)

    # Pods -----------------------------------------------------------------------------------

    def serve_metrics(self) -> None:
        """Let the API server serve ``metrics.k8s.io``; autoscalers need it, see `use_cpu`."""
        setup.create(self.api, metrics.OBJECTS)
        setup.wait_api_service(self.api, metrics.API_SERVICE)

    def use_cpu(self, namespace: str, cpu: str) -> None:
        """Say how much CPU the ready pods of a namespace use together, e.g. ``1800m``."""
        self.patch("namespaces", namespace, {"metadata": {"annotations": {metrics.CPU: cpu}}})

    def crash(self, namespace: str, pod: str, down: float | None = None) -> None:
        """End a pod's first container with no warning; it restarts (after ``down`` seconds)."""
        wait = "" if down is None else f"&down={down}"
        self._order(f"/crash?pod={namespace}/{pod}{wait}")

    def set_ready(self, namespace: str, pod: str, ready: bool) -> None:
        """Make a pod's readiness endpoint say yes or no from now on."""
        self._order(f"/{'ready' if ready else 'unready'}?pod={namespace}/{pod}")

    def lose(self, namespace: str, pod: str) -> None:
        """The machine under a pod is gone, and the control plane has noticed it.

        The pod does not serve and, without ``--force``, is never deleted. A lab has no node
        lifecycle controller; what that writes after its grace period is written here.
        """
        self._order(f"/lose?pod={namespace}/{pod}")
        gone = {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
        path = self.api.path("pods", namespace, pod) + "/status"
        body = {"status": {"conditions": [{**gone, "lastTransitionTime": now()}]}}
        self.api.request("PATCH", path, body, "application/strategic-merge-patch+json")

    def _order(self, path: str) -> None:
        self.http("POST", "127.0.0.1", KUBELET_PORT, path)

    def http(self, method: str, host: str, port: int, path: str) -> str:
        """The text that an address inside answers; ApiError if no 2xx, OSError if nothing."""
        response = self.fetch(method, host, port, path)
        if not response.ok:
            raise ApiError(method, f"http://{host}:{port}{path}", response.status, response.text)
        return response.text

    def fetch(
        self,
        method: str,
        host: str,
        port: int,
        path: str,
        headers: Mapping[str, str] | None = None,
    ) -> setup.Response:
        """One plain HTTP request to an address inside; OSError if there is no answer."""
        return setup.fetch(self.network, method, host, port, path, headers or {})


def now() -> str:
    """The time now as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def as_yaml(manifest: str | Object | Sequence[Object]) -> str:
    """A manifest as kubectl reads it."""
    if isinstance(manifest, str):
        return manifest
    documents = [manifest] if isinstance(manifest, dict) else list(manifest)
    return str(yaml.safe_dump_all(documents))


def _environment(lab: str) -> dict[str, str]:
    """What programs of a lab see: no proxies, no kubeconfig of the user's."""
    kept = ("PATH", "HOME", "LANG", "USER", "TMPDIR", "XDG_CACHE_HOME", "SLIPWAY_CACHE")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    here = str(Path(__file__).parent.parent)
    path = os.pathsep.join(part for part in (here, os.environ.get("PYTHONPATH")) if part)
    return {**env, registry.MARK: lab, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
