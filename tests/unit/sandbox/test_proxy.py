"""The proxy sends upstream what nginx's bare `proxy_pass` sends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import psutil
import pytest
from aiohttp import web

import sandbox.proxy
from sandbox.proxy import HeaderlessProxy


@asynccontextmanager
async def upstream() -> AsyncIterator[int]:
    """A server that says what it was asked."""

    async def echo(request: web.Request) -> web.Response:
        version = f"{request.version.major}.{request.version.minor}"
        body = (await request.read()).decode()
        return web.json_response({"version": version, "path": request.path_qs, "headers": dict(request.headers), "body": body})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@asynccontextmanager
async def proxied(*, http11: bool = False) -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    async with upstream() as port:
        proxy = HeaderlessProxy(port, http11=http11)
        listening = await proxy.start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listening}") as client:
            yield client, port
        await proxy.stop()


async def test_the_other_side_sees_http_1_0_its_own_address_and_no_trace_of_a_proxy() -> None:
    async with proxied() as (client, port), client.get("/a/b?c=d", headers={"Host": "magpie.example", "Accept": "x/y"}) as answer:
        seen = await answer.json()

    assert seen["version"] == "1.0"
    assert seen["path"] == "/a/b?c=d"
    assert seen["headers"]["Host"] == f"127.0.0.1:{port}"
    assert seen["headers"]["Connection"] == "close"
    assert seen["headers"]["Accept"] == "x/y"
    assert not [name for name in seen["headers"] if name.lower().startswith(("x-forwarded", "forwarded", "via", "x-real"))]


async def test_with_http_1_1_the_clients_host_is_kept() -> None:
    async with proxied(http11=True) as (client, _), client.get("/", headers={"Host": "magpie.example"}) as answer:
        seen = await answer.json()

    assert (seen["version"], seen["headers"]["Host"]) == ("1.1", "magpie.example")


async def test_a_body_is_passed_on_with_its_length() -> None:
    async with proxied() as (client, _), client.post("/", data=b"x" * 100_000) as answer:
        seen = await answer.json()

    assert seen["body"] == "x" * 100_000
    assert seen["headers"]["Content-Length"] == "100000"


async def test_a_chunked_body_arrives_whole() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    async with proxied() as (client, _), client.post("/", data=pieces()) as answer:
        seen = await answer.json()

    assert seen["body"] == "one two three"
    assert "Transfer-Encoding" not in seen["headers"]


async def test_nobody_on_the_other_side_is_a_bad_gateway() -> None:
    proxy = HeaderlessProxy(1)
    port = await proxy.start()
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/") as answer:
        assert answer.status == 502
    await proxy.stop()


async def test_what_is_no_request_is_a_bad_request() -> None:
    proxy = HeaderlessProxy(1)
    port = await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"nonsense\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()
    await proxy.stop()


@contextmanager
def as_a_script(to: int, *options: str) -> Iterator[tuple[str, int]]:
    """The proxy's file alone, without any installed package; its address and process id."""
    command = [sys.executable, "-I", "-S", sandbox.proxy.__file__, "--listen", "0", "--to", str(to), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("proxy at ").strip(), process.pid
        process.terminate()


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


async def test_the_script_needs_nothing_but_the_standard_library() -> None:
    async with upstream() as port:
        with as_a_script(port) as (address, _):
            assert '"version": "1.0"' in await asyncio.to_thread(fetch, address)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_the_script_becomes_another_user_before_it_connects() -> None:
    async with upstream() as port:
        with as_a_script(port, "--uid", "65534") as (address, process):
            await asyncio.to_thread(fetch, address)
            user = psutil.Process(process).uids()

    assert set(user) == {65534}
