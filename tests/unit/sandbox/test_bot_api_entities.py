"""What Telegram finds in a text by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bot_api.entities import with_automatic
from sandbox.bot_api.formatting import trimmed
from sandbox.bot_api.values import utf16_length


def found(text: str) -> list[tuple[str, str]]:
    """Kind and text of each entity."""
    encoded = text.encode("utf-16-le")
    places = [(entity["type"], entity["offset"] * 2, (entity["offset"] + entity["length"]) * 2) for entity in with_automatic(text, [])]
    return [(kind, encoded[begin:end].decode("utf-16-le")) for kind, begin, end in places]


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("🎬 see https://e.org/a_(b)?c=1#d.", [("url", "https://e.org/a_(b)?c=1#d")]),
        ("(https://e.org)", [("url", "https://e.org")]),
        ("youtu.be/abc and e.org", [("url", "youtu.be/abc"), ("url", "e.org")]),
        ("http://127.0.0.1:8901/media/clip.mp4", [("url", "http://127.0.0.1:8901/media/clip.mp4")]),
        ("http://localhost:8901/clip", []),
        ("clip.mp4", []),
        ("/get@magpie_bot now /not/this 1/2", [("bot_command", "/get@magpie_bot")]),
        ("@alice bob@e.org", [("mention", "@alice"), ("email", "bob@e.org")]),
        ("#cats #1 a#b", [("hashtag", "#cats")]),
    ],
)
def test_addresses_commands_mentions_and_hashtags_are_found(text: str, entities: list[tuple[str, str]]) -> None:
    assert found(text) == entities


def test_nothing_is_found_in_code() -> None:
    code = {"type": "code", "offset": 0, "length": 5}
    assert with_automatic("e.org", [code]) == [code]


def test_nothing_is_nested_in_code() -> None:
    code, bold = {"type": "pre", "offset": 0, "length": 3}, {"type": "bold", "offset": 1, "length": 1}
    assert trimmed("abc", [code, bold, {"type": "code", "offset": 0, "length": 3}]).entities == [code]


@given(st.text(max_size=20), st.integers(0, 20), st.integers(1, 20))
def test_entities_stay_inside_the_trimmed_text(text: str, offset: int, length: int) -> None:
    formatted = trimmed(text, [{"type": "bold", "offset": offset, "length": length}])
    assert all(0 <= entity["offset"] < entity["offset"] + entity["length"] <= utf16_length(formatted.text) for entity in formatted.entities)
