"""Reads an MP4 (ISO base media) file's own description, so that a file that is right already needs no ffmpeg run.

Source: ISO/IEC 14496-12. Only what is asked here is read; anything odd makes the answer None, and ffmpeg is asked instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAX_MOOV = 64 * 1024 * 1024
_HEADER = 8
_CODECS = {
    b"avc1": "h264", b"avc3": "h264", b"hvc1": "hevc", b"hev1": "hevc", b"av01": "av1", b"vp09": "vp9", b"vp08": "vp8", b"mp4v": "mpeg4",
    b"mp4a": "aac", b"Opus": "opus", b"fLaC": "flac", b".mp3": "mp3", b"ac-3": "ac3", b"ec-3": "eac3", b"alac": "alac",
}  # fmt: skip


class Mp4Truncated(Exception):
    """A box says that the file is longer than it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    kind: str
    """`vide`, `soun` or another handler type."""
    codec: str | None
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mp4:
    """Duration in seconds. `is_streamable`: the description stands before the media, and it is not fragmented."""

    duration: float | None
    tracks: tuple[Track, ...]
    is_streamable: bool


def read_mp4(path: Path) -> Mp4 | None:
    """None when the file is no MP4, or one of a shape that is not known here. Raises `Mp4Truncated`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        places: dict[bytes, tuple[int, int]] = {}
        for kind, start, end in _top_level(file, size):
            if not places and kind != b"ftyp":
                return None
            if end > size:
                raise Mp4Truncated
            places.setdefault(kind, (start, end))
        if b"moov" not in places:
            if b"mdat" in places:
                raise Mp4Truncated  # the media came, the description that follows it did not
            return None
        start, end = places[b"moov"]
        if end - start > _MAX_MOOV:
            return None
        file.seek(start)
        moov = file.read(end - start)
    try:
        boxes = dict(_children(moov))
        tracks = tuple(_track(body) for kind, body in _children(moov) if kind == b"trak")
        duration = _duration(boxes[b"mvhd"])
    except (KeyError, struct.error, ValueError):
        return None
    fragmented = b"mvex" in boxes
    ordered = b"mdat" not in places or places[b"moov"][0] < places[b"mdat"][0]
    return Mp4(duration=None if fragmented else duration, tracks=tracks, is_streamable=ordered and not fragmented)


def _top_level(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the content starts and ends, of each outermost box."""
    at = 0
    while at + _HEADER <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(_HEADER))
        header = _HEADER
        if length == 1:
            raw = file.read(8)
            if len(raw) < 8:  # noqa: PLR2004 - a 64-bit length
                raise Mp4Truncated
            length, header = struct.unpack(">Q", raw)[0], 16
        elif length == 0:
            length = size - at
        if length < header:
            return  # no box: padding, or not an MP4 at all
        yield kind, at + header, at + length
        at += length


def _children(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + _HEADER <= len(body):
        length, kind = struct.unpack_from(">I4s", body, at)
        header = _HEADER
        if length == 1:
            length, header = struct.unpack_from(">Q", body, at + _HEADER)[0], 16
        if length < header or at + length > len(body):
            raise ValueError(kind)
        yield kind, body[at + header : at + length]
        at += length


def _inner(body: bytes, *path: bytes) -> bytes:
    for kind in path:
        body = dict(_children(body))[kind]
    return body


def _duration(mvhd: bytes) -> float | None:
    scale, length = struct.unpack_from(">IQ", mvhd, 20) if mvhd[0] == 1 else struct.unpack_from(">II", mvhd, 12)
    return length / scale if scale and length else None


def _track(trak: bytes) -> Track:
    header = _inner(trak, b"tkhd")
    width, height = struct.unpack_from(">II", header, len(header) - 8)
    media = _inner(trak, b"mdia")
    kind = _inner(media, b"hdlr")[8:12].decode("latin-1")
    entry = _inner(media, b"minf", b"stbl", b"stsd")[12:16]
    return Track(kind=kind, codec=_CODECS.get(entry), width=width >> 16, height=height >> 16)
