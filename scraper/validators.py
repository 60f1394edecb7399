"""What a server says of a file: enough to find out later whether it changed."""

from __future__ import annotations

from typing import Any

from yt_dlp.networking import Request, Response
from yt_dlp.networking.exceptions import HTTPError

from scraper.downloader import Downloader
from scraper.options import ytdlp_options
from scraper.workshop import Workshop, no_proxy
from service.selection import Selection


def validators_of(url: str, workshop: Workshop) -> dict[str, Any]:
    """What the server says of a file now: HEAD, or the head of a GET where HEAD is not served."""
    selection = Selection.of()
    options = ytdlp_options(selection, state_directory=workshop.state_directory, ffmpeg=workshop.ffmpeg, deno=workshop.deno)
    with Downloader(options, workshop.extractors, workshop.guard, no_proxy) as ydl:
        headers = {"Accept-Encoding": "identity"}
        try:
            answer = ydl.urlopen(Request(url, headers=headers, method="HEAD"))
        except HTTPError as refused:
            if refused.status not in {403, 405, 501}:
                raise
            answer = ydl.urlopen(Request(url, headers=headers))
        answer.close()
        return said_of(answer)


def said_of(answer: Response) -> dict[str, Any]:
    """ETag, Last-Modified and whole length, as far as the answer tells."""
    headers = answer.headers
    length = headers.get("Content-Range", "").rpartition("/")[2] if answer.status == 206 else headers.get("Content-Length", "")  # noqa: PLR2004
    whole = int(length) if length.isdigit() and not headers.get("Content-Encoding") else None
    return {"etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified"), "length": whole}
