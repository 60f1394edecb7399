"""The options that yt-dlp gets for a selection: an allow-list. Users choose a selection and nothing else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from service.selection import MediaType, Selection

FRAGMENTS_AT_ONCE = 8
RETRIES = 3
SOCKET_SECONDS = 20.0
WEBM_VIDEO = ("vp8", "vp9", "av1")
AUDIO_EXT = {"mp3": "mp3", "wav": "wav", "flac": "flac", "m4a": "m4a", "opus": "opus"}

WEB_PROTOCOLS = r"[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments|http_dash_segments_generator|ism)$']"
_WEBM_CODEC = "[vcodec~='^(vp0?[89]|av0?1)']"
_UNKNOWN_CODEC = "[ext=webm][vcodec!~='^(avc|h264|hev|hvc)']"
# A copy beats a better source that would have to be encoded again: what is lost in encoding is more than what the better source has.
_AUDIO_SOURCE = {
    "mp3": "ba[acodec^=mp3]/ba/b",
    "m4a": "ba[ext=m4a]/ba[acodec^=mp4a]/ba/b",
    "opus": "ba[acodec=opus]/ba/b",
    "wav": "ba/b",
    "flac": "ba/b",
}


def format_selector(selection: Selection) -> str:
    """yt-dlp's format expression: only formats that come over the web's own protocols."""
    if selection.media_type is MediaType.TRANSCRIPT:
        choice = "b/bv/ba"
    elif selection.media_type is MediaType.AUDIO:
        choice = "wa/w" if selection.quality == "worst" else _AUDIO_SOURCE[selection.format]
    elif selection.format == "webm":
        picks = ("w", "wv*") if selection.quality == "worst" else ("b", "bv*")
        sound = "wa" if selection.quality == "worst" else "ba"
        choice = f"{picks[1]}{_WEBM_CODEC}+{sound}/{picks[0]}{_WEBM_CODEC}/{picks[1]}{_WEBM_CODEC}/{picks[1]}{_UNKNOWN_CODEC}"
    else:
        choice = "wv*+wa/w" if selection.quality == "worst" else "bv*+ba/b"
    return "/".join("+".join(part + WEB_PROTOCOLS for part in whole.split("+")) for whole in choice.split("/"))


def format_sort(selection: Selection) -> list[str]:
    """What counts first. For mp4: the height, then codecs that every player and Telegram know."""
    if selection.media_type is not MediaType.VIDEO:
        return []
    height = [f"res:{selection.quality}"] if selection.quality.isdigit() else ["res"]
    if selection.format == "mp4":
        return [*height, "vcodec:h264", "acodec:aac", "ext:mp4:m4a"]
    if selection.format == "webm":
        return [*height, "acodec:opus", "ext:webm:webm"]
    return height


def ytdlp_options(
    selection: Selection, *, state_directory: Path, ffmpeg: str | None, deno: str | None, cookies: str | None = None
) -> dict[str, Any]:
    """Every option that matters is named: the API's defaults are not the command's, and are not ours. `cookies` are a cookies.txt."""
    return {
        "format": format_selector(selection),
        "format_sort": format_sort(selection),
        "ignore_no_formats_error": selection.media_type is MediaType.TRANSCRIPT,
        # A list is found out from its first two entries, and then refused.
        "noplaylist": True,
        "extract_flat": False,
        "lazy_playlist": True,
        # Nothing from the person's own configuration, nothing to the terminal.
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "no_color": True,
        "call_home": False,
        "cachedir": str(state_directory / "cache"),
        "cookiefile": io.StringIO(cookies) if cookies else None,  # in memory: yt-dlp writes it back
        "cookiesfrombrowser": None,
        "usenetrc": False,
        "netrc_cmd": None,
        "enable_file_urls": False,
        "allow_unplayable_formats": False,
        "age_limit": None,
        "proxy": "",
        "source_address": None,
        "js_runtimes": {"deno": {"path": deno}} if deno else {},
        "remote_components": (),
        # How hard it tries.
        "retries": RETRIES,
        "fragment_retries": RETRIES,
        "extractor_retries": RETRIES,
        "file_access_retries": RETRIES,
        "retry_sleep_functions": {"http": _pause, "fragment": _pause, "extractor": _pause},
        "skip_unavailable_fragments": False,
        "socket_timeout": SOCKET_SECONDS,
        "concurrent_fragment_downloads": FRAGMENTS_AT_ONCE,
        "hls_prefer_native": True,
        "hls_use_mpegts": False,
        "buffersize": 64 * 1024,
        # What lies on disk. Names are ours: `ytdlp` gives each download its own.
        "outtmpl": {"default": "media.%(ext)s"},
        "windowsfilenames": False,
        "restrictfilenames": False,
        "overwrites": True,
        "continuedl": True,
        "nopart": False,
        "updatetime": False,
        "keepvideo": False,
        "writethumbnail": False,
        "writesubtitles": False,
        "writeautomaticsub": False,
        "fixup": "never",
        "postprocessors": [],
        "ffmpeg_location": ffmpeg,
        # Only for what ffmpeg itself fetches, which goes through the filtering proxy. No `file`: a playlist may name any.
        "external_downloader_args": {"ffmpeg_i": ["-protocol_whitelist", "http,https,httpproxy,tcp,tls,crypto,data"]},
    }


def _pause(n: int) -> float:
    """Seconds before try number `n`, which is yt-dlp's name for it; its own default is none at all."""
    return float(min(4.0, 0.25 * 2**n))
