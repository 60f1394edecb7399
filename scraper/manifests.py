"""HLS playlists, looked at before the download: what is live is refused, what names other than web addresses too."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from yt_dlp.networking import Request

from scraper.downloader import Downloader
from scraper.failures import JobFailed

_MAX_MANIFEST = 16 * 1024 * 1024
_LENGTH = re.compile(r"^#EXTINF:([\d.]+)", re.MULTILINE)
_URI = re.compile(r'URI="([^"]*)"')


def look_at_manifest(ydl: Downloader, chosen: dict[str, Any], info: dict[str, Any]) -> float | None:
    """Seconds of media in the playlist. It is read once: yt-dlp gets the text. Raises `JobFailed` with `live_stream`."""
    if chosen.get("hls_media_playlist_data"):
        text = str(chosen["hls_media_playlist_data"])
    else:
        headers = chosen.get("http_headers") or info.get("http_headers") or {}
        answer = ydl.urlopen(Request(chosen["url"], headers=headers))
        text = answer.read(_MAX_MANIFEST).decode("utf-8", "ignore")
        answer.close()
        chosen["url"] = answer.url
        chosen["hls_media_playlist_data"] = text
    if not text.lstrip("\ufeff").startswith("#EXTM3U"):
        raise JobFailed("unsupported", "no HLS playlist")
    if "#EXT-X-ENDLIST" not in text and not re.search(r"#EXT-X-PLAYLIST-TYPE:\s*VOD", text):
        raise JobFailed("live_stream", "a playlist without an end")
    named = [line for line in text.splitlines() if line.strip() and not line.startswith("#")] + _URI.findall(text)
    for address in named:
        scheme = urlsplit(urljoin(chosen["url"], address.strip())).scheme
        if scheme not in {"http", "https", "data"}:
            raise ydl.guard.refuse_address(f"a segment of the kind {scheme[:20]!r}")
    lengths = [float(length) for length in _LENGTH.findall(text) if length.count(".") <= 1 and length != "."]
    return sum(lengths) or None
