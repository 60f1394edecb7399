"""Each way in which the site behaves badly."""

from __future__ import annotations

import time

import aiohttp
import pytest

from sandbox.media_site import MediaSite


async def body_of(client: aiohttp.ClientSession, path: str, **headers: str) -> bytes:
    async with client.get(path, headers=headers) as answer:
        return await answer.read()


async def test_a_throttled_file_comes_no_faster_than_said_and_honours_range(client: aiohttp.ClientSession) -> None:
    whole = await body_of(client, "/media/clip.mp4")
    began = time.monotonic()
    async with client.get("/throttled/200/media/clip.mp4", headers={"Range": "bytes=100000-202399"}) as answer:
        part = await answer.read()
    took = time.monotonic() - began

    assert answer.status == 206
    assert part == whole[100_000:202_400]
    assert took >= 0.48  # 100 KiB at 200 KiB/s


async def test_without_ranges_the_whole_file_comes_and_nothing_is_promised(client: aiohttp.ClientSession) -> None:
    async with client.get("/norange/media/v144.mp4", headers={"Range": "bytes=5-9"}) as answer:
        body = await answer.read()

    assert answer.status == 200
    assert "Accept-Ranges" not in answer.headers
    assert body == await body_of(client, "/media/v144.mp4")


async def test_without_headers_the_file_comes_in_chunks(client: aiohttp.ClientSession) -> None:
    async with client.get("/noheaders/media/v144.mp4") as answer:
        body = await answer.read()

    assert body == await body_of(client, "/media/v144.mp4")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert not any(name in answer.headers for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges"))


async def test_a_slow_answer_waits_and_then_trickles(client: aiohttp.ClientSession) -> None:
    began = time.monotonic()
    async with client.get("/slow/0.3/media/v144.mp4") as answer:
        first = time.monotonic() - began
        body = await answer.read()
    took = time.monotonic() - began

    assert first >= 0.3
    assert took - first >= len(body) / (64 * 1024) * 0.8


async def test_a_truncated_file_is_cut_in_the_middle(client: aiohttp.ClientSession, site: MediaSite) -> None:
    whole = await body_of(client, "/media/v144.mp4")
    async with client.get("/truncated/media/v144.mp4") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()

    assert int(answer.headers["Content-Length"]) == len(whole)
    assert site.log.sent("/truncated/media/v144.mp4") == len(whole) // 2


async def test_the_second_half_of_a_truncated_file_cannot_be_had_by_resuming(client: aiohttp.ClientSession) -> None:
    async with client.head("/media/v144.mp4") as answer:
        size = int(answer.headers["Content-Length"])

    with pytest.raises(aiohttp.ClientPayloadError):
        await body_of(client, "/truncated/media/v144.mp4", Range=f"bytes={size // 2}-")
    first_half = await body_of(client, "/truncated/media/v144.mp4", Range=f"bytes=0-{size // 2 - 1}")

    assert len(first_half) == size // 2


async def test_a_flaky_file_is_refused_so_many_times_for_each_key(client: aiohttp.ClientSession) -> None:
    statuses = []
    for path in ["/flaky/2/a/media/v144.mp4"] * 3 + ["/flaky/2/b/media/v144.mp4"]:
        async with client.get(path) as answer:
            statuses.append(answer.status)

    assert statuses == [503, 503, 200, 503]


async def test_a_reset_makes_a_flaky_file_flaky_again(client: aiohttp.ClientSession, site: MediaSite) -> None:
    statuses = []
    for _ in range(2):
        async with client.get("/flaky/1/a/media/v144.mp4") as answer:
            statuses.append(answer.status)
        site.reset()

    assert statuses == [503, 503]


async def test_an_endless_file_begins_as_an_mp4_and_goes_on(client: aiohttp.ClientSession) -> None:
    async with client.get("/endless.mp4") as answer:
        start = await answer.content.readexactly(5_000_000)
        answer.close()

    assert answer.headers.get("Content-Length") is None
    assert start[4:8] == b"ftyp"


@pytest.mark.parametrize("to", ["http://127.0.0.2:1/x.mp4", "file:///etc/passwd", "http://0x7f.1/", "//example.org"])
async def test_a_redirect_leads_to_exactly_the_address_given(client: aiohttp.ClientSession, to: str) -> None:
    async with client.get("/redirect", params={"to": to}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, to)


async def test_a_chain_of_redirects_has_so_many_hops(client: aiohttp.ClientSession) -> None:
    async with client.get("/redirect/4/page/title?t=End") as answer:
        assert [hop.status for hop in answer.history] == [302] * 4
        assert str(answer.url.relative()) == "/page/title?t=End"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/status/418", 418), ("/status/204", 204), ("/status/503", 503), ("/status/999", 404), ("/login", 401), ("/geo", 451)],
)
async def test_a_status_is_answered(client: aiohttp.ClientSession, path: str, status: int) -> None:
    async with client.get(path) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("/html-as-mp4.mp4", b"<!DOCTYPE html>"),
        ("/disguised.mp4", b"ffconcat version 1.0\nfile file:///etc/passwd"),
        ("/disguised.mp4?as=m3u8", b"#EXTM3U"),
        ("/svg.mp4", b"<svg"),
    ],
)
async def test_what_is_no_video_says_it_is_one(client: aiohttp.ClientSession, path: str, start: bytes) -> None:
    async with client.get(path) as answer:
        assert answer.content_type == "video/mp4"
        assert (await answer.read()).startswith(start)


async def test_a_file_without_validators_still_honours_range(client: aiohttp.ClientSession) -> None:
    async with client.get("/novalidators.mp4", headers={"Range": "bytes=4-7"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"ftyp")

    assert not any(name in answer.headers for name in ("ETag", "Last-Modified"))


async def test_a_changing_file_keeps_its_length_and_changes_everywhere(client: aiohttp.ClientSession) -> None:
    async with client.get("/changing.mp4") as before:
        old = await before.read()
    await body_of(client, "/changing/bump")
    async with client.get("/changing.mp4") as after:
        new = await after.read()

    assert len(old) == len(new)
    assert before.headers["ETag"] != after.headers["ETag"]
    assert before.headers["Last-Modified"] < after.headers["Last-Modified"]
    assert all(old[at : at + 4096] != new[at : at + 4096] for at in range(100_000, len(old), 4096))


async def test_a_part_of_the_old_version_is_not_given_after_a_change(client: aiohttp.ClientSession) -> None:
    async with client.head("/changing.mp4") as before:
        pass
    await body_of(client, "/changing/bump")
    async with client.get("/changing.mp4", headers={"Range": "bytes=0-9", "If-Range": before.headers["ETag"]}) as answer:
        assert answer.status == 200
