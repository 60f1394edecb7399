"""Real yt-dlp sees the site, and YouTube's stand-in, as it would see the real ones."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from sandbox.media_files import MediaFiles
from sandbox.youtube import write_plugin

ON_THE_SITE = (
    *("page/og", "page/jsonld", "page/playlist", "page/empty", "page/title?t=%3Cb%3E%22%26"),
    *("hls/index.m3u8", "hls/live.m3u8", "dash/manifest.mpd", "media/clip.mp4"),
)
VIDEOS = (
    *("abcdefghijk", "PRIVATE0001", "AGE00000001", "GEO00000001", "GONE0000001", "BOT00000001", "LIVE0000001", "UPCOM000001"),
    *("HUGE0000001", "LONG0000001", "THUMB000001", "TITLE000001", "SLOW0000001", "TRK3M000001", "FLAKY000001"),
)
LISTS = ("playlist?list=PLabc", "@testchannel/videos")

Found = dict[str, dict[str, Any]]


async def prepared(directory: Path) -> MediaFiles:
    files = MediaFiles(directory, imageio_ffmpeg.get_ffmpeg_exe())
    await files.prepare()
    return files


@pytest.fixture(scope="module")
def base(site_process: str) -> str:
    return site_process


@pytest.fixture(scope="module")
def found(base: str, media_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What yt-dlp says of every address, by its short name."""
    sizes = asyncio.run(prepared(media_directory)).sizes()
    plugins = write_plugin(tmp_path_factory.mktemp("plugins"), base, sizes)
    addresses = {name: f"{base}/{name}" for name in ON_THE_SITE}
    addresses |= {video: f"https://www.youtube.com/watch?v={video}" for video in VIDEOS}
    addresses |= {name: f"https://www.youtube.com/{name}" for name in LISTS}
    asked = json.dumps({"plugins": str(plugins), "urls": list(addresses.values())})
    program = [sys.executable, str(Path(__file__).with_name("ask_ytdlp.py"))]
    done = subprocess.run(program, input=asked, capture_output=True, text=True, check=True, timeout=60)
    return dict(zip(addresses, json.loads(done.stdout), strict=True))


def formats(video: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {form["format_id"]: form for form in video["formats"]}


def test_an_open_graph_page_is_a_video_with_its_title(found: Found, base: str) -> None:
    page = found["page/og"]

    assert (page["title"], page["url"]) == ("An Open Graph video", f"{base}/media/clip.mp4")
    assert page["thumbnail"] == f"{base}/media/thumb.jpg"


def test_a_json_ld_page_is_a_video_with_all_that_it_says(found: Found, base: str) -> None:
    page = found["page/jsonld"]

    assert (page["title"], page["url"], page["duration"]) == ("A JSON-LD video", f"{base}/media/clip.mp4", 10)
    assert (page["uploader"], page["thumbnail"]) == ("Test Uploader", f"{base}/media/thumb.jpg")


def test_a_page_of_three_videos_is_a_playlist(found: Found, base: str) -> None:
    page = found["page/playlist"]

    assert page["_type"] == "playlist"
    assert [entry["formats"][0]["url"] for entry in page["entries"]] == [f"{base}/n/item{number}.mp4" for number in (1, 2, 3)]


def test_a_page_title_comes_through_as_it_was_given(found: Found) -> None:
    assert found["page/title?t=%3Cb%3E%22%26"]["title"].startswith('<b>"&')


def test_an_empty_page_is_unsupported(found: Found) -> None:
    assert "Unsupported URL" in found["page/empty"]["error"]


def test_a_direct_file_is_a_video(found: Found) -> None:
    assert (found["media/clip.mp4"]["ext"], found["media/clip.mp4"]["title"]) == ("mp4", "clip")


def test_the_hls_playlist_is_a_video_of_a_hundred_seconds(found: Found) -> None:
    stream = found["hls/index.m3u8"]

    assert stream["formats"][0]["protocol"] == "m3u8_native"
    assert (stream["duration"], stream.get("live_status")) == (100, None)


def test_the_live_playlist_is_a_live_stream(found: Found) -> None:
    assert found["hls/live.m3u8"]["live_status"] == "is_live"


def test_the_dash_manifest_has_picture_and_sound(found: Found) -> None:
    assert {form["vcodec"] == "none" for form in found["dash/manifest.mpd"]["formats"]} == {True, False}


def test_a_video_of_the_stand_in_has_what_youtubes_have(found: Found, base: str, media_directory: Path) -> None:
    video = found["abcdefghijk"]

    assert (video["extractor_key"], video["id"], video["title"]) == ("Youtube", "abcdefghijk", "Test video abcdefghijk")
    assert (video["channel"], video["duration"], video["live_status"]) == ("Test Channel", 10, "not_live")
    assert set(formats(video)) == {"251", "140", "18", "v144", "v240", "v480", "v720", "v1080"}
    assert formats(video)["18"]["filesize"] == (media_directory / "media" / "clip.mp4").stat().st_size
    assert (list(video["subtitles"]), list(video["automatic_captions"])) == (["en", "es"], ["de"])
    assert [chapter["end_time"] for chapter in video["chapters"]] == [5, 10]
    assert video["thumbnail"] == f"{base}/media/thumb.jpg"


@pytest.mark.parametrize(
    ("video", "words"),
    [
        ("PRIVATE0001", "Private video. Sign in if you've been granted access to this video"),
        ("AGE00000001", "Sign in to confirm your age. This video may be inappropriate for some users."),
        ("GEO00000001", "The uploader has not made this video available in your country"),
        ("GONE0000001", "Video unavailable"),
        ("BOT00000001", "Sign in to confirm you\u2019re not a bot"),
        ("UPCOM000001", "Premieres in 2 hours"),
    ],
)
def test_what_youtube_refuses_is_refused_in_its_words(found: Found, video: str, words: str) -> None:
    assert f"[youtube] {video}: {words}" in found[video]["error"].replace("+local", "")


def test_a_live_video_is_live(found: Found) -> None:
    live = found["LIVE0000001"]

    assert (live["live_status"], live["is_live"], live.get("duration")) == ("is_live", True, None)
    assert live["formats"][0]["url"].endswith("/hls/live.m3u8")


def test_ids_decide_about_size_length_picture_and_title(found: Found) -> None:
    title = found["TITLE000001"]["title"]

    assert {form["filesize"] for form in found["HUGE0000001"]["formats"]} == {10**12}
    assert found["LONG0000001"]["duration"] == 50 * 3600
    assert found["THUMB000001"]["thumbnail"] == "http://127.0.0.2:1/x.jpg"
    assert title.startswith("../../etc/passwd")
    assert "\u202e" in title
    assert len(title) > 500


def test_ids_decide_where_the_media_is(found: Found, base: str) -> None:
    assert {form["url"].partition("/media/")[0] for form in found["SLOW0000001"]["formats"]} == {f"{base}/throttled/100"}
    assert {form["url"].partition("/media/")[0] for form in found["FLAKY000001"]["formats"]} == {f"{base}/flaky/1/FLAKY000001"}
    assert found["TRK3M000001"]["duration"] == 180
    assert formats(found["TRK3M000001"])["140"]["url"] == f"{base}/media/track3min.m4a"


@pytest.mark.parametrize("name", LISTS)
def test_a_playlist_and_a_channel_have_thirty_videos(found: Found, name: str) -> None:
    playlist = found[name]

    assert (playlist["_type"], len(playlist["entries"])) == ("playlist", 30)
    assert playlist["entries"][29]["url"] == "https://www.youtube.com/watch?v=vid00000029"
    assert playlist["entries"][29]["duration"] == 10


def test_a_plugin_is_written_for_the_address_it_is_given(tmp_path: Path) -> None:
    directory = write_plugin(tmp_path / "new", "http://127.0.0.1:4242")

    (module,) = directory.glob("*/yt_dlp_plugins/extractor/*.py")
    assert "BASE = 'http://127.0.0.1:4242'" in module.read_text()
