"""Numbers, times and names as people read them in the chat."""

from __future__ import annotations

import html
import re
from datetime import timedelta

from service.selection import MediaType, Selection

_KB, _MB, _GB = 10**3, 10**6, 10**9
_BAR = 12
_TITLE = 200
_TAG = re.compile(r"<[^<>]*>")
_DIRECTIONS = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Characters that turn the direction of what follows: a title could make our own words read backwards."""


def size(count: int) -> str:
    """`840 KB`, `3.2 MB`, `84 MB`, `1.4 GB`."""
    if count < _MB:
        return f"{max(1, round(count / _KB))} KB"
    unit, name = (_MB, "MB") if count < _GB else (_GB, "GB")
    amount = count / unit
    return f"{amount:.1f} {name}" if amount < 10 else f"{amount:.0f} {name}"  # noqa: PLR2004 - two digits are enough to read


def duration(length: timedelta) -> str:
    """`3:26`, `1:02:03`."""
    return clock(length.total_seconds())


def clock(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def moment(milliseconds: int) -> str:
    """`1:20`, or `1:20.5` where a part of a second counts."""
    text, part = clock(milliseconds // 1000), milliseconds % 1000
    return f"{text}.{part:03}".rstrip("0") if part else text


def bar(percent: float) -> str:
    full = min(_BAR, int(percent * _BAR / 100))
    return "▰" * full + "▱" * (_BAR - full)


def escaped(text: str, longest: int = _TITLE) -> str:
    """Safe within Telegram's HTML, and not longer than this many characters."""
    text = " ".join(text.translate(_DIRECTIONS).split())
    return html.escape(text if len(text) <= longest else text[: longest - 1] + "…", quote=False)


def plain(text: str) -> str:
    """What stands in Telegram's HTML, without its tags."""
    return html.escape(html.unescape(_TAG.sub("", text)), quote=False)


def selection_name(selection: Selection, height: int | None = None) -> str:
    """`1080p`, `MP3`, `320k MP3`: short enough for a button."""
    match selection.media_type:
        case MediaType.VIDEO:
            quality = selection.quality
            name = f"{height or quality}p" if height or quality.isdigit() else "🎬"
            return name if selection.format == "mp4" else f"{name} {selection.format.upper()}"
        case MediaType.AUDIO:
            rate = f"{selection.quality} " if selection.quality.endswith("k") else ""
            return f"🎧 {rate}{selection.format.upper()}"
        case MediaType.TRANSCRIPT:
            return f"💬 {selection.language or selection.format}"
        case _:
            return "🖼"


def escaped_attribute(text: str) -> str:
    """Safe within a quoted attribute of Telegram's HTML."""
    return html.escape(text, quote=True).replace("&#x27;", "'")
