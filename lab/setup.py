"""What a fresh cluster is given before it is handed over, and how to tell that it is ready."""

import http.client
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import crds as crds_of
from lab.api import Api, Object
from lab.errors import ApiError
from lab.network import Network
from lab.processes import Process, poll_until

_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NEEDED_CRDS: Final = (  # what Traefik watches; each more costs the API server start-up time
    "backendtlspolicies",
    "gatewayclasses",
    "gateways",
    "grpcroutes",
    "httproutes",
    "referencegrants",
    "tlsroutes",
)
_WITHIN: Final = 60.0  # seconds; far above what any of these takes


def install_crds(api: Api, folder: Path) -> None:
    """Create the CRDs that Traefik watches, the Gateway API's from a folder; wait for them."""
    files = [folder / f"gateway.networking.k8s.io_{plural}.yaml" for plural in _NEEDED_CRDS]
    crds = [*(file.read_text() for file in files), *map(json.dumps, crds_of.TRAEFIK)]
    with ThreadPoolExecutor(len(crds)) as pool:  # YAML: the server reads it faster than Python
        list(pool.map(lambda crd: api.text("POST", _CRDS, crd, "application/yaml"), crds))

    def established() -> bool:
        items = api.request("GET", _CRDS)["items"]
        return all(_condition(item, "Established") for item in items)

    poll_until(established, _WITHIN, "the CRDs to be served")


def create(api: Api, objects: Iterable[Object]) -> None:
    """Create objects whose kinds are served, or soon will be."""
    for thing in objects:

        def created(thing: Object = thing) -> bool:
            try:
                kind, meta = thing["kind"], thing["metadata"]
                api.request("POST", api.path(kind, meta.get("namespace")), thing)
            except ApiError as error:
                if error.status in (404, 503):
                    return False
                raise
            return True

        poll_until(created, _WITHIN, f"{thing['kind']} to be created")


def wait_account(api: Api, namespace: str) -> None:
    """Wait for a namespace's default ServiceAccount, without which it gets no pods."""

    def there() -> bool:
        return _exists(api, api.path("serviceaccounts", namespace, "default"))

    poll_until(there, _WITHIN, f"the default ServiceAccount of {namespace}")


def wait_node(api: Api, kubelet: Process) -> None:
    """Wait until the kubelet has made itself known."""

    def ready() -> bool:
        return any(
            _condition(node, "Ready") for node in api.request("GET", "/api/v1/nodes")["items"]
        )

    kubelet.wait_until(ready, _WITHIN, "registered")


def wait_gateway(api: Api, traefik: Process) -> None:
    """Wait until Traefik has taken up the Gateway, which it does once it has read everything."""

    def programmed() -> bool:
        gateways = api.request("GET", api.path("gateways"))["items"]
        return bool(gateways) and all(_condition(gateway, "Programmed") for gateway in gateways)

    traefik.wait_until(programmed, _WITHIN, "serving the Gateway")


def wait_api_service(api: Api, name: str) -> None:
    """Wait until the API server serves a group by somebody else."""

    def available() -> bool:
        return _condition(api.request("GET", api.path("apiservices", name=name)), "Available")

    poll_until(available, _WITHIN, f"APIService {name} to be available")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to a plain HTTP request."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


def fetch(
    network: Network, method: str, host: str, port: int, path: str, headers: Mapping[str, str]
) -> Response:
    """One plain HTTP request to an address inside a lab; OSError if there is no answer."""
    connection = http.client.HTTPConnection(host, port)
    connection.sock = network.connect(host, port)
    try:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read().decode())
    except http.client.HTTPException as error:
        raise ConnectionError(f"no whole answer from {host}:{port}: {error!r}") from error
    finally:
        connection.close()


def _exists(api: Api, path: str) -> bool:
    try:
        api.request("GET", path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def _condition(thing: Object, kind: str) -> bool:
    conditions = thing.get("status", {}).get("conditions") or ()  # null in a CRD just made
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)
