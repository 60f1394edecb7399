"""What is known of a medium, in our words: title, artist, tags, chapters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from service.errors import InvalidUrl
from service.media_url import MediaUrl

_MAX_TEXT = 1000
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]+")


def _clean(text: Any) -> str:
    # Written in UTF-8 later: a lone surrogate must not get that far.
    return _UNSEEN.sub(" ", str(text)).encode("utf-8", "replace").decode("utf-8").strip()[:_MAX_TEXT]


def title_of(info: Mapping[str, Any]) -> str:
    return _clean(info.get("track") or info.get("title") or "") or _clean(info.get("id") or "") or "media"


def artist_of(info: Mapping[str, Any]) -> str | None:
    for key in ("artists", "artist", "creators", "creator", "channel", "uploader"):
        value = info.get(key)
        text = _clean(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value or "")
        if text:
            return text
    return None


def tags_of(info: Mapping[str, Any]) -> dict[str, str]:
    day = str(info.get("release_date") or info.get("upload_date") or "")
    try:
        source = MediaUrl.parse(str(info.get("webpage_url") or "")).shown
    except InvalidUrl:
        source = ""
    return {
        "title": title_of(info),
        "artist": artist_of(info) or "",
        "album": _clean(info.get("album") or ""),
        "date": f"{day[:4]}-{day[4:6]}-{day[6:]}" if re.fullmatch(r"\d{8}", day) else "",
        "comment": source,
        "purl": source,
    }


def chapters_of(info: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    found = []
    for chapter in info.get("chapters") or ():
        start, end = chapter.get("start_time") or 0, chapter.get("end_time") or info.get("duration")
        if end is not None and end > start:
            found.append((float(start), float(end), _clean(chapter.get("title") or "")))
    return found
