"""Runs real yt-dlp on a list of addresses. A program: yt-dlp's plugins are global to a process.

Reads `{"plugins": DIRECTORY, "urls": [...]}` from standard input; writes one object an address: what yt-dlp found, or `{"error": TEXT}`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import yt_dlp
from yt_dlp.globals import plugin_dirs


def ask(url: str) -> Any:
    with yt_dlp.YoutubeDL(
        {"quiet": True, "no_warnings": True, "extract_flat": "in_playlist", "retries": 0, "cachedir": False}
    ) as downloader:
        try:
            return downloader.sanitize_info(downloader.extract_info(url, download=False))
        except yt_dlp.utils.DownloadError as error:
            return {"error": str(error)}


asked = json.load(sys.stdin)
plugin_dirs.value = [asked["plugins"]]
json.dump([ask(url) for url in asked["urls"]], sys.stdout)
