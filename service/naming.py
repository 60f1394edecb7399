"""File names that are safe everywhere, made of titles that are not."""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 180
_FORBIDDEN = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


def safe_name(title: str, extension: str) -> str:
    """`title.extension` without separators, control and direction characters, reserved names or leading dots and dashes.

    At most 180 bytes in UTF-8, cut between characters. A title of which nothing is left gives `media`.
    """
    text = unicodedata.normalize("NFC", title.encode("utf-8", "ignore").decode())
    text = _SPACES.sub(" ", text)
    text = "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"} or c == "\u200d")
    text = _SPACES.sub(" ", _FORBIDDEN.sub("_", text)).lstrip(" ._-").rstrip(" ._")
    if not text or _RESERVED.match(text):
        text = f"media {text}".strip()
    suffix = f".{extension}"
    return _cut(text, MAX_BYTES - len(suffix.encode())) + suffix


def unique_names(names: list[str]) -> list[str]:
    """The same names, later doubles numbered: `a.srt`, `a (2).srt`. Case makes no difference."""
    taken: set[str] = set()
    result = []
    for name in names:
        stem, dot, extension = name.rpartition(".")
        candidate, number = name, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{stem} ({number}){dot}{extension}"
        taken.add(candidate.casefold())
        result.append(candidate)
    return result


def _cut(text: str, size: int) -> str:
    """A lone joiner or accent at the end goes too."""
    cut = text.encode()[:size].decode(errors="ignore")
    while cut and len(cut) < len(text) and (cut[-1] == "\u200d" or unicodedata.combining(text[len(cut)])):
        cut = cut[:-1]
    return cut.rstrip(" .")
