"""Numbers, times and names as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import wording
from sandbox.bot_api.html import parse_html
from service.selection import Selection


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "1 KB"),
        (840_000, "840 KB"),
        (3_200_000, "3.2 MB"),
        (84_000_000, "84 MB"),
        (1_400_000_000, "1.4 GB"),
        (20 * 10**9, "20 GB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert wording.size(count) == text


@given(count=st.integers(0, 10**13))
def test_a_size_is_short(count: int) -> None:
    assert len(wording.size(count)) <= 8


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (206, "3:26"), (3723, "1:02:03"), (86400, "24:00:00")])
def test_durations(seconds: float, text: str) -> None:
    assert wording.duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(("milliseconds", "text"), [(80_000, "1:20"), (80_500, "1:20.5"), (80_050, "1:20.05"), (1, "0:00.001")])
def test_moments(milliseconds: int, text: str) -> None:
    assert wording.moment(milliseconds) == text


@given(percent=st.floats(0, 1000))
def test_a_bar_is_always_of_one_length(percent: float) -> None:
    assert len(wording.bar(percent)) == 12


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=500), longest=st.integers(2, 200))
def test_escaped_text_is_that_text_to_telegram_and_no_longer_than_asked(text: str, longest: int) -> None:
    shown, entities = parse_html(wording.escaped(text, longest))
    plain = " ".join(text.split())
    assert entities == []
    assert len(shown) <= longest
    assert shown == plain or (shown.endswith("…") and plain.startswith(shown[:-1]))


@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=0x3000), min_size=1, max_size=100))
def test_an_address_in_an_attribute_comes_back_as_it_was(text: str) -> None:
    link = f"https://example.com/{text}"
    opened = f'<a href="{wording.escaped_attribute(link)}">x</a>'
    assert parse_html(opened)[0] == "x"


@pytest.mark.parametrize(
    ("selection", "height", "name"),
    [
        (Selection.of("video", "mp4", "best"), 1080, "1080p"),
        (Selection.of("video", "mp4", "720"), None, "720p"),
        (Selection.of("video", "webm", "480"), 480, "480p WEBM"),
        (Selection.of("audio", "mp3", "best"), None, "🎧 MP3"),
        (Selection.of("audio", "mp3", "320k"), None, "🎧 320k MP3"),
        (Selection.of("transcript", "srt", language="de"), None, "💬 de"),
        (Selection.of("picture"), None, "🖼"),
    ],
)
def test_selections(selection: Selection, height: int | None, name: str) -> None:
    assert wording.selection_name(selection, height) == name


@pytest.mark.parametrize("turning", ["\u202e", "\u2066", "\u200f", "\u061c"])
def test_characters_that_turn_the_direction_are_left_out(turning: str) -> None:
    assert wording.escaped(f"safe{turning}4pm.exe") == "safe4pm.exe"
