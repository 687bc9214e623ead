"""Where pods want to be scraped: the ``prometheus.io/*`` annotations or a port's name. Pure."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from webhook import names
from webhook.objects.raw import Object
from webhook.projection.fields import annotations, labels, read

SCRAPE: Final = "prometheus.io/scrape"
PORT: Final = "prometheus.io/port"
PATH: Final = "prometheus.io/path"
SCHEME: Final = "prometheus.io/scheme"

_PORT_NAMES: Final = ("metrics", "http-metrics", "prometheus")


@dataclass(frozen=True, slots=True)
class Page:
    """Where every pod of a template has its metrics."""

    scheme: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Target:
    """One pod's page."""

    uid: str
    hash: str
    """The pod's ``pod-template-hash``."""
    url: str


def page_of(template: Object) -> Page | None:
    """The page that a pod template tells of; None where it tells of none, or not soundly."""
    noted = annotations(template)
    wanted = str(noted.get(SCRAPE, "")).lower()
    named, first = _ports(template)
    port = noted.get(PORT) or named or (first if wanted == "true" else None)
    if wanted == "false" or port is None or not (wanted == "true" or named):
        return None
    scheme, path = str(noted.get(SCHEME) or "http"), str(noted.get(PATH) or "/metrics")
    sound = str(port).isdigit() and 0 < int(port) < 65536 and scheme in ("http", "https")
    if not sound or not path.startswith("/") or not path.isprintable():
        return None
    return Page(scheme, int(port), path)


def _ports(template: Object) -> tuple[int | None, int | None]:
    """The port that is named for metrics, and the first one."""
    found: Any = read(template, ("spec", "containers"))
    containers = found if isinstance(found, list) else []
    ports = [port for each in containers for port in each.get("ports") or ()]
    named = (p["containerPort"] for p in ports if p.get("name") in _PORT_NAMES)
    return next(named, None), next((p["containerPort"] for p in ports), None)


def target_of(pod: Object, page: Page) -> Target | None:
    """A running pod's page.

    Only the pod's own address is ever asked, and only where it is its own: on its node's network
    it could name any port of the node.
    """
    status = pod.get("status") or {}
    address = str(status.get("podIP") or "")
    if status.get("phase") != "Running" or not _own(address, str(status.get("hostIP") or "")):
        return None
    host = f"[{address}]" if ":" in address else address
    hash_ = str(labels(pod).get(names.POD_TEMPLATE_HASH, ""))
    url = f"{page.scheme}://{host}:{page.port}{page.path}"
    return Target(pod["metadata"]["uid"], hash_, url)


def _own(address: str, node: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return address != node and not (found.is_loopback or found.is_link_local)
