from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.naming import MAX_BYTES, safe_name, unique_names


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A title", "A title.mp3"),
        ("../../etc/passwd\0", "etc_passwd.mp3"),
        ("..", "media.mp3"),
        ("", "media.mp3"),
        ("CON", "media CON.mp3"),
        (".hidden", "hidden.mp3"),
        ("a\u202egpj.exe", "agpj.exe.mp3"),
        ("emoji 😀 stays", "emoji 😀 stays.mp3"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧.mp3"),
        ("tab\tand\nline", "tab and line.mp3"),
        ('what? "this": <that>|*', "what_ _this__ _that.mp3"),
        ("\ud800 lone surrogate", "lone surrogate.mp3"),
    ],
)
def test_a_title_becomes_a_safe_name(title: str, name: str) -> None:
    assert safe_name(title, "mp3") == name


def test_a_long_title_is_cut_between_characters() -> None:
    name = safe_name("ü" * 500, "mp4")
    assert len(name.encode()) <= MAX_BYTES
    assert name == "ü" * ((MAX_BYTES - 4) // 2) + ".mp4"


@given(st.text(max_size=400))
def test_no_title_makes_a_dangerous_name(title: str) -> None:
    name = safe_name(title, "mp4")
    assert 5 <= len(name.encode()) <= MAX_BYTES
    assert not name.startswith(".")
    assert not set(name) & set('/\\:*?"<>|\0')
    assert all(unicodedata.category(c) not in {"Cc", "Cs"} for c in name)
    assert "\u202e" not in name


def test_doubles_are_numbered_without_regard_to_case() -> None:
    assert unique_names(["a.srt", "A.srt", "a.srt", "a (2).srt"]) == ["a.srt", "A (2).srt", "a (3).srt", "a (2) (2).srt"]
