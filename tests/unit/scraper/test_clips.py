"""Which part of a medium a clip is."""

from __future__ import annotations

import pytest

from scraper.clips import Span, is_remote, span_of, within
from scraper.failures import JobFailed
from service.selection import Clip


def test_a_clip_is_in_seconds() -> None:
    assert span_of(Clip(start=3200, end=5700), 10) == Span(start=3.2, length=2.5)


def test_an_end_beyond_the_end_is_the_end() -> None:
    assert span_of(Clip(start=8000, end=20_000), 10.5) == Span(start=8, length=2.5)


def test_of_a_medium_of_unknown_length_the_whole_clip_is_expected() -> None:
    assert span_of(Clip(start=8000, end=20_000), None) == Span(start=8, length=12)


@pytest.mark.parametrize("start", [10_000, 9_990, 90_000])
def test_a_clip_that_begins_behind_the_end_is_refused(start: int) -> None:
    with pytest.raises(JobFailed) as failure:
        span_of(Clip(start=start, end=100_000), 10)
    assert failure.value.code == "clip_outside"


def test_chapters_are_moved_and_cut() -> None:
    chapters = [(0.0, 5.0, "a"), (5.0, 10.0, "b"), (10.0, 20.0, "c")]
    assert within(chapters, Span(start=4, length=8)) == [(0.0, 1.0, "a"), (1.0, 6.0, "b"), (6.0, 8, "c")]
    assert within(chapters, Span(start=6, length=2)) == [(0.0, 2, "b")]


@pytest.mark.parametrize(
    ("protocol", "url", "expected"),
    [
        ("https", "https://x.example/v.mp4", True),
        ("m3u8_native", "https://x.example/v.m3u8", True),
        ("http_dash_segments", "https://x.example/v.mpd", False),
        ("https", "file:///etc/passwd", False),
    ],
)
def test_ffmpeg_brings_a_part_of_files_and_hls_from_the_web_alone(protocol: str, url: str, expected: bool) -> None:  # noqa: FBT001
    assert is_remote({"protocol": protocol, "url": url}) is expected
