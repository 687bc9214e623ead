"""The cluster's API, spoken from outside of the lab's namespace: cheap enough for polling."""

import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any, Final, cast
from urllib.parse import quote

from lab.errors import ApiError

Object = dict[str, Any]
"""An API object as the server sends it."""

_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_OK: Final = range(200, 300)
_ENDED: Final = (ConnectionError, ssl.SSLError, http.client.BadStatusLine)
"""How it shows that the server ended a kept connection; a GET may go again (RFC 9112, 9.3.1)."""


@dataclass(slots=True)
class Api:
    """Requests with an admin's token, by as many threads as like. Reads keep their connection."""

    dial: Callable[[str, int], socket]
    ca: Path
    token: str
    _resources: dict[str, tuple[str, str, bool]] = field(default_factory=dict)
    _kept: list["_Connection"] = field(default_factory=list)
    """Connections that nobody uses at the moment."""

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send one request and return the decoded answer; ApiError unless it is a 2xx."""
        text = self.text(method, path, None if body is None else json.dumps(body), content_type)
        return cast(Object, json.loads(text))

    def text(
        self,
        method: str,
        path: str,
        body: str | None = None,
        content_type: str = "application/json",
        accept: str = "*/*",
    ) -> str:
        """Like `request`, for answers that need not be JSON."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": content_type,
            "Accept": accept,
        }
        status, answer = self._send(method, path, body, headers)
        if status not in _OK:
            raise ApiError(method, path, status, answer[:500])
        return answer

    def close(self) -> None:
        """Close what was kept."""
        while self._kept:
            self._kept.pop().close()

    def stream(self, path: str) -> "Stream":
        """The lines of an answer that goes on, as a watch's does."""
        connection = _Connection(self.dial, ssl.create_default_context(cafile=self.ca))
        connection.request("GET", path, None, {"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        if response.status not in _OK:
            raise ApiError("GET", path, response.status, response.read().decode()[:500])
        return Stream(connection, response)

    def _send(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        reads = method == "GET"
        kept = self._kept.pop() if reads and self._kept else None
        connection = kept or _Connection(self.dial, ssl.create_default_context(cafile=self.ca))
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read().decode()
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            if kept and isinstance(error, _ENDED):
                return self._send(method, path, body, headers)
            if isinstance(error, OSError):
                raise
            raise ConnectionError(str(error)) from error
        if reads:
            self._kept.append(connection)
        else:
            connection.close()
        return response.status, answer

    def path(self, resource: str, namespace: str | None = None, name: str | None = None) -> str:
        """The path of a resource named as in kubectl: kind, plural, singular or short name."""
        known = self._find(resource)
        prefix, plural, namespaced = known
        scope = f"/namespaces/{quote(namespace or 'default')}" if namespaced else ""
        if namespaced and namespace is None and name is None:
            scope = ""  # a list over all namespaces
        return f"{prefix}{scope}/{plural}" + (f"/{quote(name)}" if name else "")

    def _find(self, resource: str) -> tuple[str, str, bool]:
        key = resource.lower()
        if key not in self._resources:
            self._resources = self._discover()
        try:
            return self._resources[key]
        except KeyError:
            raise ApiError("GET", "/apis", 404, f"no resource {resource!r} is served") from None

    def _discover(self) -> dict[str, tuple[str, str, bool]]:
        found: dict[str, tuple[str, str, bool]] = {}
        for root in ("/api", "/apis"):
            listing = json.loads(self.text("GET", root, accept=_DISCOVERY))
            for group in listing["items"]:
                for version in reversed(group["versions"]):  # the preferred one is first: it wins
                    _add_version(found, root, group["metadata"].get("name", ""), version)
        return found


def _add_version(
    found: dict[str, tuple[str, str, bool]], root: str, group: str, version: Mapping[str, Any]
) -> None:
    prefix = "/".join(part for part in (root, group, version["version"]) if part)
    for resource in version.get("resources", ()):
        target = (prefix, resource["resource"], resource["scope"] == "Namespaced")
        kind = resource.get("responseKind", {}).get("kind", "")
        names = (resource["resource"], kind, resource.get("singularResource", ""))
        for name in (*names, *resource.get("shortNames", ())):
            if name:
                found[f"{name}.{group}".lower()] = target
                _claim(found, name.lower(), target, f"{root}/{group}/")


def _claim(
    found: dict[str, tuple[str, str, bool]], name: str, target: tuple[str, str, bool], group: str
) -> None:
    """The group that is listed first has a short name, in the version that is read last."""
    if name not in found or found[name][0].startswith(group):
        found[name] = target


class _Connection(http.client.HTTPConnection):
    """HTTPS over a socket that somebody else opens."""

    def __init__(self, dial: Callable[[str, int], socket], context: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", 6443)
        self._dial = dial
        self._tls = context

    def connect(self) -> None:
        """Open the connection through the lab's door."""
        raw = self._dial(self.host, self.port or 6443)
        try:
            self.sock = self._tls.wrap_socket(raw, server_hostname=self.host)
        except OSError:
            raw.close()
            raise


class Stream:
    """Lines that come until the server ends the answer, or somebody closes it."""

    def __init__(self, connection: _Connection, response: http.client.HTTPResponse) -> None:
        self._connection, self._response = connection, response

    def __iter__(self) -> Iterator[bytes]:
        """Each line; an end is an end, however it came."""
        try:
            yield from self._response
        except (http.client.HTTPException, OSError, ValueError):
            return
        finally:
            self._connection.close()

    def close(self) -> None:
        """End it, also for a thread that waits for the next line."""
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(SHUT_RDWR)
