"""What Telegram finds in a text by itself: addresses, commands, mentions, hashtags."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.bot_api.values import Json, utf16_length

_GENERIC = (
    "com|org|net|info|biz|name|edu|gov|mil|int|dev|app|xyz|online|site|tech|store|blog|shop|club|video|live|media|news|social|example|test"
)
_HOST = rf"(?:[\w\-]+\.)+(?:[a-z]{{2}}|{_GENERIC})|(?:\d{{1,3}}\.){{3}}\d{{1,3}}"
_PORT_AND_PATH = r"(?::\d{1,5})?(?:[/?#][^\s<>\"«»]*)?"
_FOUND = re.compile(
    rf"(?P<url>(?<![\w@./\-])(?:(?:https?|ftp)://(?:[^\s/@]+@)?)?(?:{_HOST})(?![\w\-]){_PORT_AND_PATH})"
    r"|(?P<email>(?<![\w.\-])[\w.+\-]+@(?:[\w\-]+\.)+[a-z]{2,})"
    r"|(?P<bot_command>(?<![\w/.@<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/]))"
    r"|(?P<mention>(?<![\w@])@[A-Za-z]\w{2,31}(?![\w@]))"
    r"|(?P<hashtag>(?<![\w#])#(?=\w*[^\W\d_])\w{1,256})",
    re.IGNORECASE,
)
_CLOSED_TO_OTHERS = frozenset({"pre", "code", "text_link", "text_mention"})
_PAIRS = {")": "(", "]": "[", "}": "{"}


def with_automatic(text: str, given: list[Json]) -> list[Json]:
    """The given entities and those found in the text, in order of place; nothing is found inside code and links."""
    taken = [(entity["offset"], entity["offset"] + entity["length"]) for entity in given if entity["type"] in _CLOSED_TO_OTHERS]
    found = [entity for entity in _automatic(text) if not any(begin < _end(entity) and entity["offset"] < end for begin, end in taken)]
    return sorted([*given, *found], key=lambda entity: (entity["offset"], -entity["length"]))


def _end(entity: Json) -> int:
    end: int = entity["offset"] + entity["length"]
    return end


def _automatic(text: str) -> Iterator[Json]:
    for match in _FOUND.finditer(text):
        kind = match.lastgroup
        shown = _without_closing_marks(match.group()) if kind == "url" else match.group()
        yield {"type": kind, "offset": utf16_length(text[: match.start()]), "length": utf16_length(shown)}


def _without_closing_marks(address: str) -> str:
    """Without the punctuation that ends the sentence rather than the address."""
    while address:
        last = address[-1]
        unpaired = last in _PAIRS and address.count(last) > address.count(_PAIRS[last])
        if not (unpaired or last in ".,:;!?'\"`…"):
            break
        address = address[:-1]
    return address
