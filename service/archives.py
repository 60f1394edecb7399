"""Archives of items that were had, in yt-dlp's own format: a line each, `youtube dQw4w9WgXcQ`."""

from __future__ import annotations

from collections.abc import Iterable

from service.errors import InvalidArchive

MOST_LINES = 200_000
_LONGEST_EXTRACTOR, _LONGEST_ID = 100, 400


def read_archive(text: str) -> list[tuple[str, str]]:
    """Extractor and id of each line, in order. Empty lines are left out. Raises `InvalidArchive`, which names the line."""
    keys: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        extractor, _, item_id = line.strip().partition(" ")
        is_sound = extractor.isprintable() and item_id.isprintable() and "\0" not in line
        if not item_id or len(extractor) > _LONGEST_EXTRACTOR or len(item_id) > _LONGEST_ID or not is_sound:
            raise InvalidArchive(f"Line {number} of the archive is not of the form: youtube dQw4w9WgXcQ.")
        keys.append((extractor.lower(), item_id))
        if len(keys) > MOST_LINES:
            raise InvalidArchive(f"An archive has at most {MOST_LINES} lines.")
    return keys


def written_archive(keys: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{extractor} {item_id}\n" for extractor, item_id in keys)
