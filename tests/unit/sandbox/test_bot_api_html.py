"""Telegram's HTML: what is read and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bot_api.errors import Refused
from sandbox.bot_api.html import parse_html
from sandbox.bot_api.values import utf16_length


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("b", "bold"), ("strong", "bold"), ("i", "italic"), ("em", "italic"), ("u", "underline"), ("ins", "underline"),
        ("s", "strikethrough"), ("strike", "strikethrough"), ("del", "strikethrough"), ("code", "code"),
        ("pre", "pre"), ("tg-spoiler", "spoiler"), ("blockquote", "blockquote"), ("B", "bold"),
    ],
)  # fmt: skip
def test_each_tag_is_an_entity(tag: str, kind: str) -> None:
    assert parse_html(f"a <{tag}>b</{tag}>") == ("a b", [{"type": kind, "offset": 2, "length": 1}])


@pytest.mark.parametrize(
    ("source", "entity"),
    [
        ('<a href="https://e.org/a?b=1&amp;c=2">x</a>', {"type": "text_link", "url": "https://e.org/a?b=1&c=2"}),
        ("<a href='e.org'>x</a>", {"type": "text_link", "url": "http://e.org/"}),
        ('<span class="tg-spoiler">x</span>', {"type": "spoiler"}),
        ("<blockquote expandable>x</blockquote>", {"type": "expandable_blockquote"}),
        ("<blockquote expandable >x</blockquote>", {"type": "expandable_blockquote"}),
        ('<tg-emoji emoji-id="5368324170671202286">x</tg-emoji>', {"type": "custom_emoji", "custom_emoji_id": "5368324170671202286"}),
        ('<pre><code class="language-python">x</code></pre>', {"type": "pre", "language": "python"}),
        ('<code class="language-python">x</code>', {"type": "code"}),
        ("<b>x</>", {"type": "bold"}),
    ],
)
def test_tags_with_more_to_them(source: str, entity: dict[str, Any]) -> None:
    assert parse_html(source) == ("x", [{"offset": 0, "length": 1, **entity}])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("&lt;b&gt; &amp;amp; &quot;", '<b> &amp; "'),
        ("&#33;&#x21;&#128512;", "!!😀"),
        ("&lt", "<"),
        ("&nbsp; &apos; & &#0; &#x110000; &", "&nbsp; &apos; & &#0; &#x110000; &"),
        ("a > b", "a > b"),
    ],
)
def test_only_the_four_names_and_numbers_stand_for_characters(source: str, text: str) -> None:
    assert parse_html(source) == (text, [])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a < b", 'Unsupported start tag "" at byte offset 2'),
        ("é<br/>", 'Unsupported start tag "br/" at byte offset 2'),
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b>x<i>y</b>", 'Unmatched end tag at byte offset 8, expected "</i>", found "</b>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<a href>x</a>", 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'),
        ("<a href=e.org/>x</a>", "Unexpected end of name token at byte offset 8"),
        ('<a href="x', "Unclosed start tag at byte offset 0"),
        ("<a =x>y</a>", 'Empty attribute name in the tag "a" at byte offset 0'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<tg-emoji>x</tg-emoji>", "Invalid custom emoji identifier specified"),
    ],
)
def test_what_is_wrong_is_refused_in_telegrams_words(source: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_html(source)
    assert caught.value.description == f"Bad Request: can't parse entities: {words}"


@pytest.mark.parametrize("address", ["", "localhost", "http://localhost:8000", "javascript:x", "a b.org"])
def test_wrong_address_is_just_no_link(address: str) -> None:
    assert parse_html(f'<a href="{address}">x</a>') == ("x", [])


def test_link_without_address_takes_its_text() -> None:
    assert parse_html("<a>e.org</a>")[1][0]["url"] == "http://e.org/"


def test_tag_around_nothing_is_no_entity() -> None:
    assert parse_html("<b></b>x") == ("x", [])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TREE = st.recursive(
    TEXT, lambda inner: st.lists(st.tuples(st.sampled_from(["b", "i", "u", "s", "tg-spoiler"]), inner) | TEXT, max_size=4), max_leaves=12
)
KINDS = {"b": "bold", "i": "italic", "u": "underline", "s": "strikethrough", "tg-spoiler": "spoiler"}


def write(tree: Any, at: int) -> tuple[str, str, list[tuple[str, int, int]]]:
    """As HTML, as text, and its entities."""
    if isinstance(tree, str):
        return tree.replace("&", "&amp;").replace("<", "&lt;"), tree, []
    if isinstance(tree, tuple):
        source, text, entities = write(tree[1], at)
        length = utf16_length(text)
        return f"<{tree[0]}>{source}</{tree[0]}>", text, [*([(KINDS[tree[0]], at, length)] if length else []), *entities]
    sources, texts, entities = "", "", list[tuple[str, int, int]]()
    for part in tree:
        source, text, inner = write(part, at + utf16_length(texts))
        sources, texts, entities = sources + source, texts + text, entities + inner
    return sources, texts, entities


@given(TREE)
def test_offsets_are_right_for_any_text(tree: Any) -> None:
    source, text, entities = write(tree, 0)
    read, found = parse_html(source)
    assert read == text
    assert sorted((entity["type"], entity["offset"], entity["length"]) for entity in found) == sorted(entities)


@given(st.text(st.sampled_from("<>/&;= \"'ab#x-"), max_size=30))
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        text, entities = parse_html(source)
    except Refused:
        text, entities = "", []
    assert all(entity["offset"] + entity["length"] <= utf16_length(text) for entity in entities)
