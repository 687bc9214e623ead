"""A small HTTP/1.1 client that knows whether an answer had begun: only GET, no redirects.

General clients retry in more cases than a probe may: a request that was lost on a *new*
connection, or after the first byte of its answer, is an outage and must be counted as one.
"""

import asyncio
from typing import Final, Self

_LIMIT: Final = 1 << 20


class NoAnswerError(ConnectionError):
    """The connection ended before the first byte of an answer."""


class Connection:
    """One connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.served = 0
        """How many answers it has brought."""
        self.open = True

    @classmethod
    async def to(cls, host: str, port: int) -> Self:
        """Connect; OSError if refused."""
        return cls(*await asyncio.open_connection(host, port, limit=_LIMIT))

    async def get(self, request: bytes) -> tuple[int, dict[str, str]]:
        """Send a whole request and read its whole answer: status and headers (lower case)."""
        try:
            self._writer.write(request)
            head = await self._head()
            status, headers = _parse(head)
            await self._skip_body(headers)
        except BaseException:
            self.close()
            raise
        self.served += 1
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers

    def close(self) -> None:
        """Drop the connection."""
        self.open = False
        self._writer.close()

    async def _head(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                raise NoAnswerError("closed before an answer") from None
            raise ConnectionError("closed within an answer") from None
        except ConnectionError as error:
            raise NoAnswerError(str(error)) from None

    async def _skip_body(self, headers: dict[str, str]) -> None:
        try:
            if "content-length" in headers:
                await self._reader.readexactly(int(headers["content-length"]))
            elif headers.get("transfer-encoding", "").lower() == "chunked":
                await self._skip_chunks()
            else:
                await self._reader.read(-1)
                self.open = False
        except asyncio.IncompleteReadError:
            raise ConnectionError("closed within an answer") from None

    async def _skip_chunks(self) -> None:
        size = -1
        while size:
            size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
            await self._reader.readexactly(size + 2)


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(first.split(" ", 2)[1]), headers
