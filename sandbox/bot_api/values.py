"""The shapes that all parts of the sandbox Bot API speak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
"""An object of the Bot API, as in its documentation. Whoever holds one never changes it: a change is a new object."""

MEDIA_KINDS = ("animation", "photo", "audio", "video", "document", "voice", "video_note", "sticker")
"""The fields of a message that hold media. Animation before document: a message with the first has both, as at Telegram."""


def utf16_length(text: str) -> int:
    """Length as Telegram counts it: in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def media_kind(message: Json) -> str | None:
    """Which kind of media the message holds, if any."""
    return next((kind for kind in MEDIA_KINDS if kind in message), None)


def media_object(message: Json) -> Json | None:
    """The media that the message holds; of a photo its largest size."""
    kind = media_kind(message)
    if kind is None:
        return None
    found = message[kind]
    largest: Json = found[-1] if kind == "photo" else found
    return largest


def present(fields: Mapping[str, Any]) -> Json:
    """Those that have a value: the Bot API leaves out what is absent, false or empty."""
    return {name: value for name, value in fields.items() if value is not None and value is not False and value not in ("", [])}
