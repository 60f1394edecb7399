from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from scraper.egress import EgressPolicy
from scraper.proxy import FilteringProxy


class Site:
    """Answers everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


async def say(policy: EgressPolicy, *lines: str) -> str:
    """What the proxy answers to these, sent one after the other."""
    server = await FilteringProxy(policy).start()
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        answer = ""
        for line in lines:
            writer.write(line.encode())
            await writer.drain()
            answer += (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
        answer += (await asyncio.wait_for(reader.read(), 5)).decode()
        writer.close()
        await writer.wait_closed()
    return answer


def allowing(site: Site) -> EgressPolicy:
    return EgressPolicy(allow=(f"127.0.0.1:{site.port}",))


async def test_a_permitted_page_passes_without_the_proxys_own_fields(site: Site) -> None:
    address = f"127.0.0.1:{site.port}"
    answer = await say(
        allowing(site), f"GET http://{address}/a?b=c HTTP/1.1\r\nHost: evil.example\r\nProxy-Authorization: x\r\nRange: bytes=0-\r\n\r\n"
    )
    assert answer.endswith("hello")
    assert site.heads == [f"GET /a?b=c HTTP/1.1\r\nHost: {address}\r\nRange: bytes=0-\r\nConnection: close\r\n\r\n"]


async def test_a_tunnel_to_a_permitted_address_passes(site: Site) -> None:
    answer = await say(allowing(site), f"CONNECT 127.0.0.1:{site.port} HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n")
    assert "200 Connection established" in answer
    assert answer.endswith("hello")


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://127.0.0.1:{port}/ HTTP/1.1",
        "GET http://localhost:{port}/ HTTP/1.1",
        "CONNECT 127.0.0.1:{port} HTTP/1.1",
        "CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1",
    ],
)
async def test_a_private_address_is_refused_without_a_byte(site: Site, request_line: str) -> None:
    assert "403" in await say(EgressPolicy(), request_line.format(port=site.port) + "\r\n\r\n")
    assert not site.heads


@pytest.mark.parametrize(
    "request_line", ["GET /x HTTP/1.1", "GET ftp://8.8.8.8/ HTTP/1.1", "GET file:///etc/passwd HTTP/1.1", "nonsense", "CONNECT :x HTTP/1.1"]
)
async def test_what_is_no_proxy_request_is_refused(request_line: str) -> None:
    assert "400" in await say(EgressPolicy(), f"{request_line}\r\n\r\n")


async def test_a_name_that_changes_its_answer_is_connected_to_where_it_was_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    loop = asyncio.get_running_loop()
    original: Callable[..., Any] = loop.getaddrinfo

    async def changing(host: str, port: int, **options: Any) -> list[Any]:
        if host != "rebind.example":
            return list(await original(host, port, **options))
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(loop, "getaddrinfo", changing)
    assert (await say(allowing(site), f"GET http://rebind.example:{site.port}/ HTTP/1.1\r\n\r\n")).endswith("hello")
    assert len(asked) == 1
    assert "403" in await say(allowing(site), f"GET http://rebind.example:{site.port}/ HTTP/1.1\r\n\r\n")
    assert len(site.heads) == 1


async def test_one_private_address_among_public_ones_condemns_the_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    original: Callable[..., Any] = loop.getaddrinfo

    async def mixed(host: str, port: int, **options: Any) -> list[Any]:
        if host != "mixed.example":
            return list(await original(host, port, **options))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(loop, "getaddrinfo", mixed)
    assert "403" in await say(allowing(site), f"CONNECT mixed.example:{site.port} HTTP/1.1\r\n\r\n")
