"""The API server as Slipway sees it: raw objects in and out, a deadline on every call.

The only module that imports kubernetes_asyncio, which brings configuration, credentials and TLS.
Bodies never pass through its typed models.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from yarl import URL

from webhook import __version__
from webhook.cluster import credentials, errors, wire
from webhook.cluster.errors import Call
from webhook.cluster.kinds import SELFSUBJECTREVIEWS, Kind, Object
from webhook.cluster.trims import Trim
from webhook.cluster.wire import Page, PatchType, WatchEvent
from webhook.telemetry import metrics

__all__ = ["Client", "Page", "PatchType", "WatchEvent"]

DEADLINE: Final = 10.0
"""Seconds that a call may take, its repetitions included."""
LIST_DEADLINE: Final = 30.0
"""Seconds for one page of a list."""
PAGE: Final = 500
"""Objects in one page of a list."""
WATCH_SLACK: Final = 15.0
"""Seconds that a watch may outlive the time at which the server should have ended it."""

_NO_LIMIT: Final = aiohttp.ClientTimeout(total=None)  # deadlines are ours, over the whole call
_JSON: Final = "application/json"


class Client:
    """One connection pool to one API server; close it, or use it as a context manager.

    All methods raise ``errors.ApiError``, by type. Writes carry ``names.FIELD_MANAGER``.
    """

    def __init__(
        self,
        configuration: Any,
        *,
        deadline: float = DEADLINE,
        renew: Callable[[], Awaitable[bool]] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        from kubernetes_asyncio.client.rest import RESTClientObject  # noqa: PLC0415 see _configure

        self._configuration = configuration
        self._deadline = deadline
        self._renew = renew
        self._sleep = sleep
        self._base = configuration.host.rstrip("/")
        self._proxy = configuration.proxy or credentials.proxy_from_environment(self._base)
        self._server_name = configuration.tls_server_name or None
        self._pool = RESTClientObject(configuration)
        # Our own session over the library's TLS: its own asks .netrc and proxies in threads.
        self._session = aiohttp.ClientSession(
            connector=self._pool.pool_manager.connector,
            connector_owner=False,
            timeout=_NO_LIMIT,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Accept": _JSON,
                "Accept-Encoding": "identity",  # near the API server, gzip costs more than bytes
                "User-Agent": f"slipway/{__version__}",
            },
        )

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        deadline: float = DEADLINE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Self:
        """Find the API server: the file given, $KUBECONFIG, the pod's own, ~/.kube; the first.

        Raises:
            errors.NotConfigured: nothing was found, or it is not usable.

        """
        configuration, renew = await _configure(kubeconfig, context)
        return cls(configuration, deadline=deadline, renew=renew, sleep=sleep)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; calls that still run fail."""
        await self._session.close()
        await self._pool.close()

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """Read one object."""
        call = Call("get", kind.kind, name, namespace or "")
        return await self._read(call, kind.path(namespace, name), {})

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        trim: Trim | None = None,
    ) -> Page:
        """Read all objects of a kind, in pages; ``trim`` is applied to each page as it comes."""
        call = Call("list", kind.kind, "", namespace or "")
        path, query = kind.path(namespace), wire.selectors(labels, fields)
        paged = query | {"limit": str(PAGE)}
        items: list[Object] = []
        token = ""
        while True:
            try:
                body = await self._read(call, path, paged | wire.next_page(token), LIST_DEADLINE)
            except errors.Gone:
                if not token:
                    raise
                # The pages took too long, and the snapshot they came from is gone: all in one.
                paged, token, items = query, "", []
                continue
            items += [wire.complete(item, kind, trim) for item in body.get("items") or ()]
            meta = body.get("metadata") or {}
            token = meta.get("continue") or ""
            if not token:
                return Page(items, str(meta.get("resourceVersion") or ""))

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        resource_version: str,
        timeout: float,  # noqa: ASYNC109 the server's, not ours
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield what happens after ``resource_version``, bookmarks included, until the server ends.

        ``timeout`` (seconds) is when the server should end the watch. Close the generator
        (``contextlib.aclosing``) when leaving it early.

        Raises:
            errors.Gone: list again.
            errors.Timeout: the server did not end the watch ``WATCH_SLACK`` after ``timeout``.

        """
        call = Call("watch", kind.kind, "", namespace or "")
        query = wire.selectors(labels, fields) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(timeout))),
        }
        until = asyncio.get_running_loop().time() + timeout + WATCH_SLACK
        response = await self._open(call, kind.path(namespace), query)
        try:
            wire.probe_idle_connection(response)
            async for line in wire.lines(call, response, until):
                yield wire.event(call, line)
        finally:
            response.close()

    async def whoami(self) -> str:
        """Return the user name under which the API server knows us."""
        kind = SELFSUBJECTREVIEWS
        body = {"apiVersion": kind.api_version, "kind": kind.kind}
        answer = await self._write(Call("create", kind.kind), "POST", kind.path(), body, {})
        return str(answer["status"]["userInfo"]["username"])

    async def create(
        self,
        kind: Kind,
        body: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Create an object, or a subresource of the object that ``body`` names."""
        name = str((body.get("metadata") or {}).get("name") or "")
        call = Call("create", kind.kind, name, namespace or "")
        path = kind.path(namespace, name if subresource else None, subresource)
        return await self._write(call, "POST", path, body, wire.managed(dry_run=dry_run))

    async def replace(
        self,
        kind: Kind,
        body: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Write a whole object; its ``metadata.resourceVersion`` is the precondition.

        Raises:
            errors.Conflict: somebody else wrote it since.

        """
        name = str(body["metadata"]["name"])
        call = Call("update", kind.kind, name, namespace or "")
        path = kind.path(namespace, name, subresource)
        return await self._write(call, "PUT", path, body, wire.managed(dry_run=dry_run))

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Mapping[str, Any] | Sequence[Any],
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        content: PatchType = PatchType.MERGE,
        dry_run: bool = False,
    ) -> Object:
        """Change parts of an object.

        Raises:
            errors.Conflict: ``metadata.resourceVersion`` in the patch is not the object's.
            errors.Invalid: also when a ``test`` of a JSON patch does not hold.

        """
        call = Call("patch", kind.kind, name, namespace or "")
        query = wire.managed(dry_run=dry_run)
        if content is PatchType.APPLY:
            query["force"] = "true"
        path = kind.path(namespace, name, subresource)
        return await self._write(call, "PATCH", path, body, query, content)

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete an object; ``uid`` is a precondition, ``propagation`` as in DeleteOptions.

        Raises:
            errors.Conflict: another object has that name now.

        """
        call = Call("delete", kind.kind, name, namespace or "")
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        await self._write(call, "DELETE", kind.path(namespace, name), options, {})

    async def _read(
        self, call: Call, path: str, query: dict[str, str], deadline: float | None = None
    ) -> Object:
        deadline = deadline or self._deadline
        again = wire.waits_as_asked(deadline, self._sleep)
        async with wire.within(call, deadline):
            raw: bytes = await again(self._exchange, call, "GET", path, query)
            return wire.decode(call, raw)

    async def _write(
        self,
        call: Call,
        method: str,
        path: str,
        body: Any,
        query: dict[str, str],
        content: str = _JSON,
    ) -> Object:
        async with wire.within(call, self._deadline):
            data = orjson.dumps(body)
            return wire.decode(call, await self._exchange(call, method, path, query, data, content))

    async def _exchange(
        self,
        call: Call,
        method: str,
        path: str,
        query: dict[str, str],
        data: bytes | None = None,
        content: str | None = None,
    ) -> bytes:
        response = await self._send(call, method, path, query, data, content)
        async with response:
            try:
                raw = await response.read()
            except (aiohttp.ClientError, OSError) as error:
                raise errors.Unavailable(call, f"the answer broke off: {error}") from error
        if response.status >= 300:
            raise wire.failure(call, response, raw)
        return raw

    async def _open(self, call: Call, path: str, query: dict[str, str]) -> aiohttp.ClientResponse:
        async with wire.within(call, self._deadline):
            response = await self._send(call, "GET", path, query)
            if response.status >= 300:
                async with response:
                    raise wire.failure(call, response, await response.read())
            return response

    async def _send(
        self,
        call: Call,
        method: str,
        path: str,
        query: dict[str, str],
        data: bytes | None = None,
        content: str | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and wait for the head of its answer; a refused credential is renewed."""
        for last in (False, True):
            headers = await self._headers(content)
            code, began = "none", perf_counter()
            try:
                response = await self._session.request(
                    method,
                    URL(self._base + path).with_query(query),
                    data=data,
                    headers=headers,
                    proxy=self._proxy,
                    server_hostname=self._server_name,
                    allow_redirects=False,
                )
                code = str(response.status)
            except (aiohttp.ClientError, OSError) as error:
                raise errors.Unavailable(call, f"no answer: {error}") from error
            finally:
                metrics.API_REQUESTS.labels(call.verb, call.kind, code).inc()
                metrics.API_DURATION.labels(call.verb).observe(perf_counter() - began)
            if response.status != 401 or last or self._renew is None or not await self._renew():
                break
            response.release()
        return response

    async def _headers(self, content: str | None) -> dict[str, str]:
        headers = {"Content-Type": content} if content else {}
        credential = await self._configuration.get_api_key_with_prefix("BearerToken")
        if credential:
            headers["Authorization"] = credential
        return headers


async def _configure(
    kubeconfig: Path | None, context: str | None
) -> tuple[Any, Callable[[], Awaitable[bool]] | None]:
    # Imported here because it takes seconds and 75 MB, and not every command talks to a cluster.
    from kubernetes_asyncio import config  # noqa: PLC0415 see above
    from kubernetes_asyncio.client import Configuration  # noqa: PLC0415 see above

    configuration = Configuration()
    configuration.connection_pool_maxsize = 0  # every watch holds a connection; no limit
    in_pod = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    try:
        if kubeconfig is None and in_pod and not os.environ.get("KUBECONFIG"):
            load_incluster: Any = config.load_incluster_config  # has no types
            load_incluster(client_configuration=configuration)
            return configuration, None
        loader = await config.load_kube_config(
            config_file=credentials.existing(kubeconfig),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except errors.NotConfigured:
        raise
    except Exception as error:  # the library lets everything through that a bad file can cause
        where = kubeconfig or os.environ.get("KUBECONFIG") or "the default configuration"
        raise errors.NotConfigured(f"cannot use {where}: {error}") from error
    keeper = credentials.Keeper(loader, configuration)
    if "BearerToken" in configuration.api_key:
        configuration.refresh_api_key_hook = keeper.refresh
    return configuration, keeper.renew
