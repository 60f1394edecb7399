"""A text of a request: parsed, trimmed, measured."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.bot_api.arguments import Arguments
from sandbox.bot_api.entities import with_automatic
from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.html import parse_html
from sandbox.bot_api.markdown import parse_markdown
from sandbox.bot_api.values import Json, present, utf16_length

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
"""UTF-16 units, after parsing."""

_CLOSED = frozenset({"pre", "code"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """A text as it is shown, with its entities."""

    text: str
    entities: list[Json]

    def fields(self, name: str) -> Json:
        """As fields of a message: `text` and `entities`, or `caption` and `caption_entities`."""
        return present({name: self.text, "entities" if name == "text" else "caption_entities": self.entities})


def read_text(arguments: Arguments, *, too_long: str = "message is too long") -> Formatted:
    """The argument `text`, which must hold something. Raises `Refused`."""
    if not arguments.text("text"):
        raise bad_request("message text is empty")
    formatted = _read(arguments, "text", "entities")
    if not formatted.text:
        raise bad_request("text must be non-empty")
    if utf16_length(formatted.text) > TEXT_LIMIT:
        raise bad_request(too_long)
    return formatted


def read_caption(arguments: Arguments, *, too_long: str = "message caption is too long") -> Formatted:
    """The argument `caption`, which may be missing. Raises `Refused`."""
    formatted = _read(arguments, "caption", "caption_entities")
    if utf16_length(formatted.text) > CAPTION_LIMIT:
        raise bad_request(too_long)
    return formatted


def _read(arguments: Arguments, name: str, entities_name: str) -> Formatted:
    text, mode = arguments.text(name), arguments.text("parse_mode").lower()
    match mode:
        case "":
            entities = [_checked(entity) for entity in arguments.objects(entities_name)]
        case "html":
            text, entities = parse_html(text)
        case "markdownv2" | "markdown":
            text, entities = parse_markdown(text, second=mode == "markdownv2")
        case _:
            raise bad_request("unsupported parse_mode")
    return trimmed(_CONTROL.sub("", text), entities)


def _checked(entity: Json) -> Json:
    place = (entity.get("offset"), entity.get("length"))
    if not isinstance(entity.get("type"), str) or not all(isinstance(number, int) for number in place):
        raise bad_request("can't parse MessageEntity")
    return entity


def trimmed(text: str, entities: list[Json]) -> Formatted:
    """Without space around it; with what Telegram finds in it by itself."""
    shown = text.strip()
    shift, length = utf16_length(text[: len(text) - len(text.lstrip())]), utf16_length(shown)
    kept = [moved for entity in entities if (moved := _moved(entity, shift, length)) is not None]
    return Formatted(text=shown, entities=with_automatic(shown, _outermost(kept)))


def _moved(entity: Json, shift: int, length: int) -> Json | None:
    begin = max(entity["offset"] - shift, 0)
    end = min(entity["offset"] + entity["length"] - shift, length)
    return {**entity, "offset": begin, "length": end - begin} if end > begin else None


def _outermost(entities: list[Json]) -> list[Json]:
    """Without what lies inside code: nothing can be nested there."""
    kept: list[Json] = []
    closed: list[tuple[int, int]] = []
    for entity in sorted(entities, key=lambda entity: (entity["offset"], -entity["length"], entity["type"] != "pre")):
        begin, end = entity["offset"], entity["offset"] + entity["length"]
        if any(first <= begin and end <= last for first, last in closed):
            continue
        kept.append(entity)
        if entity["type"] in _CLOSED:
            closed.append((begin, end))
    return kept
