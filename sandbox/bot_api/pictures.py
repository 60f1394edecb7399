"""Width and height of a picture, read from its head."""

from __future__ import annotations

import struct
from pathlib import Path

_HEAD = 64 * 1024
_JPEG, _PNG, _GIF, _RIFF = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARKER = 0xFF
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_JPEG)) == _JPEG


def picture_size(path: Path) -> tuple[int, int] | None:
    """Pixels of a JPEG, PNG, GIF or WebP; None for anything else."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        return _size(head)
    except (struct.error, IndexError):
        return None


def _size(head: bytes) -> tuple[int, int] | None:
    if head.startswith(_PNG):
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if head.startswith(_GIF):
        width, height = struct.unpack("<HH", head[6:10])
        return width, height
    if head.startswith(_RIFF) and head[8:12] == b"WEBP":
        return _webp_size(head)
    return _jpeg_size(head) if head.startswith(_JPEG) else None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8 ":
            width, height = struct.unpack("<HH", head[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at < len(head):
        if head[at] != _MARKER:
            return None
        marker = head[at + 1]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 if marker in _WITHOUT_LENGTH else 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None
