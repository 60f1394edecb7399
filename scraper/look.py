"""A look at an address in a worker: what is there, in which ways it can be had, or what a list holds. No media are fetched."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yt_dlp.utils import determine_protocol

from scraper import kept, thumbnails
from scraper.choices import choices_of, note_size
from scraper.description import artist_of, title_of
from scraper.downloader import Downloader, is_site_wide
from scraper.failures import JobFailed
from scraper.languages import languages_of
from scraper.lists import Flattened, SeveralItems, is_list, item_of
from scraper.live import refuse_live
from scraper.manifests import look_at_manifest
from scraper.options import WEB_PROTOCOLS, ytdlp_options
from scraper.wire import LookSpec
from scraper.workshop import Workshop, no_proxy
from service.selection import Selection

_PICTURES = frozenset({"jpg", "jpeg", "png", "gif", "webp", "avif"})
_SLIDES = frozenset({"TikTok"})


class Look:
    """One description. `run` returns the answer for the service; raises `JobFailed` or anything yt-dlp raises."""

    def __init__(self, spec: LookSpec, workshop: Workshop) -> None:
        self._spec = spec
        self._shop = workshop
        self._directory = Path(spec.directory)

    def run(self) -> dict[str, Any]:
        shop = self._shop
        usual = ytdlp_options(
            Selection.of(), state_directory=shop.state_directory, ffmpeg=shop.ffmpeg, deno=shop.deno, cookies=self._spec.cookies
        )
        # Anything that comes over the web's protocols: which of them is asked for each choice.
        options = {**usual, "format": f"b*{WEB_PROTOCOLS}", "extract_flat": "in_playlist"}
        with Downloader(options, shop.extractors, shop.guard, no_proxy) as ydl:
            try:
                info = ydl.extract_info(self._spec.url, download=False)
            except SeveralItems as several:
                return self._list(ydl, several)
            if not info:
                raise JobFailed("unsupported", "nothing was found")
            return self._medium(ydl, info)

    # --- one medium ----------------------------------------------------------------------------------------------

    def _medium(self, ydl: Downloader, info: dict[str, Any]) -> dict[str, Any]:
        refuse_live(info)
        formats = info.get("formats") or [info]
        if all(one.get("ext") in _PICTURES for one in formats):
            raise JobFailed("pictures_unsupported", "a picture by itself")
        for one in formats:
            note_size(ydl, one)
        self._ask_how_long(ydl, info)
        answer = {
            **self._said(info),
            "kind": "medium",
            "duration": info.get("duration"),
            "choices": choices_of(ydl, info),
            "languages": languages_of(info),
            "has_sound_only": _is_slideshow(info),
        }
        if not answer["choices"]:
            raise JobFailed("format_unavailable", "neither picture nor sound")
        kept.write(Path(self._spec.kept), info)
        return {**answer, "picture": self._picture(ydl, info)}

    def _ask_how_long(self, ydl: Downloader, info: dict[str, Any]) -> None:
        """A playlist of segments tells what its page did not: how long it is, or that it never ends."""
        if info.get("duration"):
            return
        one = dict(info)
        if determine_protocol(one) in {"m3u8", "m3u8_native"}:
            info["duration"] = look_at_manifest(ydl, one, info)
        elif isinstance(one.get("fragments"), list):
            info["duration"] = sum(fragment.get("duration") or 0 for fragment in one["fragments"]) or None

    # --- a list --------------------------------------------------------------------------------------------------

    def _list(self, ydl: Downloader, several: SeveralItems) -> dict[str, Any]:
        listing = several.listing
        most = self._spec.max_items
        media = list(itertools.islice(Flattened(lambda entry: self._opened(ydl, entry)).media(several.entries), most + 1))
        items = {item["url"]: item for entry in media if (item := item_of(entry, self._spec.url)) is not None}
        if not items:
            raise JobFailed("is_playlist", "items without addresses of their own")
        said = listing.get("playlist_count")
        pictures = [*(listing.get("thumbnails") or ()), *_first_pictures(media)]
        return {
            **self._said(listing),
            "kind": "list",
            "items": list(items.values())[:most],
            "count": max(said, len(items)) if isinstance(said, int) else len(items),
            "picture": self._picture(ydl, {"thumbnails": pictures, "thumbnail": listing.get("thumbnail")}),
        }

    def _opened(self, ydl: Downloader, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What a list's entry refers to, unresolved."""
        found: Mapping[str, Any] | None = dict(entry)
        for _ in range(3):
            if found is None or is_list(found) or not found.get("url"):
                break
            found = ydl.extract_info(found["url"], download=False, ie_key=found.get("ie_key"), process=False)
        return found

    # --- both ----------------------------------------------------------------------------------------------------

    def _said(self, result: Mapping[str, Any]) -> dict[str, Any]:
        own = is_site_wide(result, self._shop.extractors)
        return {
            "extractor": str(result.get("extractor_key") or "Generic"),
            "id": str(result["id"]) if own else self._spec.digest,
            "is_generic": not own,
            "title": title_of(result),
            "artist": artist_of(result),
        }

    def _picture(self, ydl: Downloader, info: Mapping[str, Any]) -> str | None:
        ydl.is_looking = False  # a picture is not worth waiting for
        known = info.get("thumbnails") or ([{"url": info["thumbnail"]}] if info.get("thumbnail") else [])
        found = thumbnails.picture_of(ydl, known, self._directory, self._shop.ffmpeg)
        self._shop.guard.reset()  # an address that was refused costs the picture, not the description
        return None if found is None else base64.b64encode(found).decode("ascii")


def _is_slideshow(info: Mapping[str, Any]) -> bool:
    """Whether what there is to hear only goes with pictures that yt-dlp does not fetch."""
    formats = info.get("formats") or ()
    return info.get("extractor_key") in _SLIDES and bool(formats) and all(one.get("vcodec") == "none" for one in formats)


def _first_pictures(entries: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The first item's, for a list without a picture of its own."""
    for entry in entries[:1]:
        yield from entry.get("thumbnails") or ()
        if entry.get("thumbnail"):
            yield {"url": entry["thumbnail"]}
