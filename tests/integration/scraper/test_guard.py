"""Addresses that may not be reached: not one byte is asked of them, whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from scraper.egress import EgressPolicy
from service.errors import AddressNotAllowed, FetchFailed
from service.media_url import MediaUrl
from tests.integration.scraper.conftest import YOUTUBE, Bench, Watcher, bench_on

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Trap:
    """A server at an address that is not allowed. It counts who comes."""

    def __init__(self) -> None:
        self.visits = 0
        self.base = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        with contextlib.suppress(OSError):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsecr")
            await writer.drain()
        writer.close()
        _ = reader


@pytest_asyncio.fixture(loop_scope="session")
async def trap() -> AsyncIterator[Trap]:
    trap = Trap()
    server = await asyncio.start_server(trap.serve, "127.0.0.1", 0)
    trap.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield trap


async def refused(bench: Bench, address: str, *selection: str) -> None:
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch(address, *selection)
    assert failure.value.code == "address_not_allowed"
    assert failure.value.message == "The address leads into a private network and is not fetched."


async def test_a_private_address_is_refused_without_a_byte(bench: Bench, trap: Trap) -> None:
    await refused(bench, f"{trap.base}/x.mp4")
    assert trap.visits == 0


async def test_a_name_that_resolves_to_a_private_address_is_refused_without_a_byte(bench: Bench, trap: Trap) -> None:
    await refused(bench, trap.base.replace("127.0.0.1", "localhost") + "/x.mp4")
    assert trap.visits == 0


async def test_a_redirect_to_a_private_address_is_refused_without_a_byte(bench: Bench, trap: Trap) -> None:
    await refused(bench, f"/redirect?to={trap.base}/x.mp4")
    assert trap.visits == 0


async def test_segments_at_a_private_address_are_refused_without_a_byte(bench: Bench, trap: Trap) -> None:
    await refused(bench, f"/hls/private.m3u8?to={trap.base}/seg.ts")
    assert trap.visits == 0


async def test_a_picture_at_a_private_address_is_refused_without_a_byte(bench: Bench, trap: Trap) -> None:
    await refused(bench, f"/page/thumb?to={trap.base}/x.jpg")
    await refused(bench, f"{YOUTUBE}THUMBaaaaaa")
    assert trap.visits == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2:1", "127.1:1", "2130706433:1", "0x7f000001:1", "0.0.0.0:1", "[::1]:1", "[::]:1",
        "[::ffff:127.0.0.2]:1", "[::ffff:7f00:2]:1", "[64:ff9b::7f00:1]:1", "[2002:7f00:1::]:1", "[fe80::1]:1",
        "[fd00::1]:1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    ],
)  # fmt: skip
async def test_no_spelling_of_a_private_address_gets_through(bench: Bench, host: str) -> None:
    await refused(bench, f"http://{host}/x.mp4")
    await refused(bench, f"/redirect?to=http://{host}/x.mp4")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
async def test_a_redirect_to_another_kind_of_address_is_refused(bench: Bench, address: str) -> None:
    await refused(bench, f"/redirect?to={address}")


async def test_segments_that_are_local_files_are_refused(bench: Bench) -> None:
    await refused(bench, "/hls/file.m3u8")


@pytest.mark.parametrize("path", ["/disguised.mp4?as=ffconcat", "/disguised.mp4?as=m3u8", "/svg.mp4", "/html-as-mp4.mp4"])
async def test_what_only_claims_to_be_a_video_is_none(bench: Bench, path: str) -> None:
    for selection in (("video", "mp4"), ("audio", "mp3")):
        with pytest.raises(FetchFailed) as failure:
            await bench.fetch(path, *selection)
        assert failure.value.code == "unsupported"


async def test_check_address_refuses_private_addresses_and_lets_unknown_names_pass(bench: Bench) -> None:
    for address in ("http://127.0.0.1:1/", "http://localhost:1/", "http://[::ffff:10.0.0.1]/"):
        with pytest.raises(AddressNotAllowed):
            await bench.fetcher.check_address(MediaUrl.parse(address))
    await bench.fetcher.check_address(MediaUrl.parse(bench.address("/media/clip.mp4")))
    await bench.fetcher.check_address(MediaUrl.parse("http://no-such-host.invalid/"))


async def test_our_own_port_and_blocked_hosts_are_refused_even_where_allowed(bench: Bench, tmp_path: object) -> None:
    site = bench.site
    port = int(site.base.rpartition(":")[2])
    policy = EgressPolicy(allow=("127.0.0.0/8",), own_ports=frozenset({port}), blocked_hosts=frozenset({"blocked.example"}))
    other = await bench_on(site, bench.root / "own", policy=policy)
    try:
        asked = len(site.log)
        await refused(other, "/media/clip.mp4")
        await refused(other, "http://www.blocked.example/x.mp4")
        assert len(site.log) == asked
    finally:
        await other.fetcher.stop()


async def test_the_workers_environment_holds_nothing_of_the_services(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGPIE_BOT_TOKEN", "secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    other = await bench_on(bench.site, bench.root / "environment")
    try:
        await other.fetch("/media/clip.mp4", watcher=Watcher())
        for pid in other.fetcher.pool.pids():
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - a pseudo-file
                content = file.read()
            assert b"secret" not in content
            assert b"http_proxy" not in content
    finally:
        await other.fetcher.stop()
