"""Small JPEGs: of a site's picture for a description, of a local file for its delivery."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yt_dlp.networking import Request
from yt_dlp.networking.exceptions import RequestError
from yt_dlp.utils import YoutubeDLError

from scraper.downloader import Downloader
from scraper.failures import JobFailed
from scraper.finish import run_ffmpeg
from scraper.guard import Refused
from scraper.picture_files import picture_in
from scraper.probe import INPUT_GUARD, PICTURE_GUARD, probe

_MAX_SOURCE = 10 * 1024 * 1024
_TRIED = 4
_LARGE_SIDE, _LARGE_BYTES = 640, 150_000
_SMALL_SIDE, _SMALL_BYTES = 320, 200_000
_QUALITIES = ("3", "8", "16", "31")
_DEMUXERS = {"jpg": "jpeg_pipe", "png": "png_pipe", "webp": "webp_pipe", "gif": "gif", "avif": "mov"}
_MOST_SECONDS_IN = 5.0


def picture_of(ydl: Downloader, thumbnails: Sequence[Mapping[str, Any]], directory: Path, ffmpeg: str) -> bytes | None:
    """The best fitting of a site's pictures: at most 640 pixels a side and 150 KB. None when none of them comes: never a failure."""
    for thumbnail in _nearest_first(thumbnails)[:_TRIED]:
        try:
            content = _read(ydl, thumbnail)
        except (RequestError, YoutubeDLError, Refused, JobFailed, OSError, ValueError):
            continue
        found = jpeg_of(content, directory, ffmpeg)
        if found is not None:
            return found
    return None


def jpeg_of(content: bytes, directory: Path, ffmpeg: str) -> bytes | None:
    """A JPEG of these bytes of a picture, at most 640 pixels a side and 150 KB."""
    if not content:
        return None
    source = directory / "picture.bin"
    source.write_bytes(content)
    return _shrunk([*PICTURE_GUARD, "-i", f"file:{source}"], directory, ffmpeg, _LARGE_SIDE, _LARGE_BYTES)


def thumbnail_of(path: Path, directory: Path, ffmpeg: str) -> bytes | None:
    """A JPEG of a local video, of a sound's cover, or of a picture: at most 320 pixels a side and 200 KB."""
    sources = _sources(path, ffmpeg)
    found = (_shrunk(source, directory, ffmpeg, _SMALL_SIDE, _SMALL_BYTES) for source in sources)
    return next((picture for picture in found if picture is not None), None)


def _sources(path: Path, ffmpeg: str) -> list[list[str]]:
    """Ways to show the file, as ffmpeg's input, the best first. None for a file without anything to see."""
    try:
        picture = picture_in(path)
        if picture is not None:
            # Named outright: by its name ffmpeg may take the file for the first of a sequence.
            return [[*PICTURE_GUARD, "-f", _DEMUXERS[picture.extension], "-i", f"file:{path}"]]
        found = probe(path, ffmpeg)
    except (JobFailed, OSError):
        return []
    file = [*INPUT_GUARD, "-i", f"file:{path}"]
    if found.video is None:
        return [[*file, "-map", "0:v:0"]]
    # The first frame is often black.
    at = min(_MOST_SECONDS_IN, 0.1 * (found.duration or 0))
    return [["-ss", f"{at:.3f}", *file, "-map", "0:V:0"], [*file, "-map", "0:V:0"]]


def _nearest_first(thumbnails: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that say a width that is enough, the smallest first; then the others, the site's best first."""
    enough = sorted((one for one in thumbnails if (one.get("width") or 0) >= _LARGE_SIDE), key=lambda one: int(one["width"]))
    return [*enough, *(one for one in reversed(thumbnails) if one not in enough)]


def _read(ydl: Downloader, thumbnail: Mapping[str, Any]) -> bytes:
    answer = ydl.urlopen(Request(str(thumbnail["url"]), headers=dict(thumbnail.get("http_headers") or {})))
    try:
        content: bytes = answer.read(_MAX_SOURCE + 1)
    finally:
        answer.close()
    return content if len(content) <= _MAX_SOURCE else b""


def _shrunk(source: Sequence[str], directory: Path, ffmpeg: str, side: int, most: int) -> bytes | None:
    """The source's frame within `side` pixels, as good as `most` bytes allow."""
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".jpg") as target:
        for quality in _QUALITIES:
            scaled = f"scale='min({side},iw)':'min({side},ih)':force_original_aspect_ratio=decrease"
            command = [ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error", *source, "-an", "-sn", "-dn", "-frames:v", "1"]
            try:
                run_ffmpeg([*command, "-vf", scaled, "-pix_fmt", "yuvj420p", "-q:v", quality, "-f", "mjpeg", f"file:{target.name}"])
            except JobFailed:
                return None
            content = Path(target.name).read_bytes()
            if not content:
                return None
            if len(content) <= most:
                return content
    return None
