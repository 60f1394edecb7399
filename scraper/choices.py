"""In which ways a medium can be had, and how large each would be: the formats that a fetch would take, without asking the site again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yt_dlp.utils import determine_protocol

from scraper.downloader import Downloader
from scraper.options import format_selector, format_sort
from service.selection import QUALITIES, MediaType, Selection

Format = dict[str, Any]

_KNOWN_IN_MP4 = ("avc", "h264", "hev", "hvc", "vp9", "vp09", "av01", "av1")
_MP3_BITS = 245_000
"""A second of LAME's `-q:a 0`. Source: https://trac.ffmpeg.org/wiki/Encode/MP3."""
_M4A_BITS = 192_000


def select(ydl: Downloader, info: Mapping[str, Any], selection: Selection) -> list[Format]:
    """The formats that `YoutubeDL.process_video_result` would take for this selection; empty when there are none."""
    formats = list(ydl._get_formats(info))  # noqa: SLF001 - what yt-dlp's own selection starts from
    before = ydl.params["format_sort"]
    ydl.params["format_sort"] = format_sort(selection)
    try:
        ydl.sort_formats({"formats": formats, "_format_sort_fields": info.get("_format_sort_fields")})
    finally:
        ydl.params["format_sort"] = before
    found = ydl._select_formats(formats, ydl.build_format_selector(format_selector(selection)))  # noqa: SLF001 - likewise
    return list(found[-1].get("requested_formats") or [found[-1]]) if found else []


def note_size(ydl: Downloader, one: Format) -> None:
    """A length that the server said while the page was looked at is the size, where the format names none."""
    headers = ydl.answers.get(one["url"])
    length = headers.get("Content-Length") if headers and determine_protocol(one) in {"http", "https"} else None
    if headers and length and length.isdigit() and not headers.get("Content-Encoding"):
        one["filesize"] = one.get("filesize") or int(length)


def choices_of(ydl: Downloader, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """From the best picture down, then sound: mp3 and m4a."""
    return [*_pictures(ydl, info), *_sounds(ydl, info)]


def _pictures(ydl: Downloader, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    highest = None
    for quality in QUALITIES[MediaType.VIDEO]:
        if quality == "worst" or (quality != "best" and (highest is None or int(quality) > highest)):
            continue
        selection = Selection.of("video", "mp4", quality)
        formats = select(ydl, info, selection)
        picture = next((one for one in formats if one.get("vcodec") != "none"), None)
        if picture is None:
            continue
        height = height_of(picture)
        highest = height if quality == "best" else highest
        same = tuple(str(one["format_id"]) for one in formats)
        # "1080" says more than "best" where both are the same.
        if same not in found or quality == str(height):
            found[same] = {**_picture(formats, info.get("duration")), "selection": selection.key, "height": height}
    return sorted(found.values(), key=lambda choice: -(choice["height"] or 0))


def height_of(picture: Mapping[str, Any]) -> int | None:
    """What a site calls the height: the shorter side, so that an upright film of 1080 by 1920 is one of 1080."""
    sides = [int(side) for side in (picture.get("height"), picture.get("width")) if side]
    return min(sides) if sides else None


def _picture(formats: Sequence[Format], duration: float | None) -> dict[str, Any]:
    size, is_estimate = size_of(formats, duration)
    codec = next((str(one.get("vcodec") or "avc") for one in formats if one.get("vcodec") != "none"), "avc")
    return {"size": size, "is_estimate": size is not None and (is_estimate or not codec.lower().startswith(_KNOWN_IN_MP4))}


def size_of(formats: Sequence[Format], duration: float | None) -> tuple[int | None, bool]:
    """Bytes of all of them, and whether that is an estimate; None when one is unknown."""
    sizes = [one.get("filesize") for one in formats]
    if formats and all(sizes):
        return sum(int(size) for size in sizes if size), False
    known = [one.get("filesize") or one.get("filesize_approx") or _by_rate(one, duration) for one in formats]
    return (sum(int(size) for size in known if size) if known and all(known) else None), True


def _by_rate(one: Format, duration: float | None) -> float | None:
    rate = one.get("tbr") or (one.get("vbr") or 0) + (one.get("abr") or 0)
    return rate * 1000 / 8 * duration if rate and duration else None


def _sounds(ydl: Downloader, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for form, codec, bits in (("mp3", "mp3", _MP3_BITS), ("m4a", "mp4a", _M4A_BITS)):
        selection = Selection.of("audio", form)
        formats = [one for one in select(ydl, info, selection) if one.get("acodec") != "none"]
        if not formats:
            continue
        alone = formats[0].get("vcodec") == "none" and str(formats[0].get("acodec") or "").startswith(codec)
        duration = info.get("duration")
        size, is_estimate = size_of(formats[:1], duration) if alone else (int(duration * bits / 8) if duration else None, True)
        found.append({"selection": selection.key, "size": size, "is_estimate": is_estimate and size is not None, "height": None})
    return found
