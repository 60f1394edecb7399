"""What a file on disk really is, whatever its name or its server said: from its own boxes (MP4), else from ffmpeg."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scraper.failures import JobFailed, redacted
from scraper.mp4 import Mp4Truncated, read_mp4

# ffmpeg opens what the content says it is: playlists and the like (hls, concat, dash, sdp, …) name further files and are not here.
_MEDIA = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,ogg,mp3,aac,flac,wav,w64,flv,live_flv,avi,asf,caf,aiff,au,ac3,eac3,amr,"
    "ape,dts,m4v,h264,hevc,ivf,mka,mxf,nut,opus,rm,tta,voc,wv,obu"
)
_PICTURES = "jpeg_pipe,png_pipe,webp_pipe,gif,gif_pipe,bmp_pipe,tiff_pipe,mov,mp4,m4a,3gp,3g2,mj2"
INPUT_GUARD = ("-protocol_whitelist", "file,pipe,fd", "-format_whitelist", _MEDIA)
"""Stands before each `-i` of a file that came from the net."""
PICTURE_GUARD = ("-protocol_whitelist", "file,pipe,fd", "-format_whitelist", _PICTURES)
PROBE_SECONDS = 60

_CONTAINER = re.compile(r"^Input #0, (.+?), from ", re.MULTILINE)
_DURATION = re.compile(r"^\s*Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_STREAM = re.compile(r"^\s*Stream #0:\d+[^:]*: (Video|Audio): ([A-Za-z0-9_]+)(.*)$", re.MULTILINE)
_SIZE = re.compile(r"\b(\d{2,5})x(\d{2,5})\b")
_BITRATE = re.compile(r"(\d+) kb/s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One picture or sound track. Kilobits a second where the container tells."""

    kind: str
    codec: str
    width: int | None = None
    height: int | None = None
    bitrate: int | None = None
    is_cover: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Duration in seconds. `is_streamable` only for an MP4 that can be played while it arrives."""

    container: str
    duration: float | None
    streams: tuple[Stream, ...]
    is_streamable: bool = False

    @property
    def video(self) -> Stream | None:
        return next((stream for stream in self.streams if stream.kind == "video" and not stream.is_cover), None)

    @property
    def audio(self) -> Stream | None:
        return next((stream for stream in self.streams if stream.kind == "audio"), None)


def probe(path: Path, ffmpeg: str) -> Probe:
    """Raises `JobFailed`: `unsupported` when it is no media, `truncated` when its end is missing."""
    try:
        found = read_mp4(path)
    except Mp4Truncated as short:
        raise JobFailed("truncated", "an MP4 box reaches beyond the file") from short
    streams = [] if found is None else [
        Stream(
            kind="video" if track.kind == "vide" else "audio",
            codec=track.codec or "",
            width=track.width or None,
            height=track.height or None,
        )
        for track in found.tracks
        if track.kind in {"vide", "soun"}
    ]  # fmt: skip
    if found is None or not streams or found.duration is None or any(not stream.codec for stream in streams):
        return _asked(path, ffmpeg)
    return Probe(container="mov,mp4", duration=found.duration, streams=tuple(streams), is_streamable=found.is_streamable)


def _asked(path: Path, ffmpeg: str) -> Probe:
    """What `ffmpeg -i` prints: there may be no ffprobe beside it."""
    command = [ffmpeg, "-hide_banner", "-nostdin", *INPUT_GUARD, "-i", f"file:{path}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=PROBE_SECONDS)  # noqa: S603 - our own list, no shell
    except subprocess.TimeoutExpired as late:
        raise JobFailed("unsupported", "the file takes too long to look at") from late
    said = done.stderr.decode("utf-8", "replace")
    container = _CONTAINER.search(said)
    streams = tuple(_stream(kind, codec, rest) for kind, codec, rest in _STREAM.findall(said))
    if container is None or not any(not stream.is_cover for stream in streams):
        raise JobFailed("unsupported", f"no media: {redacted(said.strip().splitlines()[-1] if said.strip() else '')}")
    length = _DURATION.search(said)
    duration = None if length is None else int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3])
    return Probe(container=container[1], duration=duration, streams=streams)


def _stream(kind: str, codec: str, rest: str) -> Stream:
    size, bitrate = _SIZE.search(rest), _BITRATE.search(rest)
    return Stream(
        kind=kind.lower(),
        codec=codec.lower(),
        width=int(size[1]) if size else None,
        height=int(size[2]) if size else None,
        bitrate=int(bitrate[1]) if bitrate else None,
        is_cover="(attached pic)" in rest,
    )
