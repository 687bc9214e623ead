"""Fetches pods' pages: bounded in time and size, and never led elsewhere."""

from types import TracebackType
from typing import Final, Self

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=0.9)
_LARGEST: Final = 4 * 1024 * 1024
_AT_ONCE: Final = 64
_HEADERS: Final = {"Accept": "text/plain;version=0.0.4", "User-Agent": "slipway"}


class NoPage(Exception):
    """A pod did not give its page; the message says why."""


class Pages:
    """An HTTP client for pods; use it as an async context manager."""

    def __init__(self) -> None:
        # An idle connection could keep a pod from ending.
        connector = aiohttp.TCPConnector(limit=_AT_ONCE, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=_TIMEOUT,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, url: str) -> str:
        """The text of a page; raises NoPage.

        A pod's certificate is not for its address, so it is not looked at.
        """
        try:
            async with self._session.get(url, allow_redirects=False, ssl=False) as response:
                if response.status != 200:
                    raise NoPage(f"{url} answered {response.status}")
                body = await response.content.read(_LARGEST + 1)
                while not response.content.at_eof() and len(body) <= _LARGEST:
                    body += await response.content.read(_LARGEST + 1 - len(body))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise NoPage(f"{url}: {type(error).__name__}: {error}") from error
        if len(body) > _LARGEST:
            raise NoPage(f"{url} is larger than {_LARGEST} bytes")
        return body.decode("utf-8", "replace")
