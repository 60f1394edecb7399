"""Archives of items that were had: a line each, as yt-dlp writes it (`youtube dQw4w9WgXcQ`), or an entry of gallery-dl's
(`pixiv12345678_p0.jpg`, of which several are one post).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.errors import InvalidArchive

MOST_LINES = 200_000
_GALLERY = re.compile(r"(?P<category>[a-z][a-z0-9.-]*?[a-z.-])(?P<post>[0-9]+)(?:_[^ ]*)?(?:\.[A-Za-z0-9]+)?", re.ASCII)
_LONGEST_EXTRACTOR, _LONGEST_ID = 100, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """An item that was had. `entry` is what gallery-dl's archive calls one of its files."""

    extractor: str
    item_id: str
    entry: str | None = None


def read_archive(text: str) -> list[Had]:
    """One of each line, in order. Empty lines are left out. Raises `InvalidArchive`, which names the line."""
    had: list[Had] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name = None
        extractor, _, item_id = line.strip().partition(" ")
        if not item_id and (entry := _GALLERY.fullmatch(extractor)):
            name, extractor, item_id = extractor, f"gallery-dl:{entry['category']}", entry["post"]
        is_sound = extractor.isprintable() and item_id.isprintable() and "\0" not in line
        if not item_id or len(extractor) > _LONGEST_EXTRACTOR or len(item_id) > _LONGEST_ID or not is_sound:
            raise InvalidArchive(
                f"Line {number} of the archive is neither of the form youtube dQw4w9WgXcQ nor of the form pixiv12345678_p0.jpg."
            )
        had.append(Had(extractor=extractor.lower()[:_LONGEST_EXTRACTOR], item_id=item_id, entry=name))
        if len(had) > MOST_LINES:
            raise InvalidArchive(f"An archive has at most {MOST_LINES} lines.")
    return had


def written_archive(keys: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{extractor} {item_id}\n" for extractor, item_id in keys)
