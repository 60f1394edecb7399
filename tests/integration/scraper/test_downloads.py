"""Sites that misbehave: a failure with its cause, or the whole file; never half a file, never a leftover."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from sandbox.media_site import MediaSite
from scraper.egress import EgressPolicy
from service.errors import FetchFailed
from service.media_url import MediaUrl
from tests.integration.scraper.conftest import YOUTUBE, Bench, bench_on

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIP = ("video", "mp4")


async def failure_of(bench: Bench, path: str, *selection: str, **bounds: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch(path, *(selection or CLIP), **bounds)
    for leftover in bench.root.iterdir():
        assert leftover.name not in {"media.mp4", "source0.mp4"}
    return failure.value


async def original(site: MediaSite, name: str) -> Path:
    return await site.files.find(name)


@pytest.mark.parametrize(
    "path", ["/media/clip.mp4", "/n/other.mp4", "/norange/media/clip.mp4", "/noheaders/media/clip.mp4", "/redirect/3/media/clip.mp4"]
)
async def test_a_direct_file_comes_byte_for_byte(bench: Bench, path: str) -> None:
    (file,) = (await bench.fetch(path, *CLIP)).files
    content = (await original(bench.site, "media/clip.mp4")).read_bytes()
    assert file.path.read_bytes() == content
    assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (file.width, file.height) == (640, 360)
    assert file.duration is not None
    assert 9.9 < file.duration.total_seconds() < 10.1


async def test_validators_of_a_file_agree_until_it_changes(bench: Bench) -> None:
    url = MediaUrl.parse(bench.address("/changing.mp4"))
    fetched = await bench.fetch("/changing.mp4", *CLIP)
    assert fetched.validators is not None
    assert fetched.validators.agrees_with(await bench.fetcher.validators(url))
    await bench.fetcher.validators(MediaUrl.parse(bench.address("/changing/bump")))
    assert not fetched.validators.agrees_with(await bench.fetcher.validators(url))


async def test_a_file_without_validators_never_agrees(bench: Bench) -> None:
    fetched = await bench.fetch("/novalidators.mp4", *CLIP)
    assert fetched.validators is not None
    assert not fetched.validators.agrees_with(await bench.fetcher.validators(MediaUrl.parse(bench.address("/novalidators.mp4"))))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/truncated/media/clip.mp4", "truncated"),
        ("/status/404", "no_such_video"),
        ("/status/410", "no_such_video"),
        ("/status/429", "throttled"),
        ("/status/403", "sign_in_needed"),
        ("/login", "sign_in_needed"),
        ("/geo", "geo_blocked"),
        ("/page/empty", "unsupported"),
        ("/page/playlist?n=3", "is_playlist"),
        ("/hls/live.m3u8", "live_stream"),
    ],
)
async def test_a_site_that_refuses_gives_the_cause(bench: Bench, path: str, code: str) -> None:
    failure = await failure_of(bench, path)
    assert failure.code == code
    assert failure.message == type(failure)().message


@pytest.mark.parametrize(
    ("video", "code"),
    [
        ("PRIVATE", "private"), ("AGE", "age_restricted"), ("GEO", "geo_blocked"), ("GONE", "no_such_video"), ("BOT", "sign_in_needed"),
        ("LIVE", "live_stream"), ("UPCOM", "live_stream"), ("HUGE", "too_large"), ("LONG", "too_long"),
    ],
)  # fmt: skip
async def test_what_youtube_says_becomes_a_cause(bench: Bench, video: str, code: str) -> None:
    assert (await failure_of(bench, f"{YOUTUBE}{video.ljust(11, 'a')}")).code == code


LIVE = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nseg.ts\n"


async def test_a_live_stream_that_its_page_does_not_call_live_is_refused(bench: Bench) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        page = f'<html><meta property="og:title" content="x"><meta property="og:video" content="http://{base}/live.m3u8"></html>'.encode()
        kind, body = (b"text/html", page) if asked == b"/page" else (b"application/x-mpegurl", LIVE)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (kind, len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        base = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        other = await bench_on(bench.site, bench.root / "live", policy=EgressPolicy(allow=(base,)))
        try:
            assert (await failure_of(other, f"http://{base}/page")).code == "live_stream"
        finally:
            await other.fetcher.stop()


async def test_a_list_with_one_item_is_that_item(bench: Bench) -> None:
    assert (await bench.fetch("/page/playlist?n=1", *CLIP)).files[0].height == 360


async def test_a_page_that_is_busy_for_a_moment_is_asked_again(bench: Bench) -> None:
    assert (await bench.fetch("/flaky/1/page-once/media/clip.mp4", *CLIP)).files[0].height == 360
    assert (await bench.fetch(f"{YOUTUBE}FLAKYaaaaaa", "audio", "m4a")).files[0].size > 0


async def test_an_endless_body_is_stopped_at_the_bound_and_its_connection_closed(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "magpie.scraper")
    bench.site.log.clear()
    assert (await failure_of(bench, "/endless.mp4", max_bytes=2_000_000)).code == "too_large"
    assert "bytes came" in caplog.text
    async with asyncio.timeout(10):
        await bench.site.log.until(lambda log: all(asked.ended for asked in log.of("/endless.mp4")))


async def test_a_file_that_says_it_is_too_large_is_refused_before_it_comes(bench: Bench) -> None:
    bench.site.log.clear()
    assert (await failure_of(bench, "/blob/500000000.mp4", max_bytes=400_000_000)).code == "too_large"
    await asyncio.sleep(0)
    assert sum(asked.sent for asked in bench.site.log) < 50_000_000


async def test_a_conversion_that_grows_beyond_the_bound_is_stopped(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "magpie.scraper")
    assert (await failure_of(bench, "/media/track3min.m4a", "audio", "wav", max_bytes=10_000_000)).code == "too_large"
    assert "ffmpeg reached the size limit" in caplog.text


async def test_a_medium_that_turns_out_too_long_is_refused(bench: Bench) -> None:
    assert (await failure_of(bench, "/media/track3min.m4a", "audio", "m4a", max_duration=60)).code == "too_long"


async def test_an_unreachable_host_is_a_passing_failure(bench: Bench) -> None:
    failure = await failure_of(bench, "http://no-such-host.invalid/x.mp4")
    assert (failure.code, failure.transient) == ("network", True)


async def test_a_nasty_title_harms_nothing(bench: Bench) -> None:
    fetched = await bench.fetch(f"{YOUTUBE}TITLEaaaaaa", *CLIP)
    assert fetched.files[0].path.name == "media.mp4"
    assert "\0" not in fetched.title
    assert fetched.title.startswith("../../etc/passwd")


async def test_a_slow_host_is_read_over_several_connections(bench: Bench) -> None:
    name = "pattern/12000000.mp4"
    bench.site.log.clear()
    (file,) = (await bench.fetch(f"/throttled/2000/{name}", *CLIP)).files
    assert file.path.read_bytes() == (await original(bench.site, name)).read_bytes()
    assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert len({asked.range for asked in bench.site.log if asked.range and asked.range != "bytes=0-"}) >= 3


async def test_a_fast_host_is_read_over_one_connection(bench: Bench) -> None:
    bench.site.log.clear()
    (file,) = (await bench.fetch("/pattern/30000000.mp4", *CLIP)).files
    assert file.size == 30_000_000
    assert [asked.range for asked in bench.site.log if asked.range] == ["bytes=0-"]


async def test_a_large_file_without_ranges_comes_in_one_stream(bench: Bench) -> None:
    (file,) = (await bench.fetch("/norange/pattern/12000000.mp4", *CLIP)).files
    assert file.path.read_bytes() == (await original(bench.site, "pattern/12000000.mp4")).read_bytes()
