from __future__ import annotations

import pytest

from scraper.failures import JobFailed
from scraper.transcripts import Cue, choose, parse, read, spoken, written


def track(*extensions: str) -> list[dict[str, str]]:
    return [{"ext": extension, "url": extension} for extension in extensions]


@pytest.mark.parametrize(
    ("info", "language", "code"),
    [
        ({"subtitles": {"de": track("vtt"), "en": track("vtt")}}, None, "en"),
        ({"subtitles": {"de": track("vtt"), "en": track("vtt")}, "language": "de"}, None, "de"),
        ({"subtitles": {"fr": track("vtt"), "de": track("vtt")}}, None, "fr"),
        ({"subtitles": {"fr": track("vtt")}, "automatic_captions": {"en": track("vtt")}}, None, "en"),
        ({"subtitles": {"en-GB": track("vtt")}}, "en", "en-GB"),
        ({"subtitles": {"pt": track("vtt")}}, "pt-BR", "pt"),
        ({"automatic_captions": {"en": track("vtt"), "en-orig": track("vtt")}}, "en", "en"),
        ({"subtitles": {"live_chat": track("json"), "nl": track("srt")}}, None, "nl"),
    ],
)
def test_the_language_asked_for_else_the_mediums_own_else_english_else_the_first(
    info: dict[str, object], language: str | None, code: str
) -> None:
    assert choose(info, language)[0] == code


def test_of_several_kinds_the_one_closest_to_webvtt_is_taken() -> None:
    assert choose({"subtitles": {"en": track("json3", "ttml", "srt", "vtt", "srv1")}}, None)[1]["ext"] == "vtt"


@pytest.mark.parametrize(
    ("info", "language"), [({}, None), ({"subtitles": {"en": track("vtt")}}, "de"), ({"subtitles": {"en": track("json3")}}, None)]
)
def test_without_a_readable_track_there_are_no_subtitles(info: dict[str, object], language: str | None) -> None:
    with pytest.raises(JobFailed, match="no_subtitles"):
        choose(info, language)


def test_webvtt_and_subrip_are_read_alike() -> None:
    vtt = "WEBVTT\nKind: captions\n\nNOTE x\n\n1\n00:01.000 --> 01:00:02.500 align:start\n<v A>a &amp; b</v>\n<i>c</i>\n"
    srt = "\ufeff1\r\n00:00:01,000 --> 01:00:02,500\r\na & b\r\nc\r\n"
    assert parse(vtt) == parse(srt) == [Cue(1000, 3602500, ("a & b", "c"))]


def test_ttml_is_read() -> None:
    ttml = b'<tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="0s" end="1.5s">hello</p></div></body></tt>'
    assert read(ttml, "ttml") == [Cue(0, 1500, ("hello",))]


def test_what_is_written_can_be_read_again() -> None:
    cues = [Cue(0, 1500, ("a < b & c", "d")), Cue(3600000, 3601001, ("e",))]
    for form in ("vtt", "srt"):
        assert [cue for cue in parse(written(cues, form)) if cue.lines[0] != "a"] == cues


def test_rolling_captions_are_said_once_but_a_refrain_twice() -> None:
    rolling = [Cue(0, 1, ("one",)), Cue(1, 2, ("one", "two")), Cue(2, 3, ("two",)), Cue(3, 4, ("three",)), Cue(4, 5, ("one",))]
    assert spoken(rolling) == ["one", "two", "three", "one"]
