"""The filtering forward proxy: the only way out for programs that open their own connections (ffmpeg).

It resolves a name once, checks every address that it gets, and connects to the address that it checked: a name that changes its answer
gains nothing. HTTP by absolute addresses and CONNECT, nothing else. A process of its own, forked from the zygote, for each job that needs
one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import NoReturn
from urllib.parse import urlsplit

from scraper import process
from scraper.egress import EgressPolicy
from scraper.wire import encoded

_MAX_HEAD = 64 * 1024
_HEAD_SECONDS = 20
_CONNECT_SECONDS = 15
_PIECE = 256 * 1024
_AHEAD = 512 * 1024
_HOP_BY_HOP = (b"proxy-", b"connection:", b"keep-alive:", b"host:", b"upgrade:")

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Refused(Exception):
    """The policy does not let this address be reached."""


class _Malformed(Exception):
    """Not a request that a proxy understands."""


class FilteringProxy:
    """Serves until its task is cancelled."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self.has_refused = False

    async def start(self) -> asyncio.Server:
        """Listen on a free loopback port."""
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MAX_HEAD)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            try:
                upstream, opening = await self._opened(reader)
            except _Refused:
                self.has_refused = True
                await _say(writer, "403 Forbidden")
            except (_Malformed, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await _say(writer, "400 Bad Request")
            except (OSError, TimeoutError):
                await _say(writer, "502 Bad Gateway")
            else:
                await self._join((reader, writer), upstream, opening)
        writer.close()

    async def _opened(self, reader: asyncio.StreamReader) -> tuple[Stream, bytes | None]:
        """The connection upstream, and what to send first: None after CONNECT."""
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
        line, _, rest = head.partition(b"\r\n")
        try:
            method, target, _ = line.decode("latin-1").split(" ")
            parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
            host, port = parts.hostname, parts.port or 80
        except ValueError as wrong:
            raise _Malformed from wrong
        if not host or (method != "CONNECT" and parts.scheme != "http"):
            raise _Malformed
        upstream = await self._connect(host, port)
        if method == "CONNECT":
            return upstream, None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        name = f"[{host}]" if ":" in host else host
        fields = [field for field in rest.split(b"\r\n") if field and not field.lower().startswith(_HOP_BY_HOP)]
        first = [f"{method} {path} HTTP/1.1".encode("latin-1"), f"Host: {name}{'' if port == 80 else f':{port}'}".encode("latin-1")]  # noqa: PLR2004
        return upstream, b"\r\n".join([*first, *fields, b"Connection: close", b"", b""])

    async def _connect(self, host: str, port: int) -> Stream:
        if self._policy.blocks(host):
            raise _Refused
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        # One that may not be reached condemns the name: no page of the public net has such an answer.
        if not all(self._policy.permits(address, port) for address in addresses):
            raise _Refused
        failure: OSError = OSError("no address")
        for address in addresses:
            try:
                return await asyncio.wait_for(_connection(address, port), _CONNECT_SECONDS)
            except (OSError, TimeoutError) as error:
                failure = OSError(str(error))
        raise failure

    async def _join(self, client: Stream, upstream: Stream, opening: bytes | None) -> None:
        client[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _AHEAD)
        if opening is None:
            client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            upstream[1].write(opening)
        up = asyncio.create_task(_pump(client[0], upstream[1]))
        try:
            await _pump(upstream[0], client[1])
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
            upstream[1].close()


async def _connection(address: str, port: int) -> Stream:
    """With a bound on what the kernel takes in beforehand: who reads a part of a file and leaves costs the site little more than that."""
    upstream = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        upstream.setblocking(False)  # noqa: FBT003 - the library's signature
        upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _AHEAD)
        await asyncio.get_running_loop().sock_connect(upstream, (address, port))
        return await asyncio.open_connection(sock=upstream)
    except BaseException:
        upstream.close()
        raise


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _say(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()


def serve(connection: socket.socket, policy: EgressPolicy, parent: int) -> NoReturn:
    """The body of the forked process: says its port over `connection`, then at every line whether it has refused anything so far;
    ends when the other side closes it.
    """
    os.setpgid(0, 0)
    process.die_with_parent(parent)
    process.limit()
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)

    async def run() -> None:
        proxy = FilteringProxy(policy)
        server = await proxy.start()
        reader, writer = await asyncio.open_connection(sock=connection)
        writer.write(encoded({"proxy": server.sockets[0].getsockname()[1]}))
        while await reader.readline():
            writer.write(encoded({"refused": proxy.has_refused}))
        os._exit(0)

    asyncio.run(run())
    os._exit(0)
