"""Options, digests, tags, tools: what needs neither network nor a process pool."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import cast

import pytest
from yt_dlp import YoutubeDL

from scraper.digest import RunningDigest
from scraper.downloader import Downloader
from scraper.egress import EgressPolicy
from scraper.failures import JobFailed
from scraper.finish import chapters_as_tags, ffmetadata, fits_already
from scraper.guard import Guard, Refused
from scraper.live import refuse_live
from scraper.manifests import look_at_manifest
from scraper.meter import Meter
from scraper.mp4 import Mp4Truncated, read_mp4
from scraper.options import ytdlp_options
from scraper.probe import Probe, Stream
from scraper.tools import find_ffmpeg, inventory
from service.selection import FORMATS, QUALITIES, Selection

SELECTIONS = [Selection.of(kind, form, quality) for kind in FORMATS for form, quality in itertools.product(FORMATS[kind], QUALITIES[kind])]


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda selection: selection.key)
def test_yt_dlp_understands_the_options_of_every_selection(selection: Selection, tmp_path: Path) -> None:
    options = ytdlp_options(selection, state_directory=tmp_path, ffmpeg=None, deno=None)
    with YoutubeDL(options, auto_init=False) as ydl:
        assert callable(ydl.format_selector)


@pytest.mark.parametrize(
    "info", [{"is_live": True}, {"live_status": "is_live"}, {"live_status": "is_upcoming"}, {"live_status": "post_live"}]
)
def test_what_has_no_end_yet_is_refused_as_live(info: dict[str, object]) -> None:
    with pytest.raises(JobFailed) as failure:
        refuse_live(info)
    assert failure.value.code == "live_stream"


def test_what_was_live_is_not_refused() -> None:
    info = {"is_live": False, "live_status": "was_live"}
    refuse_live(info)
    assert info["live_status"] == "was_live"


def test_no_option_lets_a_site_start_programs_or_read_our_files(tmp_path: Path) -> None:
    options = ytdlp_options(Selection.of(), state_directory=tmp_path, ffmpeg=None, deno=None)
    assert options["outtmpl"] == {"default": "media.%(ext)s"}
    assert not options["postprocessors"]
    assert not options["enable_file_urls"]
    assert options["cookiesfrombrowser"] is None
    assert options["skip_unavailable_fragments"] is False
    assert {"exec", "exec_cmd", "config_locations", "load_info_filename"}.isdisjoint(options)


def chosen(selection: Selection, *formats: dict[str, object]) -> list[str]:
    """The ids of the formats that yt-dlp takes for a selection."""
    options = ytdlp_options(selection, state_directory=Path("/nowhere"), ffmpeg=None, deno=None)
    known = [{"url": f"https://x.example/{number}", "protocol": "https", **one} for number, one in enumerate(formats)]
    with YoutubeDL({**options, "quiet": True}, auto_init=False) as ydl:
        info = {"id": "x", "title": "x", "extractor": "x", "extractor_key": "X", "formats": known, "webpage_url": "https://x.example/"}
        found = ydl.process_ie_result(info, download=False)
    return [one["format_id"] for one in found.get("requested_formats") or [found]]


AVC = {"format_id": "avc", "ext": "mp4", "vcodec": "avc1.64", "acodec": "none", "height": 1080, "tbr": 3000}
VP9 = {"format_id": "vp9", "ext": "webm", "vcodec": "vp9", "acodec": "none", "height": 1080, "tbr": 4000}
VP9_4K = {**VP9, "format_id": "vp9-4k", "height": 2160, "tbr": 9000}
AAC = {"format_id": "aac", "ext": "m4a", "vcodec": "none", "acodec": "mp4a.40.2", "abr": 128, "tbr": 128}
OPUS = {"format_id": "251", "ext": "webm", "vcodec": "none", "acodec": "opus", "abr": 160, "tbr": 160}


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (("video", "mp4", "1080"), ["avc", "aac"]),
        (("video", "mp4", "best"), ["vp9-4k", "aac"]),
        (("video", "webm", "1080"), ["vp9", "251"]),
        (("audio", "m4a"), ["aac"]),
        (("audio", "opus"), ["251"]),
        (("audio", "mp3"), ["251"]),
    ],
)
def test_the_formats_that_need_no_encoding_are_taken(selection: tuple[str, str], ids: list[str]) -> None:
    assert chosen(Selection.of(*selection), AVC, VP9, VP9_4K, AAC, OPUS) == ids


def test_formats_of_other_protocols_are_not_taken() -> None:
    assert chosen(Selection.of("audio", "mp3"), AAC, {**OPUS, "protocol": "rtmp", "abr": 999}) == ["aac"]


def test_a_running_digest_is_the_files_whatever_came_in_order(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (path := tmp_path / "x").write_bytes(content)
    digest, given_back = RunningDigest(), list[bool]()

    def released() -> None:
        given_back.append(True)

    digest.feed(0, memoryview(content[:1000]), done=released)
    digest.feed(5000, memoryview(content[5000:6000]), done=released)
    digest.feed(1000, memoryview(content[1000:3000]), done=released)
    digest.close()
    assert len(given_back) == 3
    assert digest.of(path) == hashlib.sha256(content).hexdigest()


def test_the_meter_stops_at_the_bound_and_at_what_is_announced() -> None:
    meter = Meter(1000, lambda _: None)
    meter.hook({"filename": "a", "downloaded_bytes": 600, "status": "downloading"})
    with pytest.raises(JobFailed, match="too_large"):
        meter.hook({"filename": "b", "downloaded_bytes": 600, "status": "downloading"})
    with pytest.raises(JobFailed, match="too_large"):
        Meter(1000, lambda _: None).hook({"filename": "a", "downloaded_bytes": 1, "total_bytes": 1001, "status": "downloading"})


def test_tags_cannot_break_out_of_their_line() -> None:
    text = ffmetadata({"title": "a=b;c#d\\e\n[CHAPTER]\0"}, [(0, 1.5, "x\ny")])
    assert text == ";FFMETADATA1\ntitle=a\\=b\\;c\\#d\\\\e\\\n[CHAPTER]\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=x\\\ny\n"


def test_chapters_as_tags() -> None:
    assert chapters_as_tags([(3661.5, 4000, "x")]) == {"CHAPTER000": "01:01:01.500", "CHAPTER000NAME": "x"}


def an_mp4(video: str, audio: str | None, *, streamable: bool = True) -> Probe:
    streams = [Stream(kind="video", codec=video), *([Stream(kind="audio", codec=audio)] if audio else [])]
    return Probe(container="mov,mp4", duration=1.0, streams=tuple(streams), is_streamable=streamable)


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        (an_mp4("h264", "aac"), True),
        (an_mp4("h264", None), True),
        (an_mp4("h264", "aac", streamable=False), False),
        (an_mp4("h264", "opus"), False),
        (an_mp4("mpeg4", "aac"), False),
    ],
)
def test_only_an_mp4_that_every_player_takes_is_left_as_it_is(found: Probe, fits: bool) -> None:  # noqa: FBT001 - the expectation
    assert fits_already(Selection.of("video", "mp4"), [found]) is fits
    assert not fits_already(Selection.of("video", "mkv"), [found])
    assert not fits_already(Selection.of("audio", "m4a"), [found])


@pytest.mark.parametrize("content", [b"", b"<html>", b"\0\0\0\x08ftyp", b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\x08free", b"\xff" * 100])
def test_what_is_no_mp4_is_not_taken_for_one(content: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "x").write_bytes(content)
    assert read_mp4(path) is None


@pytest.mark.parametrize(
    "content", [b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\xffmoov", b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\x08mdat", b"\0\0\0\xffftyp"]
)
def test_an_mp4_whose_end_is_missing_is_told(content: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "x").write_bytes(content)
    with pytest.raises(Mp4Truncated):
        read_mp4(path)


def test_the_tools_of_this_installation_are_fit_for_use() -> None:
    tools = {tool.name: tool for tool in inventory()}
    assert set(tools) == {"yt-dlp", "yt-dlp-ejs", "ffmpeg", "deno"}
    assert all(tool.version and tool.problem is None for tool in tools.values())


def test_a_system_ffmpeg_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    (broken := tmp_path / "ffmpeg").write_text("#!/bin/false\n")
    broken.chmod(0o755)
    assert find_ffmpeg(str(tmp_path)) != broken
    (broken).write_text("#!/bin/echo\n")
    assert find_ffmpeg(str(tmp_path)) == broken


def playlist(*lines: str) -> dict[str, str]:
    return {"url": "https://x.example/a/index.m3u8", "hls_media_playlist_data": "\n".join(["#EXTM3U", *lines])}


class Looking:
    """As much of a downloader as a playlist that is there already needs."""

    guard = Guard(EgressPolicy(), None, None)


def look(*lines: str) -> float | None:
    return look_at_manifest(cast("Downloader", Looking()), playlist(*lines), {})


def test_a_playlist_with_an_end_says_how_long_it_is() -> None:
    assert look("#EXTINF:2.5,", "a.ts", "#EXTINF:1,", "b.ts", "#EXT-X-ENDLIST") == 3.5


def test_a_playlist_without_an_end_is_live() -> None:
    with pytest.raises(JobFailed, match="live_stream"):
        look("#EXTINF:1,", "a.ts")


@pytest.mark.parametrize(
    "line", ["file:///etc/passwd", '#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"', "ftp://x.example/a.ts", "concat:a|b"]
)
def test_a_playlist_that_names_other_than_web_addresses_is_refused(line: str) -> None:
    with pytest.raises(Refused):
        look("#EXTINF:1,", line, "#EXT-X-ENDLIST")
