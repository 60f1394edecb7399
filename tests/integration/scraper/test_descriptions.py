"""What is told of an address before anything is downloaded, and that it is so."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from scraper.picture_files import picture_in
from service.descriptions import Choice, Description, DescriptionKind
from service.errors import FetchFailed
from service.selection import MediaType
from tests.integration.scraper.conftest import PUBLIC_VIDEO, YOUTUBE, Bench, bench_on
from tests.integration.scraper.test_guard import Trap, trap

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["trap"]


def choice(found: Description, key: str) -> Choice:
    (one,) = [one for one in found.choices if one.selection.key == key]
    return one


async def test_a_video_is_told_with_title_channel_length_and_languages(bench: Bench) -> None:
    found = await bench.describe(PUBLIC_VIDEO)
    assert (found.kind, found.extractor, found.id, found.is_generic) == (DescriptionKind.MEDIUM, "Youtube", "abcdefghijk", False)
    assert (found.title, found.artist, found.duration) == ("Test video abcdefghijk", "Test Channel", timedelta(seconds=10))
    assert found.languages == ("en", "es", "de")


async def test_a_video_has_one_choice_a_height_from_the_best_down_then_sound(bench: Bench) -> None:
    found = await bench.describe(PUBLIC_VIDEO)
    assert [one.selection.key for one in found.choices] == [
        "video:mp4:1080", "video:mp4:720", "video:mp4:480", "video:mp4:360", "audio:mp3:best", "audio:m4a:best",
    ]  # fmt: skip
    assert [one.height for one in found.choices] == [1080, 720, 480, 360, None, None]


async def test_sizes_are_those_of_the_files_that_would_come(bench: Bench) -> None:
    found = await bench.describe(PUBLIC_VIDEO)
    sizes = bench.site.files.sizes()
    best, small = choice(found, "video:mp4:1080"), choice(found, "audio:m4a:best")
    assert (best.size, best.is_estimate) == (sizes["media/v1080.mp4"] + sizes["media/song.m4a"], False)
    assert (small.size, small.is_estimate) == (sizes["media/song.m4a"], False)
    assert choice(found, "audio:mp3:best").is_estimate


@pytest.mark.parametrize("key", ["video:mp4:1080", "video:mp4:480", "audio:m4a:best"])
async def test_what_is_fetched_is_as_large_as_was_told(bench: Bench, key: str) -> None:
    told = choice(await bench.describe(PUBLIC_VIDEO), key)
    selection = told.selection
    (file,) = (await bench.fetch(PUBLIC_VIDEO, selection.media_type, selection.format, selection.quality)).files
    assert told.size is not None
    # A cover, tags and chapters are put in.
    assert told.size * 0.8 <= file.size <= told.size + 60_000
    assert told.height in {None, file.height}


async def test_the_picture_is_a_small_jpeg(bench: Bench, tmp_path: Path) -> None:
    found = await bench.describe(PUBLIC_VIDEO)
    assert found.picture is not None
    assert len(found.picture) <= 150_000
    path = tmp_path / "picture.jpg"
    path.write_bytes(found.picture)
    seen = picture_in(path)
    assert seen is not None
    assert (seen.extension, seen.width, seen.height) == ("jpg", 640, 360)


async def test_a_picture_at_a_private_address_is_left_out_without_a_byte(bench: Bench, trap: Trap) -> None:
    found = await bench.describe(f"/page/thumb?to={trap.base}/x.jpg")
    assert found.picture is None
    assert trap.visits == 0


async def test_a_picture_that_is_missing_costs_only_itself(bench: Bench) -> None:
    found = await bench.describe(f"/page/thumb?to={bench.site.base}/status/404")
    assert (found.kind, found.picture) == (DescriptionKind.MEDIUM, None)


async def test_no_media_are_fetched_for_a_description(bench: Bench) -> None:
    bench.site.log.clear()
    await bench.describe(PUBLIC_VIDEO)
    assert [asked.path for asked in bench.site.log] == ["/media/thumb.jpg"]


async def test_a_file_is_as_large_as_its_server_says(bench: Bench) -> None:
    found = await bench.describe("/media/clip.mp4")
    (best,) = [one for one in found.choices if one.selection.media_type is MediaType.VIDEO]
    assert (best.size, best.is_estimate) == (bench.site.files.sizes()["media/clip.mp4"], False)
    assert found.is_generic


async def test_a_file_of_sound_offers_no_picture(bench: Bench) -> None:
    found = await bench.describe("/media/song.m4a")
    assert {one.selection.media_type for one in found.choices} == {MediaType.AUDIO}


async def test_a_size_that_nobody_knows_is_not_told(bench: Bench) -> None:
    found = await bench.describe("/noheaders/media/clip.mp4")
    assert {one.size for one in found.choices} == {None}


async def test_a_stream_in_segments_tells_its_length(bench: Bench) -> None:
    found = await bench.describe("/hls/index.m3u8")
    assert found.duration is not None
    assert 99 < found.duration.total_seconds() < 101
    assert choice(found, "audio:mp3:best").size is not None


@pytest.mark.parametrize(
    ("video", "code"),
    [
        ("PRIVATE", "private"), ("AGE", "age_restricted"), ("GEO", "geo_blocked"), ("GONE", "no_such_video"), ("BOT", "sign_in_needed"),
        ("LIVE", "live_stream"), ("UPCOM", "live_stream"),
    ],
)  # fmt: skip
async def test_what_youtube_refuses_has_the_cause_that_a_fetch_has(bench: Bench, video: str, code: str) -> None:
    with pytest.raises(FetchFailed) as failure:
        await bench.describe(f"{YOUTUBE}{video.ljust(11, 'a')}")
    assert failure.value.code == code


@pytest.mark.parametrize(
    ("path", "code"),
    [("/status/404", "no_such_video"), ("/login", "sign_in_needed"), ("/page/empty", "unsupported"), ("/hls/live.m3u8", "live_stream")],
)
async def test_a_site_that_refuses_gives_the_cause(bench: Bench, path: str, code: str) -> None:
    with pytest.raises(FetchFailed) as failure:
        await bench.describe(path)
    assert failure.value.code == code


async def test_a_private_address_is_not_described(bench: Bench, trap: Trap) -> None:
    for address in (f"{trap.base}/x.mp4", f"/redirect?to={trap.base}/x.mp4", trap.base.replace("127.0.0.1", "localhost") + "/x"):
        with pytest.raises(FetchFailed) as failure:
            await bench.describe(address)
        assert failure.value.code == "address_not_allowed"
    assert trap.visits == 0


# --- lists ----------------------------------------------------------------------------------------------------------


async def test_a_playlist_tells_its_items_and_how_many_there_are(bench: Bench) -> None:
    found = await bench.describe("https://www.youtube.com/playlist?list=PL7")
    assert (found.kind, found.title, found.artist, found.count) == (DescriptionKind.LIST, "Test playlist PL7", "Test Channel", 7)
    assert [item.url.text for item in found.items] == [f"{YOUTUBE}vid{number:08d}" for number in range(7)]
    assert (found.items[0].title, found.items[0].duration) == ("Test video vid00000000", timedelta(seconds=10))
    assert found.choices == ()


@pytest.mark.parametrize("path", ["@testchannel", "@testchannel/videos"])
async def test_a_channel_tells_the_videos_of_its_tabs(bench: Bench, path: str) -> None:
    found = await bench.describe(f"https://www.youtube.com/{path}")
    assert (found.kind, found.count, len(found.items)) == (DescriptionKind.LIST, 30, 30)
    assert all(item.url.text.startswith(YOUTUBE) for item in found.items)


async def test_a_long_list_tells_no_more_items_than_may_be_ordered_at_once(bench: Bench) -> None:
    found = await bench.describe("https://www.youtube.com/playlist?list=PL1000")
    assert (len(found.items), found.count) == (200, 1000)


async def test_of_a_list_that_does_not_say_how_long_it_is_one_item_more_is_read(bench: Bench) -> None:
    other = await bench_on(bench.site, bench.root / "few", max_items=5)
    try:
        found = await other.describe("/page/playlist?n=50")
        assert (len(found.items), found.count) == (5, 6)
    finally:
        await other.fetcher.stop()


async def test_nothing_of_a_lists_media_is_fetched(bench: Bench) -> None:
    bench.site.log.clear()
    await bench.describe("/page/playlist?n=3")
    await bench.describe("https://www.youtube.com/playlist?list=PL7")
    assert [asked.path for asked in bench.site.log] == ["/page/playlist"]


async def test_each_item_of_a_page_can_be_fetched_by_its_address(bench: Bench) -> None:
    found = await bench.describe("/page/playlist?n=3")
    addresses = [item.url.text for item in found.items]
    assert (found.kind, found.count, found.is_generic) == (DescriptionKind.LIST, 3, True)
    assert all(one != other for one, other in pairwise(sorted(addresses)))
    for address in addresses:
        assert (await bench.fetch(address, "video", "mp4")).files[0].height == 360


async def test_a_video_within_a_list_is_the_video_alone(bench: Bench) -> None:
    found = await bench.describe(f"{PUBLIC_VIDEO}&list=PL7")
    assert (found.kind, found.id) == (DescriptionKind.MEDIUM, "abcdefghijk")


async def test_a_list_of_one_is_that_one(bench: Bench) -> None:
    assert (await bench.describe("/page/playlist?n=1")).kind is DescriptionKind.MEDIUM
