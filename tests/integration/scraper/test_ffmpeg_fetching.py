"""When ffmpeg itself fetches (parts of a medium, HLS that yt-dlp does not read), it does so through the filtering proxy alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from scraper.egress import EgressPolicy
from service.errors import FetchFailed
from tests.integration.scraper.conftest import Bench, bench_on, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A worker's insides without a pool: the hook is installed, and ffmpeg is asked for one second out of the middle.
SCRIPT = """
import sys
from pathlib import Path
from scraper.downloader import Downloader, install_downloaders
from scraper.egress import EgressPolicy
from scraper.failures import cause_of
from scraper.guard import Guard
from scraper.options import ytdlp_options
from service.selection import Selection
from yt_dlp.downloader.external import FFmpegFD

address, allowed, target, ffmpeg, port, protocol, proxied = sys.argv[1:]
install_downloaders()
guard = Guard(EgressPolicy(allow=(allowed,)), ffmpeg, None)
guard.install()
options = ytdlp_options(Selection.of("video", "mp4"), state_directory=Path(target).parent, ffmpeg=ffmpeg, deno=None)
with Downloader(options, {}, guard, lambda: ("127.0.0.1", int(port))) as ydl:
    if proxied == "no":
        guard.through_proxy = lambda proxy: None
    try:
        part = {"section_start": 2, "section_end": 3} if protocol == "https" else {}
        info = {"id": "x", "url": address, "ext": "mp4", "protocol": protocol, **part,
                "http_headers": {"User-Agent": "Magpie's own", "Referer": "https://site.example/"}}
        fd = FFmpegFD(ydl, ydl.params)
        print("done" if fd.real_download(target, info) else "failed")
    except Exception as error:
        print(cause_of(error, guard).code)
"""


async def fetched(bench: Bench, address: str, target: Path, *, protocol: str = "https", proxied: str = "yes") -> str:
    ffmpeg = str(bench.fetcher.pool.config.state_directory / "bin" / "ffmpeg")
    allowed = bench.site.base.removeprefix("http://")
    async with bench.fetcher.pool.proxy() as proxy:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SCRIPT, address, allowed, str(target), ffmpeg, str(proxy.port), protocol, proxied,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    return out.decode().strip().splitlines()[-1]


async def test_ffmpeg_brings_a_part_through_the_proxy(bench: Bench, tmp_path: Path) -> None:
    bench.site.log.clear()
    assert await fetched(bench, bench.address("/media/clip.mp4"), tmp_path / "part.mp4") == "done"
    assert "Duration: 00:00:0" in shown(tmp_path / "part.mp4")
    assert {asked.headers.get("User-Agent") for asked in bench.site.log} == {"Magpie's own"}


async def test_ffmpeg_without_the_proxy_is_not_started(bench: Bench, tmp_path: Path) -> None:
    bench.site.log.clear()
    assert await fetched(bench, bench.address("/media/clip.mp4"), tmp_path / "part.mp4", proxied="no") == "address_not_allowed"
    assert len(bench.site.log) == 0


@pytest.mark.parametrize("path", ["/redirect?to={trap}/x.mp4", "/hls/private.m3u8?to={trap}/seg.ts"])
async def test_what_ffmpeg_is_led_to_is_refused_without_a_byte(bench: Bench, tmp_path: Path, path: str) -> None:
    visits: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(str(await reader.read(100)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        trap = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        protocol = "m3u8" if "hls" in path else "https"
        said = await fetched(bench, bench.address(path.format(trap=trap)), tmp_path / "part.mp4", protocol=protocol)
    assert said != "done"
    assert not visits


@pytest.mark.parametrize("address", ["rtmp://127.0.0.1/x", "file:///etc/passwd", "tcp://127.0.0.1:1", "concat:/etc/passwd"])
async def test_ffmpeg_gets_no_other_kind_of_address(bench: Bench, tmp_path: Path, address: str) -> None:
    assert await fetched(bench, address, tmp_path / "part.mp4") == "address_not_allowed"


# yt-dlp leaves what is encrypted in this manner to ffmpeg.
PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:1
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="/key"
#EXTINF:1,
{segment}
#EXT-X-ENDLIST
"""


async def test_a_playlist_that_leads_ffmpeg_to_a_private_address_is_refused_with_that_cause(bench: Bench) -> None:
    visits: list[str] = []
    asked: list[str] = []

    async def trap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(str(await reader.read(100)))
        writer.close()

    async def site(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
        asked.append(path)
        body = b"0" * 16 if path == "/key" else PLAYLIST.format(segment=segment).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(trap, "127.0.0.1", 0) as trapping, await asyncio.start_server(site, "127.0.0.1", 0) as serving:
        segment = f"http://127.0.0.1:{trapping.sockets[0].getsockname()[1]}/seg.ts"
        base = f"127.0.0.1:{serving.sockets[0].getsockname()[1]}"
        other = await bench_on(bench.site, bench.root / "sample-aes", policy=EgressPolicy(allow=(base,)))
        try:
            with pytest.raises(FetchFailed) as failure:
                await other.fetch(f"http://{base}/index.m3u8", "video", "mp4")
            assert len(other.fetcher.pool.pids()) == 2
        finally:
            await other.fetcher.stop()
    assert failure.value.code == "address_not_allowed"
    assert not visits
    assert asked.count("/index.m3u8") > 2
