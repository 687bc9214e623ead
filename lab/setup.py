"""What a fresh cluster is given before it is handed over, and how to tell that it is ready."""

import http.client
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from lab.api import Api, Object
from lab.errors import ApiError
from lab.network import Network
from lab.processes import Process, poll_until

_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_WITHIN: Final = 60.0  # seconds; far above what any of these takes


def install_crds(api: Api, folder: Path) -> None:
    """Create every CRD of a folder and wait until they are served."""
    crds = [crd.read_text() for crd in sorted(folder.glob("*.yaml"))]
    crds = [crd for crd in crds if "kind: CustomResourceDefinition" in crd]
    with ThreadPoolExecutor(4) as pool:  # as YAML: the server reads it faster than Python does
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


def http_request(network: Network, method: str, host: str, port: int, path: str) -> str:
    """One plain HTTP request to an address inside a lab; ApiError unless it is answered 2xx."""
    connection = http.client.HTTPConnection(host, port)
    connection.sock = network.connect(host, port)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        raise ApiError(method, f"http://{host}:{port}{path}", response.status, text)
    return text


def _exists(api: Api, path: str) -> bool:
    try:
        api.request("GET", path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def _condition(thing: Object, kind: str) -> bool:
    conditions = thing.get("status", {}).get("conditions", ())
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)
