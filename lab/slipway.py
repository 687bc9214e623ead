"""Slipway on a lab: installed by the real Helm, run as processes as the chart would run its pods.

There are no container images in a lab, so the chart is installed with no replicas. Commands,
environment, ports and ServiceAccount are read from the Deployments that it made, and the
processes run with a token of that account: what the chart forgets to grant, they cannot do.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from lab.api import Object
from lab.cluster import Lab, as_yaml
from lab.errors import ApiError, LabError
from lab.processes import Process

NAMESPACE: Final = "slipway-system"
CHART: Final = Path(__file__).parent.parent / "charts" / "slipway"

_ADDRESSES: Final = "10.244.255."  # pods get none of these
_REFERENCE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_READY_WITHIN: Final = 30.0
_DETACH_HOST: Final = 90
_DETACH_WITHIN: Final = 270.0


@dataclass(slots=True)
class SlipwayProcess:
    """One of Slipway's programs with an address of its own, as a pod would have."""

    lab: Lab
    name: str
    argv: list[str]
    env: dict[str, str]
    address: str
    ports: dict[str, int]
    """By name, as the chart names them."""
    process: Process | None = None

    def start(self) -> None:
        """Start it (again); see `wait_ready`."""
        if self.process is not None and self.process.alive:
            return
        self.process = self.lab.spawn(self.name, self.argv, self.env)

    def wait_ready(self, timeout: float = _READY_WITHIN) -> None:
        """Wait until its /readyz agrees; StartError with the end of its log if it does not."""
        if self.process is None:
            raise LabError(f"{self.name} was not started")
        self.process.wait_until(self._is_ready, timeout, "ready")

    def kill(self) -> None:
        """End it with no warning."""
        if self.process is not None:
            self.process.kill()

    def stop(self) -> None:
        """End it as Kubernetes ends a pod: SIGTERM, and SIGKILL if it takes too long."""
        if self.process is not None:
            self.process.stop(grace=30)

    def restart(self) -> None:
        """End it as Kubernetes would, start it, and wait until it is ready."""
        self.stop()
        self.start()
        self.wait_ready()

    @property
    def log(self) -> str:
        """All that it has written."""
        file = self.lab.folder / "logs" / f"{self.name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def metrics(self) -> str:
        """Its /metrics."""
        return self.lab.http("GET", self.address, self.ports["metrics"], "/metrics")

    def _is_ready(self) -> bool:
        try:
            self.lab.http("GET", self.address, self.ports["metrics"], "/readyz")
        except (OSError, ApiError):
            return False
        return True


@dataclass(slots=True)
class Slipway:
    """An installed chart and its running processes."""

    lab: Lab
    release: str = "slipway"
    webhooks: list[SlipwayProcess] = field(default_factory=list)
    reconcilers: list[SlipwayProcess] = field(default_factory=list)

    @property
    def webhook(self) -> SlipwayProcess:
        """The first of the webhook's processes."""
        return self.webhooks[0]

    @property
    def reconciler(self) -> SlipwayProcess:
        """The first of the reconciler's processes."""
        return self.reconcilers[0]

    @property
    def processes(self) -> list[SlipwayProcess]:
        """All of them."""
        return [*self.webhooks, *self.reconcilers]

    def start(self) -> None:
        """Start whatever does not run, and wait until all are ready."""
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.wait_ready()

    def leave(self, process: SlipwayProcess) -> None:
        """End a webhook in order: the API server forgets it before it goes."""
        self.webhooks = [known for known in self.webhooks if known is not process]
        self._publish()
        process.stop()

    def join(self, process: SlipwayProcess) -> None:
        """Start a webhook, and tell the API server of it once it is ready."""
        process.start()
        process.wait_ready()
        self.webhooks.append(process)
        self._publish()

    def uninstall(self) -> str:
        """``helm uninstall``, its hooks done by hand: no pod of Slipway's can run here.

        What the hook's Job would run runs with its own arguments, account and rights. Returns
        what it wrote; CommandError if it fails, and then nothing is uninstalled.
        """
        where = (self.release, f"--namespace={NAMESPACE}")
        hooks = [each for each in yaml.safe_load_all(self.lab.helm("get", "hooks", *where).stdout)]
        rights = [hook for hook in hooks if hook["kind"] != "Job"]
        self.lab.apply(rights)
        for process in self.reconcilers:
            process.stop()  # as the Deployment's controller does once the Job scales it to 0
        (job,) = (hook for hook in hooks if hook["kind"] == "Job")
        said = self._detach(job)
        self.lab.helm("uninstall", *where, "--no-hooks", "--wait")
        self.lab.kubectl("delete", "--filename=-", input=as_yaml(rights))
        for process in self.processes:
            process.stop()
        return said

    def _detach(self, job: Object) -> str:
        program = _process(self.lab, job, f"{self.release}-detach", _DETACH_HOST)
        done = self.lab.run(program.argv, env=program.env, timeout=_DETACH_WITHIN)
        return done.stdout + done.stderr

    def reinstall(self, values: Mapping[str, Any]) -> None:
        """``helm install`` again after `uninstall`, with as many processes as before."""
        webhooks, reconcilers = len(self.webhooks), len(self.reconcilers)
        again = install(self.lab, values, webhooks=webhooks, reconcilers=reconcilers)
        self.webhooks[:], self.reconcilers[:] = again.webhooks, again.reconcilers

    def build(self, component: str, number: int = 0, host: int = 0) -> SlipwayProcess:
        """One process of a component of the chart (``webhook``, ``reconciler``), not started."""
        deployment = self.lab.get("deployments", f"{self.release}-{component}", NAMESPACE)
        return _process(self.lab, deployment, f"{self.release}-{component}-{number}", host)

    def _publish(self) -> None:
        """Write the addresses of the webhooks into a slice of our own of the chart's Service."""
        publish(self.lab, f"{self.release}-webhook", self.webhooks)


def install(
    lab: Lab,
    values: Mapping[str, Any] | None = None,
    *,
    webhooks: int = 1,
    reconcilers: int = 1,
    chart: Path = CHART,
) -> Slipway:
    """``helm install`` the chart, start its processes and wait until they guard the cluster.

    ``values`` are merged over ``replicaCount: 0``. Raises CommandError if Helm refuses,
    StartError with the end of the log if a process does not get ready.
    """
    file = lab.folder / "values.json"
    file.write_bytes(msgspec.json.encode({"replicaCount": 0, **(values or {})}))
    where = (f"--namespace={NAMESPACE}", "--create-namespace", f"--values={file}")
    lab.helm("install", "slipway", str(chart), *where)
    slipway = Slipway(lab)
    slipway.webhooks = [slipway.build("webhook", n, 10 + n) for n in range(webhooks)]
    slipway.reconcilers = [slipway.build("reconciler", n, 50 + n) for n in range(reconcilers)]
    slipway.start()
    slipway._publish()
    lab.wait(lambda: _trusted(lab, slipway.release), _READY_WITHIN, "the webhook's caBundle")
    return slipway


def publish(lab: Lab, service: str, processes: Sequence[SlipwayProcess]) -> None:
    """Make ``processes`` the endpoints of a Service whose selector finds no pods.

    The slice has a manager of its own, so kube's controller, which keeps the Service's other
    slices, leaves it alone.
    """
    name = f"{service}-lab"
    slice_ = endpoint_slice(lab.get("services", service, NAMESPACE), name, processes)
    path = lab.api.path("endpointslices", NAMESPACE)
    if lab.find("endpointslices", name, NAMESPACE) is None:
        lab.api.request("POST", path, slice_)
    else:
        lab.api.request("PUT", f"{path}/{name}", slice_)


def endpoint_slice(service: Object, name: str, processes: Sequence[SlipwayProcess]) -> Object:
    """The EndpointSlice that leads a Service's ports to ``processes``."""
    known = processes[0].ports if processes else {}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": service["metadata"]["namespace"],
            "labels": {
                "kubernetes.io/service-name": service["metadata"]["name"],
                "endpointslice.kubernetes.io/managed-by": "slipway-lab",
            },
        },
        "addressType": "IPv4",
        "ports": [
            {"name": port["name"], "port": known[port["targetPort"]], "protocol": "TCP"}
            for port in service["spec"]["ports"]
            if port["targetPort"] in known
        ],
        "endpoints": [
            {"addresses": [process.address], "conditions": {"ready": True}} for process in processes
        ],
    }


def _process(lab: Lab, deployment: Object, name: str, host: int) -> SlipwayProcess:
    spec = deployment["spec"]["template"]["spec"]
    container = spec["containers"][0]
    namespace = deployment["metadata"]["namespace"]
    address = f"{_ADDRESSES}{host}"
    env = _env(container, name, namespace, address)
    expand = _expander(env, address)
    command = container.get("command", ["slipway"])
    program = str(Path(sys.executable).with_name(command[0]))
    account = spec.get("serviceAccountName", "default")
    config = lab.service_account_kubeconfig(namespace, account)
    return SlipwayProcess(
        lab=lab,
        name=name,
        argv=[program, *(expand(part) for part in (*command[1:], *container.get("args", ())))],
        env={**env, "KUBECONFIG": str(config)},
        address=address,
        ports={port["name"]: port["containerPort"] for port in container.get("ports", ())},
    )


def _env(container: Object, name: str, namespace: str, address: str) -> dict[str, str]:
    fields = {
        "metadata.name": name,
        "metadata.namespace": namespace,
        "status.podIP": address,
        "spec.nodeName": "lab",
    }
    env: dict[str, str] = {}
    for item in container.get("env", ()):
        source = item.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        env[item["name"]] = fields[source] if source else item.get("value", "")
    return env


def _expander(env: Mapping[str, str], address: str) -> Callable[[str], str]:
    """As the kubelet does with $(NAME); and, since all share one network, the own address."""

    def expand(text: str) -> str:
        known = _REFERENCE.sub(lambda found: env.get(found[1], found[0]), text)
        return known.replace("0.0.0.0", address)  # noqa: S104  # what the chart says, not we

    return expand


def _trusted(lab: Lab, release: str) -> bool:
    kinds = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
    return all(
        webhook["clientConfig"].get("caBundle")
        for kind in kinds
        for webhook in lab.get(kind, release)["webhooks"]
    )
