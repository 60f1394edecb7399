"""Which choices there are of a set of formats, as yt-dlp itself would pick from them, and in which languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from scraper.choices import choices_of, height_of, size_of
from scraper.downloader import Downloader
from scraper.egress import EgressPolicy
from scraper.guard import Guard
from scraper.languages import languages_of
from scraper.options import ytdlp_options
from service.selection import Selection


def video(height: int, **more: Any) -> dict[str, Any]:
    size = {"height": height, "width": height * 16 // 9, "filesize": height * 1000, "vcodec": "avc1.64", "acodec": "none", "tbr": height}
    return {"format_id": f"v{height}", "ext": "mp4", **size, **more}


AAC = {"format_id": "aac", "ext": "m4a", "vcodec": "none", "acodec": "mp4a.40.2", "abr": 128, "tbr": 128, "filesize": 160_000}
OPUS = {"format_id": "opus", "ext": "webm", "vcodec": "none", "acodec": "opus", "abr": 160, "tbr": 160, "filesize": 200_000}


def choices(*formats: dict[str, Any], duration: float | None = 10) -> list[dict[str, Any]]:
    options = ytdlp_options(Selection.of(), state_directory=Path("/nowhere"), ffmpeg=None, deno=None)
    known = [{"url": f"https://x.example/{number}", "protocol": "https", **one} for number, one in enumerate(formats)]
    # What yt-dlp's own processing makes of an extractor's result, with any of the formats.
    with Downloader({**options, "format": "all"}, {}, Guard(EgressPolicy(), None, None), cast("Any", None)) as ydl:
        info = {"id": "x", "title": "x", "extractor": "x", "extractor_key": "X", "formats": known, "duration": duration}
        return choices_of(ydl, ydl.process_ie_result(info, download=False))


def keys(*formats: dict[str, Any]) -> list[str]:
    return [choice["selection"] for choice in choices(*formats)]


def test_each_height_is_one_choice_from_the_best_down() -> None:
    found = choices(video(360), video(1080), video(720), AAC)
    assert [(choice["selection"], choice["height"]) for choice in found] == [
        ("video:mp4:1080", 1080), ("video:mp4:720", 720), ("video:mp4:360", 360), ("audio:mp3:best", None), ("audio:m4a:best", None),
    ]  # fmt: skip


def test_two_qualities_that_give_the_same_formats_are_one_choice() -> None:
    assert keys(video(720), AAC)[:2] == ["video:mp4:720", "audio:mp3:best"]


def test_what_is_higher_than_every_quality_is_the_best() -> None:
    found = choices(video(4320), video(2160), AAC)
    assert [(choice["selection"], choice["height"]) for choice in found[:2]] == [("video:mp4:best", 4320), ("video:mp4:2160", 2160)]


def test_what_is_lower_than_every_quality_is_the_best() -> None:
    found = choices(video(240), video(144), AAC)
    assert (found[0]["selection"], found[0]["height"]) == ("video:mp4:best", 240)
    assert len(found) == 3


def test_an_upright_video_is_called_by_its_shorter_side() -> None:
    found = choices(video(1920, width=1080), AAC)
    assert (found[0]["selection"], found[0]["height"]) == ("video:mp4:1080", 1080)
    assert height_of({}) is None


def test_a_size_is_that_of_picture_and_sound_together() -> None:
    (best, *_) = choices(video(720), AAC)
    assert (best["size"], best["is_estimate"]) == (720_000 + 160_000, False)


def test_a_size_that_has_to_be_reckoned_is_an_estimate() -> None:
    (best, *_) = choices(video(720, filesize=None, tbr=800), AAC)
    assert (best["size"], best["is_estimate"]) == (1_000_000 + 160_000, True)
    (best, *_) = choices(video(720, filesize=None, filesize_approx=500_000), AAC)
    assert (best["size"], best["is_estimate"]) == (660_000, True)


def test_a_size_that_nobody_knows_is_none() -> None:
    assert size_of([{"filesize": 5}, {}], 10) == (None, True)
    assert size_of([], 10) == (None, True)
    (best, *_) = choices(video(720, filesize=None, tbr=None), AAC)
    assert (best["size"], best["is_estimate"]) == (None, False)


def test_a_picture_that_has_to_be_encoded_has_an_estimated_size() -> None:
    (best, *_) = choices(video(720, vcodec="vp8", ext="webm"), AAC)
    assert best["is_estimate"]


def test_sound_alone_has_no_picture_to_choose() -> None:
    assert keys(AAC, OPUS) == ["audio:mp3:best", "audio:m4a:best"]


def test_sound_that_is_copied_is_as_large_as_it_is_and_other_is_estimated() -> None:
    mp3, m4a = choices(AAC, OPUS)
    assert (m4a["size"], m4a["is_estimate"]) == (160_000, False)
    assert (mp3["size"], mp3["is_estimate"]) == (306_250, True)
    mp3, m4a = choices(OPUS, duration=None)
    assert (mp3["size"], m4a["size"], mp3["is_estimate"]) == (None, None, False)


def test_what_does_not_come_over_the_web_is_no_choice() -> None:
    assert keys(video(1080, protocol="rtmp"), video(720), AAC)[0] == "video:mp4:720"


TRACK = [{"ext": "vtt", "url": "https://x.example/s.vtt"}]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"subtitles": {"en": TRACK, "es": TRACK}}, ["en", "es"]),
        ({"subtitles": {"live_chat": [{"ext": "json"}]}}, []),
        ({"subtitles": {"es": TRACK}, "automatic_captions": {"de": TRACK}}, ["es", "de"]),
        ({"subtitles": {"en-GB": TRACK}, "automatic_captions": {"en-orig": TRACK, "fr": TRACK}}, ["en-GB"]),
        ({"automatic_captions": {"en-orig": TRACK, "en": TRACK, "fr": TRACK}}, ["en"]),
        ({"automatic_captions": {"en": TRACK, "fr": TRACK}, "language": "fr-CA"}, ["fr"]),
        ({"automatic_captions": {"en": TRACK, "fr": TRACK}}, []),
        ({"automatic_captions": {"en": TRACK, "fr": TRACK}, "formats": [{"acodec": "opus", "language": "en"}]}, ["en"]),
        ({"subtitles": {"en": TRACK, "e:n": TRACK, "x" * 36: TRACK, "": TRACK, "ü": TRACK}}, ["en"]),
        ({}, []),
    ],
)
def test_languages_are_those_of_people_then_that_of_the_medium_itself(info: dict[str, Any], expected: list[str]) -> None:
    assert languages_of(info) == expected
