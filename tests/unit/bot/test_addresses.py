"""Which addresses a message holds, and which part of a medium is meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Chat, Message, MessageEntity

from bot.addresses import bad_address_in, clip_in, finds_in
from sandbox.bot_api.entities import with_automatic

A, B = "https://example.com/a", "https://example.com/b"


def message(text: str, *entities: dict[str, Any], caption: bool = False, automatic: bool = True) -> Message:
    """As Telegram sends it: with what it marks by itself, unless told otherwise."""
    marked = with_automatic(text, list(entities)) if automatic else list(entities)
    given_entities = [MessageEntity(**entity) for entity in marked]
    words: dict[str, Any] = {"caption": text, "caption_entities": given_entities} if caption else {"text": text, "entities": given_entities}
    return Message(message_id=1, date=datetime.now(UTC), chat=Chat(1, "private"), **words)


def found(text: str, *entities: dict[str, Any], **more: Any) -> list[str]:
    return [find.url.text for find in finds_in(message(text, *entities, **more))]


@pytest.mark.parametrize("caption", [False, True])
@pytest.mark.parametrize("automatic", [False, True])
def test_an_address_is_found_in_text_and_caption_marked_or_not(*, caption: bool, automatic: bool) -> None:
    assert found(f"see {A}, it is good", caption=caption, automatic=automatic) == [A]


def test_several_are_found_in_order_each_once() -> None:
    assert found(f"{B} {A} and {B} again") == [B, A]


def test_two_spellings_of_one_thing_are_one() -> None:
    both = "https://youtu.be/abcdefghijk?si=x https://www.youtube.com/watch?v=abcdefghijk&feature=share"
    assert found(both) == ["https://www.youtube.com/watch?v=abcdefghijk"]


def test_what_stands_behind_a_word_is_found() -> None:
    assert found("look here", {"type": "text_link", "offset": 5, "length": 4, "url": A}) == [A]


def test_a_word_that_leads_elsewhere_than_it_says_is_one_address_where_it_leads() -> None:
    assert found(B, {"type": "text_link", "offset": 0, "length": len(B), "url": A}) == [A]


def test_an_address_beside_a_hidden_one_is_found_too() -> None:
    assert found(f"here and {B}", {"type": "text_link", "offset": 0, "length": 4, "url": A}, automatic=False) == [A, B]


@pytest.mark.parametrize("before", ["🎬", "👨‍👩‍👧 look: ", "\U0001d54f\U0001d54f ", "é\u0301 "])
def test_what_counts_double_in_telegram_moves_nothing(before: str) -> None:
    finds = finds_in(message(f"{before} {A} 1:20-2:05 {B}"))
    assert [(find.url.text, find.clip.key if find.clip else None) for find in finds] == [(A, "80000-125000"), (B, None)]


@pytest.mark.parametrize("text", ["readme.md", "example.com", "see example.com.", "me@example.com", "ftp://example.com/a", "https://"])
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("example.com/a", A),
        ("www.example.com", "https://www.example.com/"),
        ("HTTPS://EXAMPLE.com/a", A),
        ("http://example.com/a", "http://example.com/a"),
        ("(https://example.com/a)", A),
        ("https://example.com/a?x=1#y", f"{A}?x=1"),
    ],
)
def test_these_are_completed_or_trimmed(text: str, address: str) -> None:
    assert found(text) == [address]


def test_telegram_marks_a_hundred_at_most_and_the_rest_is_found_all_the_same() -> None:
    addresses = [f"https://e.com/{number}" for number in range(150)]
    text = " ".join(addresses)
    marked = with_automatic(text, [])[:100]
    assert found(text, *marked, automatic=False) == addresses


def test_a_message_without_words_holds_none() -> None:
    assert finds_in(Message(message_id=1, date=datetime.now(UTC), chat=Chat(1, "private"))) == []


@given(text=st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    if text:
        assert isinstance(finds_in(message(text)), list)


# --- clips ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (" 1:20-2:05", "80000-125000"),
        (" 1:20 - 2:05", "80000-125000"),
        (" 1:20 \u2013 2:05 please", "80000-125000"),
        (" 1:20\u20142:05.", "80000-125000"),
        (" (1:20-2:05)", "80000-125000"),
        (" [80-125]", "80000-125000"),
        (" 80-125s", "80000-125000"),
        (" 1:20 to 2:05", "80000-125000"),
        (" 1:20 bis 2:05", "80000-125000"),
        (" 1:00:00-1:00:10", "3600000-3610000"),
        (" 0:01.5-0:02.25", "1500-2250"),
        ("\n1:20-2:05", "80000-125000"),
    ],
)
def test_each_spelling_of_a_clip_is_understood(text: str, key: str) -> None:
    clip = clip_in(text)
    assert clip is not None
    assert clip.key == key


@pytest.mark.parametrize(
    "text",
    [
        " 2:05-1:20",
        " 1:20-1:20",
        " 1:20",
        " -2:05",
        " x 1:20-2:05",
        " 1:2-3:4x",
        " \u0661-\u0662",
        " 1:20-2:05:",
        "",
    ],
)
def test_these_are_no_clips(text: str) -> None:
    assert clip_in(text) is None


def times(seconds: int) -> st.SearchStrategy[str]:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    spellings = [str(seconds)]
    spellings += [f"{hours * 60 + minutes}:{left:02}"]
    spellings += [f"{hours}:{minutes:02}:{left:02}"] if hours else []
    return st.sampled_from(spellings)


@given(
    data=st.data(),
    start=st.integers(0, 50_000),
    length=st.integers(1, 9_000),
    dash=st.sampled_from(["-", "\u2013", "\u2014", " - ", " \u2013 ", " to ", " bis "]),
    brackets=st.sampled_from(["", "()", "[]"]),
    after=st.sampled_from(["", " please", ", thanks", "."]),
)
def test_any_clip_is_understood_in_any_spelling(
    data: st.DataObject, *, start: int, length: int, dash: str, brackets: str, after: str
) -> None:
    begin, end = data.draw(times(start)), data.draw(times(start + length))
    opened, closed = (brackets[:1], brackets[1:])
    (find,) = finds_in(message(f"{A} {opened}{begin}{dash}{end}{closed}{after}"))
    assert find.clip is not None
    assert (find.clip.start, find.clip.end) == (start * 1000, (start + length) * 1000)


def test_a_clip_belongs_to_the_address_before_it() -> None:
    finds = finds_in(message(f"{A} 0-10 {B} 5-6"))
    assert [find.clip.key if find.clip else None for find in finds] == ["0-10000", "5000-6000"]


def test_two_clips_of_one_address_are_two() -> None:
    assert len(finds_in(message(f"{A} 0-10 {A} 20-30 {A} 0-10"))) == 2


# --- what was meant as one --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [("get http://[x please", "http://[x"), ("https:/example", "https:/example"), ("WWW.x", "WWW.x"), ("hello", None), ("", None)],
)
def test_what_was_meant_as_an_address_is_named(text: str, word: str | None) -> None:
    assert bad_address_in(message(text)) == word


@pytest.mark.parametrize(("behind", "items"), [("3-7", (3, 7)), ("(3 \u2013 7)", (3, 7)), ("3 bis 7", (3, 7)), ("3-7, please", (3, 7))])
def test_two_plain_numbers_behind_an_address_may_be_items_too(behind: str, items: tuple[int, int]) -> None:
    (find,) = finds_in(message(f"{A} {behind}"))
    assert find.items == items
    assert find.clip is not None


@pytest.mark.parametrize("behind", ["1:20-2:05", "3-7s", "3-7 s", "3.5-7", "3-7.5", "0-7", "7-3", "3"])
def test_what_counts_seconds_counts_no_items(behind: str) -> None:
    (find,) = finds_in(message(f"{A} {behind}"))
    assert find.items is None
