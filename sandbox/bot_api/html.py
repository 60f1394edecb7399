"""Telegram's HTML, read as its own server reads it (td/telegram/MessageEntity.cpp, `parse_html`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.bot_api.errors import Refused, bad_request
from sandbox.bot_api.links import checked_link, linked_user
from sandbox.bot_api.values import Json, utf16_length

_SIMPLE = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "span": "spoiler",
}  # fmt: skip
_TAGS = frozenset({*_SIMPLE, "a", "code", "pre", "blockquote", "tg-emoji"})
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]*)|#([0-9]*)|([a-zA-Z]*))")
_LONGEST_NUMBER = 9
_LAST_CHARACTER = 0x10FFFF
_SPACES = " \t\r\n\0\v"
_NAME = re.compile(rf"[^{_SPACES}>]*")
_ATTRIBUTE = re.compile(rf"[^{_SPACES}=]*")
_BLANKS = re.compile(rf"[{_SPACES}]*")
_EXPANDABLE = re.compile(rf"expandable(?=[{_SPACES}>])")
_TOKEN = re.compile(r"[A-Za-z0-9.\-]*")


@dataclass(slots=True)
class _Open:
    """A tag that is not closed yet. `offset` is in UTF-16 units, `begin` an index into the pieces read so far."""

    tag: str
    argument: str
    offset: int
    begin: int


def parse_html(source: str) -> tuple[str, list[Json]]:
    """The text and its entities, outer before inner, offsets in UTF-16 units. Raises `Refused`."""
    return _Reader(source).read()


def decode_reference(text: str, at: int) -> tuple[str, int] | None:
    """The character that the reference at `at` stands for and the index after it; None where it stands for itself."""
    found = _REFERENCE.match(text, at)
    if found is None:
        return None
    hexadecimal, decimal, name = found.groups()
    if name is not None:
        character = _NAMED.get(name)
    else:
        number = int(hexadecimal or "0", 16) if hexadecimal is not None else int(decimal or "0")
        wrong = number == 0 or number >= _LAST_CHARACTER or found.end() - at > _LONGEST_NUMBER
        character = None if wrong else chr(number)
    if character is None:
        return None
    return character, found.end() + (text[found.end() : found.end() + 1] == ";")


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._pieces: list[str] = []
        self._length = 0
        self._open: list[_Open] = []
        self._entities: list[Json] = []

    def read(self) -> tuple[str, list[Json]]:
        while self._at < len(self._source):
            character = self._source[self._at]
            if character == "<":
                if self._source.startswith("</", self._at):
                    self._close()
                else:
                    self._begin()
            else:
                self._take_text(character)
        if self._open:
            raise self._refuse(f'Can\'t find end tag corresponding to start tag "{self._open[-1].tag}"', None)
        for entity in self._entities:
            if entity["type"] == "code":
                entity.pop("language", None)
        text = "".join(self._pieces)
        if any("\ud800" <= character <= "\udfff" for character in text):
            words = "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units"
            raise self._refuse(words, None)
        return text, sorted(self._entities, key=lambda entity: (entity["offset"], -entity["length"]))

    def _take_text(self, character: str) -> None:
        reference = decode_reference(self._source, self._at) if character == "&" else None
        if reference is not None:
            text, self._at = reference
        else:
            end = min((at for at in (self._source.find(mark, self._at + 1) for mark in "<&") if at >= 0), default=len(self._source))
            text, self._at = self._source[self._at : end], end
        self._pieces.append(text)
        self._length += utf16_length(text)

    def _refuse(self, reason: str, at: int | None) -> Refused:
        where = "" if at is None else f" at byte offset {len(self._source[:at].encode('utf-8', 'surrogatepass'))}"
        return bad_request(f"can't parse entities: {reason}{where}")

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._source, self._at)
        assert found is not None
        self._at = found.end()
        return found.group()

    def _next(self) -> str:
        """The character to be read next; empty at the end."""
        return self._source[self._at : self._at + 1]

    def _begin(self) -> None:
        begin = self._at
        self._at += 1
        tag = self._skip(_NAME).lower()
        if not self._next():
            raise self._refuse("Unclosed start tag", begin)
        if tag not in _TAGS:
            raise self._refuse(f'Unsupported start tag "{tag}"', begin)
        argument = ""
        while self._next() != ">":
            self._skip(_BLANKS)
            if self._next() != ">":
                argument = self._attribute(tag, begin) or argument
        self._at += 1
        if tag == "span" and argument != "spoiler":
            raise self._refuse('Tag "span" must have class "tg-spoiler"', begin)
        self._open.append(_Open(tag, argument, self._length, len(self._pieces)))

    def _attribute(self, tag: str, begin: int) -> str:
        """Read one attribute; what it says of the entity, empty if nothing."""
        if tag == "blockquote" and (found := _EXPANDABLE.match(self._source, self._at)) is not None:
            self._at = found.end()
            return "expandable"
        name = self._skip(_ATTRIBUTE)
        if not name:
            raise self._refuse(f'Empty attribute name in the tag "{tag}"', begin)
        self._skip(_BLANKS)
        if self._next() != "=":
            raise self._refuse(f'Expected equal sign in declaration of an attribute of the tag "{tag}"', begin)
        self._at += 1
        self._skip(_BLANKS)
        if not self._next():
            raise self._refuse(f'Unclosed start tag "{tag}"', begin)
        value = self._quoted() if self._next() in {'"', "'"} else self._bare()
        if not self._next():
            raise self._refuse("Unclosed start tag", begin)
        return _argument(tag, name, value)

    def _bare(self) -> str:
        begin = self._at
        value = self._skip(_TOKEN).lower()
        if self._next() and self._next() not in f"{_SPACES}>":
            raise self._refuse("Unexpected end of name token", begin)
        return value

    def _quoted(self) -> str:
        quote, pieces = self._next(), list[str]()
        self._at += 1
        while self._next() not in {quote, ""}:
            reference = decode_reference(self._source, self._at)
            text, self._at = reference or (self._next(), self._at + 1)
            pieces.append(text)
        self._at += bool(self._next())
        return "".join(pieces)

    def _close(self) -> None:
        begin = self._at
        if not self._open:
            raise self._refuse("Unexpected end tag", begin)
        self._at += 2
        tag = self._skip(_NAME).lower()
        self._skip(_BLANKS)
        if self._next() != ">":
            raise self._refuse("Unclosed end tag", begin)
        self._at += 1
        opened = self._open[-1]
        if tag and tag != opened.tag:
            expected = (
                f'Unmatched end tag at byte offset {len(self._source[:begin].encode())}, expected "</{opened.tag}>", found "</{tag}>"'
            )
            raise self._refuse(expected, None)
        if self._length > opened.offset:
            self._add(opened)
        self._open.pop()

    def _add(self, opened: _Open) -> None:
        place = {"offset": opened.offset, "length": self._length - opened.offset}
        last = self._entities[-1] if self._entities else {}
        same_place = all(last.get(name) == value for name, value in place.items())
        if opened.tag in _SIMPLE:
            self._entities.append({"type": _SIMPLE[opened.tag], **place})
        elif opened.tag == "a":
            self._add_link(opened, place)
        elif opened.tag == "tg-emoji":
            if not opened.argument.isdigit() or int(opened.argument) == 0:
                raise self._refuse("Invalid custom emoji identifier specified", None)
            self._entities.append({"type": "custom_emoji", **place, "custom_emoji_id": opened.argument})
        elif opened.tag == "blockquote":
            self._entities.append({"type": "expandable_blockquote" if opened.argument else "blockquote", **place})
        elif opened.tag == "pre" and same_place and last["type"] == "code" and "language" in last:
            last["type"] = "pre"
        elif opened.tag == "code" and same_place and last["type"] == "pre" and opened.argument:
            last["language"] = opened.argument
        else:
            language = {"language": opened.argument} if opened.tag == "code" and opened.argument else {}
            self._entities.append({"type": opened.tag, **place, **language})

    def _add_link(self, opened: _Open, place: Json) -> None:
        target = opened.argument or "".join(self._pieces[opened.begin :])
        user = linked_user(target)
        if user is not None:
            self._entities.append({"type": "text_mention", **place, "user": {"id": user, "is_bot": False, "first_name": ""}})
            return
        link = checked_link(target)
        if link is not None:  # a wrong address is not refused: its text just is no link
            self._entities.append({"type": "text_link", **place, "url": link})


def _argument(tag: str, name: str, value: str) -> str:
    match tag, name:
        case ("a", "href") | ("tg-emoji", "emoji-id"):
            return value
        case ("code", "class"):
            return value.removeprefix("language-") if value.startswith("language-") else ""
        case ("span", "class"):
            return value.removeprefix("tg-") if value.startswith("tg-") else ""
        case ("blockquote", "expandable"):
            return "expandable"
    return ""
