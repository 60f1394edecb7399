"""Files as a good site sends them, the log, start and stop."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from sandbox.media_site import MediaSite

CLIP = "/media/clip.mp4"


async def content(media_directory: Path) -> bytes:
    return await asyncio.to_thread((media_directory / "media" / "clip.mp4").read_bytes)


async def test_a_file_comes_whole_with_type_length_and_validators(client: aiohttp.ClientSession, media_directory: Path) -> None:
    async with client.get(CLIP) as answer:
        body = await answer.read()

    assert body == await content(media_directory)
    assert answer.status == 200
    assert answer.content_type == "video/mp4"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert all(validator in answer.headers for validator in ("ETag", "Last-Modified"))


async def test_a_head_request_gets_the_length_and_no_body(site: MediaSite, client: aiohttp.ClientSession) -> None:
    async with client.get(CLIP) as whole:
        await whole.read()
    async with client.head(CLIP) as answer:
        assert answer.headers["Content-Length"] == whole.headers["Content-Length"]

    assert [asked.sent for asked in site.log.of(CLIP)] == [int(whole.headers["Content-Length"]), 0]


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-0", slice(0, 1)), ("bytes=5-9", slice(5, 10)), ("bytes=1000-", slice(1000, None)), ("bytes=-7", slice(-7, None))],
)
async def test_a_range_gives_exactly_those_bytes(client: aiohttp.ClientSession, media_directory: Path, asked: str, part: slice) -> None:
    async with client.get(CLIP, headers={"Range": asked}) as answer:
        body = await answer.read()

    whole = await content(media_directory)
    assert answer.status == 206
    assert body == whole[part]
    assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")


async def test_a_range_behind_the_end_is_refused_with_the_length(client: aiohttp.ClientSession, media_directory: Path) -> None:
    async with client.get(CLIP, headers={"Range": "bytes=99999999-"}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(await content(media_directory))}"


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=-", "lines=1-2", "bytes=0-1,5-6"])
async def test_a_range_that_means_nothing_is_ignored(client: aiohttp.ClientSession, asked: str) -> None:
    async with client.get(CLIP, headers={"Range": asked}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(("validator", "condition"), [("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")])
async def test_a_file_that_the_client_has_is_not_sent_again(client: aiohttp.ClientSession, validator: str, condition: str) -> None:
    async with client.get(CLIP) as first:
        await first.read()
    async with client.get(CLIP, headers={condition: first.headers[validator]}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


async def test_a_range_of_another_version_gets_the_whole_file(client: aiohttp.ClientSession) -> None:
    async with client.get(CLIP, headers={"Range": "bytes=5-9", "If-Range": '"another"'}) as answer:
        assert answer.status == 200
    async with client.get(CLIP, headers={"Range": "bytes=5-9", "If-Range": answer.headers["ETag"]}) as answer:
        assert answer.status == 206


async def test_one_clip_has_as_many_addresses_as_wanted(client: aiohttp.ClientSession, media_directory: Path) -> None:
    for name in ("a", "b%20c"):
        async with client.get(f"/n/{name}.mp4") as answer:
            assert await answer.read() == await content(media_directory)


async def test_subtitles_and_picture_have_their_types(client: aiohttp.ClientSession) -> None:
    async with client.get("/media/subs.vtt") as subtitles:
        text = await subtitles.text()
    async with client.get("/media/thumb.jpg") as picture:
        start = await picture.content.readexactly(3)

    assert (subtitles.content_type, picture.content_type) == ("text/vtt", "image/jpeg")
    assert text.startswith("WEBVTT")
    assert "Two lines,\none cue." in text
    assert "<b>bold</b>" in text
    assert start == b"\xff\xd8\xff"


@pytest.mark.parametrize("path", ["/", "/media/none.mp4", "/media/../../etc/passwd", "/n/clip.avi", "/blob/big.mp4", "/dash/none.m4s"])
async def test_an_unknown_address_is_404(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404


async def test_the_log_tells_what_was_asked_and_how_much_was_sent(client: aiohttp.ClientSession, site: MediaSite) -> None:
    async with client.get(CLIP, headers={"Range": "bytes=0-99", "Cookie": "a=b"}) as answer:
        await answer.read()
    async with client.get("/page/empty") as page:
        await page.read()
    async with client.get("/_log") as answer:
        told = await answer.json()

    first, second = told["requests"]
    assert (first["method"], first["path"], first["range"], first["status"], first["sent"]) == ("GET", CLIP, "bytes=0-99", 206, 100)
    assert first["headers"]["Cookie"] == "a=b"
    assert (second["path"], second["status"]) == ("/page/empty", 200)
    assert told["sent"][CLIP] == site.log.sent(CLIP) == 100
    assert site.log.sent() == 100 + second["sent"] > 100


async def test_a_reset_empties_the_log(client: aiohttp.ClientSession, site: MediaSite) -> None:
    async with client.get("/page/empty"):
        pass
    async with client.post("/_reset") as answer:
        assert answer.status == 204

    assert len(site.log) == 0


@pytest.mark.parametrize("path", ["/blob/500000000.mp4", "/norange/blob/500000000.mp4", "/noheaders/blob/500000000.mp4", "/endless.mp4"])
async def test_what_was_sent_before_a_client_went_away_is_counted(
    client: aiohttp.ClientSession, site: MediaSite, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async with client.get(path) as answer:
        await answer.content.readexactly(1_000_000)
        answer.close()
    async with asyncio.timeout(10):
        await site.log.until(lambda log: log.of(path)[0].ended)

    assert 1_000_000 <= site.log.sent(path) < 500_000_000
    assert caplog.records == []


@pytest.mark.parametrize(
    "path", ["/slow/3600/media/clip.mp4", "/throttled/1/media/clip.mp4", "/endless.mp4", "/blob/500000000.mp4", "/hls/seg000.ts?delay=9000"]
)
async def test_the_site_stops_while_an_answer_is_still_being_sent(media_directory: Path, path: str) -> None:
    site = MediaSite(media_directory)
    await site.start()
    async with aiohttp.ClientSession(site.base) as client:
        asking = asyncio.create_task(client.get(path))
        async with asyncio.timeout(10):
            await site.log.until(lambda log: len(log) > 0)
        async with asyncio.timeout(3):
            await site.stop()
        asking.cancel()
        (answer,) = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(answer, aiohttp.ClientResponse):
            answer.close()


async def test_a_site_can_be_stopped_twice(media_directory: Path) -> None:
    async with MediaSite(media_directory) as site:
        await site.stop()


def test_the_site_runs_as_a_process_of_its_own(site_process: str) -> None:
    with urllib.request.urlopen(f"{site_process}/media/tiny.mp4", timeout=10) as answer:
        length = len(answer.read())
    with urllib.request.urlopen(f"{site_process}/_log", timeout=10) as answer:
        assert json.load(answer)["sent"] == {"/media/tiny.mp4": length}
