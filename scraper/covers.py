"""A medium's picture, as a JPEG that can be put into the file."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yt_dlp.networking import Request
from yt_dlp.networking.exceptions import RequestError

from scraper.downloader import Downloader
from scraper.failures import JobFailed
from scraper.finish import run_ffmpeg
from scraper.probe import PICTURE_GUARD

_MAX_BYTES = 10 * 1024 * 1024
_MAX_TAG = 1024 * 1024
_TRIED = 3
_JPEG = b"\xff\xd8\xff"


def fetch(ydl: Downloader, thumbnails: Sequence[Mapping[str, Any]], directory: Path, ffmpeg: str) -> Path | None:
    """The best of the pictures that comes, as `cover.jpg`; None when there is none. A picture at an address that may not be
    reached fails the job, as any such address does; anything else about it does not.
    """
    for thumbnail in list(reversed(thumbnails))[:_TRIED]:
        try:
            content = _read(ydl, thumbnail)
        except RequestError:
            if ydl.guard.refused_address is not None:
                raise
            continue
        path = directory / "cover.jpg"
        if content.startswith(_JPEG):
            path.write_bytes(content)
            return path
        if content and _converted(content, directory / "cover.bin", path, ffmpeg):
            return path
    return None


def _read(ydl: Downloader, thumbnail: Mapping[str, Any]) -> bytes:
    answer = ydl.urlopen(Request(thumbnail["url"], headers=dict(thumbnail.get("http_headers") or {})))
    try:
        content: bytes = answer.read(_MAX_BYTES + 1)
    finally:
        answer.close()
    return content if len(content) <= _MAX_BYTES else b""


def _converted(content: bytes, source: Path, target: Path, ffmpeg: str) -> bool:
    source.write_bytes(content)
    try:
        run_ffmpeg([ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error", *PICTURE_GUARD, "-i", f"file:{source}",
                    "-frames:v", "1", "-q:v", "3", "-f", "mjpeg", f"file:{target}"])  # fmt: skip
    except JobFailed as failure:
        if failure.code in {"no_space", "too_large"}:
            raise
        return False
    return target.exists() and target.stat().st_size > 0


def as_tag(cover: Path) -> str:
    """A FLAC picture block in base64, as Ogg files carry covers. Empty for a picture that is too large for a tag."""
    picture = cover.read_bytes()
    if len(picture) > _MAX_TAG:
        return ""
    mime = b"image/jpeg"
    # Type 3 is the front cover; size, depth and palette may be left to the picture itself. Source: RFC 9639, section 8.8.
    block = struct.pack(">II", 3, len(mime)) + mime + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(picture)) + picture
    return base64.b64encode(block).decode("ascii")
