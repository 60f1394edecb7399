"""A reverse proxy that adds no header of its own, as nginx does with a bare `proxy_pass`. Standard library only: it is run as another user.

`python -m sandbox.proxy --listen PORT --to PORT` forwards to the same machine until it is ended, after one line `proxy at
http://127.0.0.1:PORT`. Upstream it speaks HTTP/1.0 with `Host: 127.0.0.1:TO` and `Connection: close`; with `--http11` HTTP/1.1 and the
Host that the client sent. One request a connection. Started by root, `--uid N` makes it that user before it opens any connection; other
than starting it as that user, this works where the user may not read the interpreter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import dataclass

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"})
_MOST_BODY = 64 * 1024 * 1024
_CHUNK = 64 * 1024


class BadRequest(ValueError):
    """What came is not a request that can be forwarded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)


class HeaderlessProxy:
    """Forwards to `127.0.0.1:to`."""

    def __init__(self, to: int, *, http11: bool = False) -> None:
        self._to = to
        self._http11 = http11
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; port 0 takes a free one. Returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def head(self, request: _Request) -> bytes:
        """The request's head as it goes upstream."""
        version, host = ("1.1", request.header("host") or "") if self._http11 else ("1.0", f"127.0.0.1:{self._to}")
        kept = [(name, value) for name, value in request.headers if name.lower() not in {*_HOP_BY_HOP, "host", "content-length"}]
        length = [("Content-Length", str(len(request.body)))] if request.body or request.header("content-length") else []
        lines = [f"{name}: {value}" for name, value in [("Host", host), ("Connection", "close"), *length, *kept]]
        return "\r\n".join([f"{request.method} {request.target} HTTP/{version}", *lines, "", ""]).encode("latin-1")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader, writer)
            await self._forward(request, writer)
        except (BadRequest, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except ConnectionError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()

    async def _forward(self, request: _Request, client: asyncio.StreamWriter) -> None:
        reader, upstream = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            upstream.write(self.head(request) + request.body)
            await upstream.drain()
            while data := await reader.read(_CHUNK):
                client.write(data)
                await client.drain()
        finally:
            upstream.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3:  # noqa: PLR2004 - method, target, version
        raise BadRequest(lines[0])
    pairs = [line.partition(":") for line in lines[1:] if line]
    request = _Request(method=words[0], target=words[1], headers=[(name.strip(), value.strip()) for name, _, value in pairs], body=b"")
    if (request.header("expect") or "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _body(reader, request)
    return _Request(method=request.method, target=request.target, headers=request.headers, body=body)


async def _body(reader: asyncio.StreamReader, request: _Request) -> bytes:
    """The whole body, without its chunks: nginx too has it all before it speaks to the other side."""
    if "chunked" in (request.header("transfer-encoding") or "").lower():
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await _exactly(reader, size, len(body))
            await reader.readexactly(2)
        while (await reader.readuntil(b"\r\n")) != b"\r\n":
            pass
        return body
    length = request.header("content-length") or "0"
    if not length.isdecimal():
        raise BadRequest(length)
    return await _exactly(reader, int(length), 0)


async def _exactly(reader: asyncio.StreamReader, size: int, before: int) -> bytes:
    if before + size > _MOST_BODY:
        raise BadRequest(str(size))
    return await reader.readexactly(size)


async def serve(listen: int, to: int, *, http11: bool, uid: int | None = None) -> None:
    """Serve until the process is ended."""
    proxy = HeaderlessProxy(to, http11=http11)
    port = await proxy.start(listen)
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    print(f"proxy at http://127.0.0.1:{port}", flush=True)  # noqa: T201 - the line that whoever started us waits for
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A reverse proxy that adds no header.")
    parser.add_argument("--listen", type=int, required=True, help="0 takes a free port")
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--http11", action="store_true", help="HTTP/1.1 and the client's Host upstream")
    parser.add_argument("--uid", type=int, help="become this user (and the group of the same number)")
    given = parser.parse_args()
    asyncio.run(serve(given.listen, given.to, http11=given.http11, uid=given.uid))


if __name__ == "__main__":
    main()
