"""Every format and quality, with real yt-dlp and ffmpeg: what comes out is what was asked for, and plays."""

from __future__ import annotations

import pytest

from scraper.mp4 import read_mp4
from service.errors import FetchFailed
from service.selection import MediaType
from tests.integration.scraper.conftest import PUBLIC_VIDEO, Bench, Watcher, decodes, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

CODECS = {"mp3": "Audio: mp3", "wav": "Audio: pcm_s16le", "flac": "Audio: flac", "m4a": "Audio: aac", "opus": "Audio: opus"}


@pytest.mark.parametrize("quality", ["best", "worst", "128k", "192k", "320k"])
@pytest.mark.parametrize("form", list(CODECS))
async def test_audio_comes_in_every_format_and_quality(bench: Bench, form: str, quality: str) -> None:
    fetched = await bench.fetch(PUBLIC_VIDEO, "audio", form, quality)
    (file,) = fetched.files
    assert (file.kind, file.extension, file.path.suffix) == (MediaType.AUDIO, form, f".{form}")
    assert CODECS[form] in shown(file.path)
    assert file.duration is not None
    assert 9.5 < file.duration.total_seconds() < 10.5
    assert decodes(file.path)


async def test_a_lower_bit_rate_makes_a_smaller_file(bench: Bench) -> None:
    sizes = [(await bench.fetch(PUBLIC_VIDEO, "audio", "mp3", quality)).files[0].size for quality in ("128k", "192k", "320k")]
    assert sizes == sorted(sizes)
    assert sizes[0] * 1.5 < sizes[2]


@pytest.mark.parametrize("form", ["mp3", "m4a", "flac", "opus"])
async def test_audio_carries_title_artist_date_source_chapters_and_a_cover(bench: Bench, form: str) -> None:
    said = shown((await bench.fetch(PUBLIC_VIDEO, "audio", form)).files[0].path)
    lowered = said.lower()
    for tag in ("test video abcdefghijk", "test channel", "2026-01-02", PUBLIC_VIDEO.lower(), "the first half"):
        assert tag in lowered
    assert "attached pic" in said


async def test_a_wav_needs_no_cover_to_be_whole(bench: Bench) -> None:
    said = shown((await bench.fetch(PUBLIC_VIDEO, "audio", "wav")).files[0].path)
    assert "attached pic" not in said
    assert "Test video abcdefghijk" in said


@pytest.mark.parametrize(
    ("quality", "height"), [("best", 1080), ("2160", 1080), ("1440", 1080), ("1080", 1080), ("720", 720), ("480", 480), ("360", 360)]
)
async def test_a_video_is_at_most_as_high_as_asked_for(bench: Bench, quality: str, height: int) -> None:
    (file,) = (await bench.fetch(PUBLIC_VIDEO, "video", "mp4", quality)).files
    assert file.height == height
    assert decodes(file.path)


async def test_the_worst_video_is_the_smallest(bench: Bench) -> None:
    (file,) = (await bench.fetch(PUBLIC_VIDEO, "video", "mp4", "worst")).files
    assert file.height == 144


async def test_an_mp4_plays_while_it_arrives_and_in_every_player(bench: Bench) -> None:
    (file,) = (await bench.fetch(PUBLIC_VIDEO, "video", "mp4")).files
    found = read_mp4(file.path)
    assert found is not None
    assert found.is_streamable
    assert {track.codec for track in found.tracks} >= {"h264", "aac"}
    assert (file.width, file.height) == (1920, 1080)
    said = shown(file.path)
    assert "attached pic" in said
    assert "The first half" in said


async def test_an_mkv_carries_cover_and_chapters(bench: Bench) -> None:
    (file,) = (await bench.fetch(PUBLIC_VIDEO, "video", "mkv")).files
    said = shown(file.path)
    assert "matroska" in said
    assert "cover.jpg" in said
    assert "The second half" in said


async def test_webm_from_a_site_that_has_only_h264_is_refused_before_the_download(bench: Bench) -> None:
    watcher = Watcher()
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch(PUBLIC_VIDEO, "video", "webm", watcher=watcher)
    assert failure.value.code == "format_unavailable"
    assert not watcher.found


async def test_a_picture_is_not_made_of_sound(bench: Bench) -> None:
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch("/media/song.m4a", "video", "mp4")
    assert failure.value.code == "format_unavailable"


@pytest.mark.parametrize(
    ("form", "beginning", "holds"),
    [
        ("vtt", "WEBVTT\n", "00:00:02.500 --> 00:00:05.000\nTwo lines,\none cue."),
        ("srt", "1\n00:00:00,000 --> 00:00:02,500\nHello", "With bold, italic & colour."),
        ("txt", "Hello from the test video.\n", "Two lines,\none cue.\n"),
    ],
)
async def test_a_transcript_comes_in_every_format(bench: Bench, form: str, beginning: str, holds: str) -> None:
    (file,) = (await bench.fetch(PUBLIC_VIDEO, "transcript", form)).files
    text = file.path.read_text(encoding="utf-8")
    assert file.kind is MediaType.TRANSCRIPT
    assert text.startswith(beginning)
    assert holds in text


async def test_automatic_captions_of_the_language_asked_for_are_said_once(bench: Bench) -> None:
    (file,) = (await bench.fetch(PUBLIC_VIDEO, "transcript", "txt", "best", "de")).files
    assert file.path.read_text(encoding="utf-8") == "guten tag aus\ndem test video\n"


async def test_a_language_that_is_not_there_is_a_failure(bench: Bench) -> None:
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch(PUBLIC_VIDEO, "transcript", "txt", "best", "fr")
    assert failure.value.code == "no_subtitles"


@pytest.mark.parametrize("path", ["/hls/index.m3u8", "/dash/manifest.mpd"])
async def test_streams_in_segments_become_one_mp4(bench: Bench, path: str) -> None:
    (file,) = (await bench.fetch(path, "video", "mp4")).files
    found = read_mp4(file.path)
    assert found is not None
    assert found.is_streamable
    assert {track.kind for track in found.tracks} == {"vide", "soun"}
    assert decodes(file.path)


async def test_all_segments_of_a_stream_are_there(bench: Bench) -> None:
    (file,) = (await bench.fetch("/hls/index.m3u8", "audio", "m4a")).files
    assert file.duration is not None
    assert 99 < file.duration.total_seconds() < 101
