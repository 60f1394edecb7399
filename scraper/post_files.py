"""The files of a post, in a worker: what is a picture or a video stays, under a name of ours; all else goes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scraper.downloader import Downloader
from scraper.failures import JobFailed
from scraper.options import ytdlp_options
from scraper.picture_files import picture_in, video_extension
from scraper.probe import probe
from scraper.thumbnails import picture_of
from scraper.workshop import Workshop, no_proxy
from service.selection import MediaType, Selection


def sorted_files(order: dict[str, Any], ffmpeg: str) -> list[dict[str, Any]]:
    """What is said of each file that is kept, in the order of `names`. The directory holds nothing else afterwards."""
    directory = Path(order["directory"])
    names: Sequence[str] = [Path(name).name for name in order["names"]]
    kept: list[dict[str, Any]] = []
    for name in names:
        source = directory / name
        if not source.is_file() or source.is_symlink():
            continue
        said = _said(source, ffmpeg)
        if said is None:
            continue
        target = directory / f"picture{len(kept) + 1:04}.{said['extension']}"
        source.rename(target)
        kept.append({**said, "name": target.name, "size": target.stat().st_size, "sha256": _digest(target)})
    ours = {one["name"] for one in kept}
    for path in directory.iterdir():
        if path.name not in ours and path.is_file():
            path.unlink()
    if sum(one["size"] for one in kept) > order["max_bytes"]:
        raise JobFailed("too_large", "all pictures together")
    return kept


def _said(path: Path, ffmpeg: str) -> dict[str, Any] | None:
    picture = picture_in(path)
    if picture is not None:
        size = {"width": picture.width, "height": picture.height}
        return {"kind": MediaType.PICTURE, "extension": picture.extension, **size, "duration": None}
    extension = video_extension(path)
    if extension is None:
        return None
    try:
        found = probe(path, ffmpeg)
    except JobFailed:
        return None
    if found.video is None:
        return None
    sides = {"width": found.video.width, "height": found.video.height}
    return {"kind": MediaType.VIDEO, "extension": extension, **sides, "duration": found.duration}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def web_picture(order: dict[str, Any], workshop: Workshop) -> str | None:
    """The first of the addresses that is a picture, small, in base64; None when none is."""
    options = ytdlp_options(Selection.of(), state_directory=workshop.state_directory, ffmpeg=workshop.ffmpeg, deno=workshop.deno)
    with Downloader(options, workshop.extractors, workshop.guard, no_proxy) as ydl:
        ydl.is_looking = False
        candidates = [{"url": url, "http_headers": {"Referer": order["referer"]}} for url in reversed(order["urls"])]
        found = picture_of(ydl, candidates, Path(order["directory"]), workshop.ffmpeg)
    workshop.guard.reset()
    return None if found is None else base64.b64encode(found).decode("ascii")
