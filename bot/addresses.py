"""The addresses in a message, and the part of a medium that stands behind one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from telegram import Message, MessageEntity

from service.cards import Find
from service.errors import InvalidSelection, InvalidUrl
from service.media_url import MediaUrl
from service.selection import Clip

_TIME = r"(?:\d{1,3}:)?\d{1,3}:\d{2}(?:\.\d{1,3})?|\d{1,6}(?:\.\d{1,3})?"
_ITEMS = re.compile(r"^\s*[(\[]?\s*(\d{1,6})\s*(?:-|–|—|to|bis)\s*(\d{1,6})(?![\w:]|\.\d|\s*s\b)", re.ASCII)
_CLIP = re.compile(rf"^\s*[(\[]?\s*({_TIME})\s*(?:-|–|—|to|bis)\s*({_TIME})\s*s?(?=[\s)\],.;!?]|$)", re.ASCII)
_ADDRESS = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_LOOKS_LIKE_ONE = re.compile(r"^(?:https?:/{0,2}|www\.)\S*", re.IGNORECASE)
_TRAILING = ".,;:!?)]}'\"»“”"


def finds_in(message: Message) -> list[Find]:
    """Every address in the text or caption, hidden ones too, each once, in order."""
    text = message.text or message.caption or ""
    found: dict[tuple[str, str], Find] = {}
    spans = sorted(_spans(message), key=lambda span: span[0])
    for number, (_, end, address) in enumerate(spans):
        try:
            url = MediaUrl.parse(address)
        except InvalidUrl:
            continue
        until = spans[number + 1][0] if number + 1 < len(spans) else len(text)
        clip = clip_in(text[end:until])
        items = items_in(text[end:until])
        found.setdefault((url.text, clip.key if clip else ""), Find(url=url, clip=clip, items=items))
    return list(found.values())


def bad_address_in(message: Message) -> str | None:
    """What was meant as an address and is none."""
    for word in (message.text or message.caption or "").split():
        if _LOOKS_LIKE_ONE.match(word):
            return word[:100]
    return None


def clip_in(text: str) -> Clip | None:
    """`1:20-2:05` right behind an address. A clip that ends before it starts is none."""
    if not (found := _CLIP.match(text)):
        return None
    try:
        return Clip(start=_milliseconds(found[1]), end=_milliseconds(found[2]))
    except InvalidSelection:
        return None


def items_in(text: str) -> tuple[int, int] | None:
    """`3-7` right behind an address: two plain numbers, which count a list's items from 1."""
    found = _ITEMS.match(text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        return None
    return int(found[1]), int(found[2])


def _milliseconds(time: str) -> int:
    whole = 0.0
    for part in time.split(":"):
        whole = whole * 60 + float(part)
    return round(whole * 1000)


def _spans(message: Message) -> Iterator[tuple[int, int, str]]:
    """Where an address begins and ends in the text (in characters), and the address."""
    text = message.text or message.caption or ""
    entities = message.parse_entities() if message.text else message.parse_caption_entities()
    taken: list[tuple[int, int]] = []
    for entity, words in entities.items():
        begin = len(text.encode("utf-16-le")[: entity.offset * 2].decode("utf-16-le"))
        address = entity.url if entity.type == MessageEntity.TEXT_LINK else _completed(words) if entity.type == MessageEntity.URL else None
        if address:
            taken.append((begin, begin + len(words)))
            yield begin, begin + len(words), address
    for match in _ADDRESS.finditer(text):  # what no entity marks: Telegram marks a hundred at most
        address = match[0].rstrip(_TRAILING)
        end = match.start() + len(address)
        if not any(match.start() < until and begin < end for begin, until in taken):
            yield match.start(), end, address


def _completed(words: str) -> str | None:
    """Telegram marks `readme.md` as an address too: without `http://` there must be a path, or `www.`."""
    if words.lower().startswith(("http://", "https://")):
        return words
    if "://" in words or not ("/" in words or words.lower().startswith("www.")):
        return None
    return f"https://{words}"
