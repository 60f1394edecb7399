"""A client that asks for one address over and over, on connections that stay open: so little work that the server is what is measured."""

from __future__ import annotations

import asyncio
import re
import time

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
CONNECTIONS = 8


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, left: list[None]) -> None:
        self._request, self._left, self._have = request, left, b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if self._left:
            self._left.pop()
            self._transport.write(self._request)
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._have += data
        head, separator, body = self._have.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head + b"\r\n")
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            self.ended.set_exception(RuntimeError(head.decode()))
            self._transport.close()
        elif len(body) >= int(length[1]):
            self._have = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ended.done():
            return
        if exc is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(exc)


async def _ask(port: int, path: str, times: int) -> float:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n\r\n".encode()
    left, loop = [None] * times, asyncio.get_running_loop()
    start = time.perf_counter()
    made = await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(request, left), "127.0.0.1", port) for _ in range(CONNECTIONS))
    )
    await asyncio.gather(*(connection.ended for _, connection in made))
    return time.perf_counter() - start


def ask(port: int, path: str, times: int) -> float:
    """Seconds an answer. Raises `RuntimeError` for one that is not 200."""
    return asyncio.run(_ask(port, path, times)) / times
