"""What is known of a medium, in our words: title, artist, tags, chapters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scraper.words import clean
from service.errors import InvalidUrl
from service.media_url import MediaUrl


def title_of(info: Mapping[str, Any]) -> str:
    return clean(info.get("track") or info.get("title") or "") or clean(info.get("id") or "") or "media"


def artist_of(info: Mapping[str, Any]) -> str | None:
    for key in ("artists", "artist", "creators", "creator", "channel", "uploader"):
        value = info.get(key)
        text = clean(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value or "")
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
        "album": clean(info.get("album") or ""),
        "date": f"{day[:4]}-{day[4:6]}-{day[6:]}" if re.fullmatch(r"\d{8}", day) else "",
        "comment": source,
        "purl": source,
    }


def chapters_of(info: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    found = []
    for chapter in info.get("chapters") or ():
        start, end = chapter.get("start_time") or 0, chapter.get("end_time") or info.get("duration")
        if end is not None and end > start:
            found.append((float(start), float(end), clean(chapter.get("title") or "")))
    return found
