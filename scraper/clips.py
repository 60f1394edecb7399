"""A part of a medium: ffmpeg asks the site, through the filtering proxy, for the bytes around it alone, and cuts to the frame.

What is not read as a file or as an HLS playlist (DASH in segments) is cut out of the whole, which was downloaded before.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from yt_dlp.utils import determine_protocol

from scraper.downloader import Downloader
from scraper.failures import JobFailed, redacted
from scraper.finish import cause_said
from scraper.probe import INPUT_GUARD
from service.model import Phase
from service.selection import Clip, MediaType, Selection

_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto,data"
_REMOTE = frozenset({"http", "https", "m3u8", "m3u8_native"})
_SILENT_MICROSECONDS = "30000000"
_NOTHING = re.compile(r"does not contain any stream|nothing was (written|encoded)|Output file is empty|Invalid seek|could not seek")
_MICROSECONDS = 1_000_000
_LAST_SEEN = 0.05

# The picture is encoded, since a copy could only begin at a key frame. Sound alone is kept without loss: it is encoded once, in the end.
_X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2")
_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-row-mt", "1", "-crf", "32", "-b:v", "0", "-pix_fmt", "yuv420p")
_CUTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "mp4": ("mp4", (*_X264, "-c:a", "aac", "-b:a", "192k")),
    "mkv": ("mp4", (*_X264, "-c:a", "aac", "-b:a", "192k")),
    "webm": ("webm", (*_VP9, "-c:a", "libopus", "-b:a", "160k")),
}
_SOUND = ("flac", ("-vn", "-c:a", "flac", "-sample_fmt", "s16"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Seconds from the medium's beginning."""

    start: float
    length: float


def span_of(clip: Clip, duration: float | None) -> Span:
    """The part of the clip that there is. Raises `JobFailed` with `clip_outside` when it begins behind the end."""
    start, end = clip.start / 1000, clip.end / 1000
    if duration:
        if start >= duration - _LAST_SEEN:
            raise JobFailed("clip_outside", f"{start} s of {duration} s")
        end = min(end, duration)
    return Span(start=start, length=end - start)


def is_remote(one: Mapping[str, Any]) -> bool:
    """Whether ffmpeg can bring a part of this format by itself."""
    return determine_protocol(one) in _REMOTE and str(one["url"]).startswith(("http://", "https://"))


def within(chapters: Sequence[tuple[float, float, str]], span: Span) -> list[tuple[float, float, str]]:
    """The chapters of the clip, in its own seconds."""
    moved = ((max(0.0, start - span.start), min(span.length, end - span.start), title) for start, end, title in chapters)
    return [(start, end, title) for start, end, title in moved if end > start]


class Cutter:
    """Brings and cuts one clip. `report` is told how far it is."""

    def __init__(self, ydl: Downloader, ffmpeg: str, report: Callable[[dict[str, Any]], None]) -> None:
        self._ydl = ydl
        self._ffmpeg = ffmpeg
        self._report = report

    def cut(self, sources: Sequence[Mapping[str, Any] | Path], span: Span, selection: Selection, directory: Path) -> Path:
        """Write the clip; `sources` are formats to be brought, or whole files that are here. Raises `JobFailed`."""
        suffix, codecs = _SOUND if selection.media_type is MediaType.AUDIO else _CUTS[selection.format]
        target = directory / f"clip.{suffix}"
        command = [self._ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-y", "-v", "error", "-progress", "-"]
        for source in sources:
            command += ["-ss", f"{span.start:.3f}", "-t", f"{span.length:.3f}", *self._input(source)]
        command += [*_mapped(sources, sound_only=selection.media_type is MediaType.AUDIO), "-dn", "-sn", "-map_chapters", "-1"]
        command += [*codecs, "-f", suffix, f"file:{target}"]
        if any(not isinstance(source, Path) for source in sources):
            self._through_proxy(command, span, directory)
        else:
            self._run(command, span, directory, dict(os.environ))
        if not target.exists() or target.stat().st_size == 0:
            raise JobFailed("clip_outside", "there is nothing in this part")
        return target

    def _input(self, source: Mapping[str, Any] | Path) -> list[str]:
        if isinstance(source, Path):
            return [*INPUT_GUARD, "-i", f"file:{source}"]
        address = str(source["url"])
        if not address.startswith(("http://", "https://")):
            raise self._ydl.guard.refuse_address("an address for ffmpeg that is not of the web")
        given = ["-protocol_whitelist", _PROTOCOLS, "-rw_timeout", _SILENT_MICROSECONDS]
        cookies = [
            f"{one.name}={one.value}; path={one.path}; domain={one.domain};\r\n" for one in self._ydl.cookiejar.get_cookies_for_url(address)
        ]
        headers = [f"{name}: {value}\r\n" for name, value in (source.get("http_headers") or {}).items()]
        given += ["-cookies", "".join(cookies)] if cookies else []
        return [*given, *(["-headers", "".join(headers)] if headers else []), "-i", address]

    def _through_proxy(self, command: Sequence[str], span: Span, directory: Path) -> None:
        proxy = self._ydl.ask_proxy()
        via = f"http://{proxy[0]}:{proxy[1]}"
        self._ydl.guard.through_proxy(proxy)
        try:
            self._run(command, span, directory, {**os.environ, "http_proxy": via, "HTTP_PROXY": via})
        finally:
            self._ydl.guard.through_proxy(None)

    def _run(self, command: Sequence[str], span: Span, directory: Path, environment: dict[str, str]) -> None:
        with tempfile.TemporaryFile(dir=directory) as errors:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as ffmpeg:  # noqa: S603 - our own list
                assert ffmpeg.stdout is not None
                try:
                    self._follow(ffmpeg.stdout, span)
                except BaseException:
                    ffmpeg.kill()
                    raise
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")
        if ffmpeg.returncode != 0:
            raise _cause(ffmpeg.returncode, said)

    def _follow(self, lines: IO[str], span: Span) -> None:
        """What ffmpeg says of itself, a `key=value` a line. Source: its `-progress` option."""
        began = time.monotonic()
        written = 0
        for line in lines:
            name, _, value = line.strip().partition("=")
            if name == "total_size" and value.isdigit():
                written = int(value)
            elif name == "out_time_us" and value.lstrip("-").isdigit():
                share = min(1.0, max(0.0, int(value) / _MICROSECONDS / span.length))
                self._report(_state(written, share, time.monotonic() - began))


def _state(written: int, share: float, elapsed: float) -> dict[str, Any]:
    total = max(written, int(written / share)) if share > _LAST_SEEN and written else None
    speed = written / elapsed if elapsed > 0 else None
    eta = elapsed * (1 - share) / share if share > 0 else None
    return {"phase": Phase.DOWNLOADING, "downloaded": written, "total": total, "speed": speed, "eta": eta}


def _mapped(sources: Sequence[Mapping[str, Any] | Path], *, sound_only: bool) -> list[str]:
    """The first picture and the last sound. Of a file that is here it is not known which it holds: `?` leaves that open."""
    pictures = [at for at, one in enumerate(sources) if isinstance(one, Path) or one.get("vcodec") != "none"]
    sounds = [at for at, one in enumerate(sources) if isinstance(one, Path) or one.get("acodec") != "none"]
    picture = [] if sound_only or not pictures else ["-map", f"{pictures[0]}:V:0?"]
    return [*picture, *(["-map", f"{sounds[-1]}:a:0?"] if sounds else [])]


def _cause(status: int, said: str) -> JobFailed:
    detail = redacted(" | ".join(said.strip().splitlines()[-3:])) or f"exit status {status}"
    known = cause_said(status, said)
    if known is not None:
        return known
    if "does not contain any stream" in said or "matches no streams" in said:
        return JobFailed("format_unavailable", detail)
    if _NOTHING.search(said):
        return JobFailed("clip_outside", detail)
    answered = re.search(r"Server returned (\d{3})|HTTP error (\d{3})", said)
    if answered or re.search(r"Connection|timed out|Network|End of file|Input/output error", said):
        return JobFailed("network", detail)
    return JobFailed("ffmpeg", detail)
