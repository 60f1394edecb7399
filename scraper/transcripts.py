"""Subtitles: which of them, and their text as WebVTT, SubRip or plain lines."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yt_dlp.utils import dfxp2srt

from scraper.failures import JobFailed

Tracks = Mapping[str, Sequence[Mapping[str, Any]]]
READABLE = ("vtt", "srt", "ttml", "dfxp")

_TIME = r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{1,3})"
_TIMING = re.compile(rf"{_TIME}\s*-->\s*{_TIME}(?P<settings>.*)")
_TAG = re.compile(r"<[^<>]*>")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,34}")
"""A language as a selection can hold it."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Milliseconds, and lines of plain text."""

    start: int
    end: int
    lines: tuple[str, ...]


def choose(info: Mapping[str, Any], language: str | None) -> tuple[str, Mapping[str, Any]]:
    """The language and the track: the one asked for, else the medium's own, else English, else the first; written ones before
    automatic ones. Raises `JobFailed` with `no_subtitles`.
    """
    written: Tracks = readable(info.get("subtitles"))
    automatic: Tracks = readable(info.get("automatic_captions"))
    for wanted in [language] if language else [info.get("language"), "en"]:
        for tracks in (written, automatic):
            code = _matching(tracks, wanted)
            if code is not None:
                return code, _best(tracks[code])
    if language is None:
        for tracks in (written, automatic):
            for code, formats in tracks.items():
                return code, _best(formats)
    raise JobFailed("no_subtitles", f"has {sorted({*written, *automatic})[:20]}")


def readable(tracks: Tracks | None) -> Tracks:
    """Those of the kinds that can be read here, by language. Chat that was written along is none."""
    known = {code: [one for one in formats if one.get("ext") in READABLE] for code, formats in (tracks or {}).items()}
    return {code: formats for code, formats in known.items() if formats and code != "live_chat" and _CODE.fullmatch(code)}


def _matching(tracks: Tracks, wanted: str | None) -> str | None:
    """`en` finds `en`, `en-orig`, `en-GB`; `en-GB` finds `en-GB`, then `en`."""
    if not wanted:
        return None
    wanted = wanted.lower().replace("_", "-")
    by_name = {code.lower().replace("_", "-"): code for code in tracks}
    family = wanted.partition("-")[0]
    candidates = [wanted, f"{wanted}-orig", family, *(name for name in by_name if name.partition("-")[0] == family)]
    return next((by_name[name] for name in candidates if name in by_name), None)


def _best(formats: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return min(formats, key=lambda one: READABLE.index(one["ext"]))


def read(content: bytes, extension: str) -> list[Cue]:
    """The cues of a file of one of the `READABLE` kinds."""
    if extension in {"ttml", "dfxp"}:
        return parse(dfxp2srt(content))
    return parse(content.decode("utf-8-sig", "replace"))


def parse(text: str) -> list[Cue]:
    """The cues of a WebVTT or SubRip file. Headers, notes, styles, identifiers and tags are left out."""
    cues = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")):
        lines = block.split("\n")
        at = next((index for index, line in enumerate(lines) if _TIMING.match(line.strip())), None)
        if at is None:
            continue
        match = _TIMING.match(lines[at].strip())
        assert match is not None
        shown = tuple(clean for line in lines[at + 1 :] if (clean := html.unescape(_TAG.sub("", line)).strip()))
        if shown:
            cues.append(Cue(_milliseconds(match.group(1, 2, 3, 4)), _milliseconds(match.group(5, 6, 7, 8)), shown))
    return cues


def written(cues: Iterable[Cue], form: str) -> str:
    """The cues as `vtt`, `srt` or `txt`."""
    if form == "txt":
        return "\n".join(spoken(cues)) + "\n"
    parts = ["WEBVTT\n"] if form == "vtt" else []
    for number, cue in enumerate(cues, 1):
        mark = "." if form == "vtt" else ","
        # In WebVTT these three have a meaning of their own.
        lines = [html.escape(line, quote=False) for line in cue.lines] if form == "vtt" else list(cue.lines)
        head = [] if form == "vtt" else [str(number)]
        parts.append("\n".join([*head, f"{_clock(cue.start, mark)} --> {_clock(cue.end, mark)}", *lines]) + "\n")
    return "\n".join(parts)


def spoken(cues: Iterable[Cue]) -> list[str]:
    """The lines in order, each once: automatic captions repeat a line while the next is being typed."""
    said: list[str] = []
    shown: tuple[str, ...] = ()
    for cue in cues:
        said += [line for line in cue.lines if line not in shown]
        shown = cue.lines
    return said


def _milliseconds(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, fraction = parts
    return ((int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * 1000 + int((fraction or "0").ljust(3, "0"))


def _clock(milliseconds: int, mark: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{rest:03}"
