"""Telegram's MarkdownV2 (and the older Markdown), as far as a bot needs it that writes HTML: marks, code, links, escapes."""

from __future__ import annotations

import re

from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.links import checked_link
from sandbox.bot_api.values import Json, utf16_length

_SECOND = {"__": "underline", "||": "spoiler", "*": "bold", "_": "italic", "~": "strikethrough"}
_FIRST = {"*": "bold", "_": "italic"}
_RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
_CODE = re.compile(r"```(?:(\w+)\n)?(.*?)```|`(.*?)`", re.DOTALL)
_LINK = re.compile(r"\[((?:\\.|[^\]\\])*)\]\(((?:\\.|[^)\\])*)\)")


def parse_markdown(source: str, *, second: bool) -> tuple[str, list[Json]]:
    """The text and its entities. Raises `Refused` for a reserved character that is not escaped and a mark that is not closed."""
    return _Reader(source, second=second).read()


class _Reader:
    def __init__(self, source: str, *, second: bool) -> None:
        self._source, self._second = source, second
        self._marks = _SECOND if second else _FIRST
        self._text = ""
        self._entities: list[Json] = []
        self._open: list[tuple[str, int]] = []

    def read(self) -> tuple[str, list[Json]]:
        at = 0
        while at < len(self._source):
            at = self._step(at)
        if self._open:
            raise bad_request(f"can't parse entities: Can't find end of the entity starting at byte offset {self._open[-1][1]}")
        return self._text, sorted(self._entities, key=lambda entity: (entity["offset"], -entity["length"]))

    def _add(self, kind: str, begin: int, **more: str) -> None:
        length = utf16_length(self._text) - begin
        if length:
            self._entities.append({"type": kind, "offset": begin, "length": length, **more})

    def _step(self, at: int) -> int:
        if self._source[at] == "\\" and at + 1 < len(self._source):
            self._text += self._source[at + 1]
            return at + 2
        begin = utf16_length(self._text)
        if code := _CODE.match(self._source, at):
            language, block, inline = code.groups()
            self._text += re.sub(r"\\(.)", r"\1", block if block is not None else inline)
            kind = "code" if block is None else "pre"
            self._add(kind, begin, **({"language": language} if language else {}))
            return code.end()
        if link := _LINK.match(self._source, at):
            self._text += re.sub(r"\\(.)", r"\1", link.group(1))
            target = checked_link(re.sub(r"\\(.)", r"\1", link.group(2)))
            if target is not None:
                self._add("text_link", begin, url=target)
            return link.end()
        mark = next((mark for mark in self._marks if self._source.startswith(mark, at)), None)
        if mark is None:
            return self._plain(at)
        if self._open and self._open[-1][0] == mark:
            self._add(self._marks[mark], self._open.pop()[1])
        else:
            self._open.append((mark, begin))
        return at + len(mark)

    def _plain(self, at: int) -> int:
        character = self._source[at]
        quote = character == ">" and (at == 0 or self._source[at - 1] == "\n")
        if self._second and character in _RESERVED and not quote:
            reason = f"Character '{character}' is reserved and must be escaped with the preceding '\\'"
            raise bad_request(f"can't parse entities: {reason}")
        self._text += "" if quote and self._second else character
        return at + 1
