"""What a file really is, by its first bytes, whatever its name or its server said: the pictures and videos that posts hold."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_HEAD = 64 * 1024
_MAX_SIDE = 65_535
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_AVIF = (b"avif", b"avis", b"mif1", b"msf1", b"miaf")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """Extension as we write it; pixels."""

    extension: str
    width: int
    height: int


def picture_in(path: Path) -> PictureFile | None:
    """JPEG, PNG, GIF, WebP or AVIF; None for anything else, and for one whose size is not told."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        found = _jpeg(file) if head.startswith(b"\xff\xd8\xff") else _by_head(head)
    return found if found is not None and 0 < found.width <= _MAX_SIDE and 0 < found.height <= _MAX_SIDE else None


def video_extension(path: Path) -> str | None:
    """`mp4` or `webm`, by the first bytes; None for anything else. What is in it is not looked at."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[4:8] == b"ftyp" and head[8:12] not in _AVIF:
        return "mp4"
    return "webm" if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head else None


def _by_head(head: bytes) -> PictureFile | None:
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return _picture("png", struct.unpack(">II", head[16:24]))
        if head[:6] in {b"GIF87a", b"GIF89a"}:
            return _picture("gif", struct.unpack("<HH", head[6:10]))
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
        if head[4:8] == b"ftyp" and head[8:12] in _AVIF and b"avif" in head[8:64]:
            at = head.index(b"ispe")
            return _picture("avif", struct.unpack(">II", head[at + 8 : at + 16]))
    except (struct.error, ValueError, IndexError):
        return None
    return None


def _picture(extension: str, sides: tuple[int, ...]) -> PictureFile:
    return PictureFile(extension=extension, width=sides[0], height=sides[1])


def _webp(head: bytes) -> PictureFile | None:
    """Source: RFC 9649 and, for VP8, RFC 6386, section 9.1."""
    kind = head[12:16]
    if kind == b"VP8X":
        return _picture("webp", (1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")))
    if kind == b"VP8L" and head[20] == 0x2F:  # noqa: PLR2004 - its signature
        bits = int.from_bytes(head[21:25], "little")
        return _picture("webp", (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)))
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return _picture("webp", (width & 0x3FFF, height & 0x3FFF))
    return None


def _jpeg(file: BinaryIO) -> PictureFile | None:
    """The frame's head may come after large comments and profiles: segments are walked through. Source: ITU-T T.81, annex B."""
    at = 2
    while True:
        file.seek(at)
        head = file.read(9)
        if len(head) < 9 or head[0] != 0xFF:  # noqa: PLR2004 - marker, length, precision, height, width
            return None
        marker = head[1]
        if marker == 0xFF or marker in _ALONE:  # noqa: PLR2004 - a fill byte, or a marker without a segment
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004
            continue
        if marker in _START_OF_FRAME:
            height, width = struct.unpack(">HH", head[5:9])
            return _picture("jpg", (width, height))
        at += 2 + int.from_bytes(head[2:4], "big")
