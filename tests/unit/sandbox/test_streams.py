"""Playlists and their segments. (That real yt-dlp reads them is shown in test_with_ytdlp.)"""

from __future__ import annotations

import re
import time

import aiohttp


async def text_of(client: aiohttp.ClientSession, path: str) -> str:
    async with client.get(path) as answer:
        assert answer.content_type in {"application/vnd.apple.mpegurl", "application/dash+xml"}
        return await answer.text()


def segments(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


async def test_the_vod_has_a_hundred_segments_and_an_end(client: aiohttp.ClientSession) -> None:
    playlist = await text_of(client, "/hls/index.m3u8")

    assert segments(playlist) == [f"seg{number:03d}.ts" for number in range(100)]
    assert playlist.rstrip().endswith("#EXT-X-ENDLIST")
    async with client.get("/hls/seg099.ts") as answer:
        assert (await answer.read())[0] == 0x47


async def test_the_delay_asked_of_the_playlist_is_that_of_its_segments(client: aiohttp.ClientSession) -> None:
    playlist = await text_of(client, "/hls/index.m3u8?delay=150")
    began = time.monotonic()
    async with client.get(f"/hls/{segments(playlist)[7]}") as answer:
        await answer.read()

    assert set(segments(playlist)) == {f"seg{number:03d}.ts?delay=150" for number in range(100)}
    assert time.monotonic() - began >= 0.15


async def test_a_live_playlist_has_no_end_and_existing_segments(client: aiohttp.ClientSession) -> None:
    playlist = await text_of(client, "/hls/live.m3u8")

    assert "#EXT-X-ENDLIST" not in playlist
    assert "#EXT-X-MEDIA-SEQUENCE" in playlist
    for segment in segments(playlist):
        async with client.head(f"/hls/{segment}") as answer:
            assert answer.status == 200


async def test_the_segments_of_bad_playlists_are_where_they_should_not_be(client: aiohttp.ClientSession) -> None:
    elsewhere = await text_of(client, "/hls/private.m3u8?to=http://127.0.0.2:1/x.ts")
    local = await text_of(client, "/hls/file.m3u8")

    assert set(segments(elsewhere)) == {"http://127.0.0.2:1/x.ts"}
    assert set(segments(local)) == {"file:///etc/passwd"}


async def test_the_dash_manifest_names_segments_that_exist(client: aiohttp.ClientSession) -> None:
    manifest = await text_of(client, "/dash/manifest.mpd")

    assert set(re.findall(r'mimeType="(\w+)/mp4"', manifest)) == {"video", "audio"}
    for name in ("init-0.m4s", "chunk-0-001.m4s", "init-1.m4s", "chunk-1-001.m4s"):
        async with client.get(f"/dash/{name}") as answer:
            assert answer.status == 200
