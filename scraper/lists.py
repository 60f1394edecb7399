"""Playlists, channels, pages with several media: their items in order, read no further than asked for, each with an address of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from yt_dlp.utils import DownloadError, ExtractorError, unsmuggle_url

from scraper.failures import JobFailed
from scraper.words import clean
from service.errors import InvalidUrl
from service.media_url import MediaUrl

_PAGE = 50
_MOST_LISTS = 10
_LISTS = frozenset({"playlist", "multi_video"})
REFERENCES = frozenset({"url", "url_transparent"})
# What these extractors are referred to for is never one medium: the tabs of a channel, the lists of a user.
_LISTING_KEYS = frozenset({"YoutubeTab", "YoutubePlaylist"})

Entry = Mapping[str, Any]
_NOTHING: Entry = {"_type": "playlist", "entries": ()}


class SeveralItems(JobFailed):
    """A list where one medium was asked for. `entries` are its items from the first on; reading them may ask the site for more."""

    def __init__(self, listing: Entry, entries: Iterator[Entry]) -> None:
        super().__init__("is_playlist", "several items")
        self.listing = listing
        self.entries = entries


def is_list(result: Entry) -> bool:
    return result.get("_type") in _LISTS


def entries_of(listing: Entry) -> Iterator[Entry]:
    """The entries one after the other. The site is asked for further pages only when they are reached."""
    entries = listing.get("entries") or ()
    if not hasattr(entries, "getslice"):
        yield from (entry for entry in entries if entry)
        return
    # By the site's own pages, so that none is asked for before it is reached.
    size = min(_PAGE, max(2, getattr(entries, "_pagesize", _PAGE)))
    start, end = 0, 2
    while found := entries.getslice(start, end):
        yield from (entry for entry in found if entry)
        start, end = end, end - end % size + size


class Lists:
    """Which entries are lists themselves, and what is in those. `open_list` looks at what a list's entry refers to."""

    def __init__(self, open_list: Callable[[Entry], Entry | None]) -> None:
        self._open = open_list
        self._opened = 0

    @property
    def were_too_many(self) -> bool:
        """Whether there were lists that were not looked into."""
        return self._opened > _MOST_LISTS

    def inner(self, entry: Entry) -> Entry | None:
        """The list that an entry is or leads to, empty when it cannot be had; None for a medium."""
        refers = entry.get("_type") in REFERENCES and entry.get("ie_key") in _LISTING_KEYS
        if not is_list(entry) and not refers:
            return None
        self._opened += 1
        if self.were_too_many:
            return _NOTHING
        if not refers:
            return entry
        try:
            found = self._open(entry)
        except (ExtractorError, DownloadError):
            return _NOTHING  # a tab without anything on it
        if found is None:
            return _NOTHING
        return found if is_list(found) else {**_NOTHING, "entries": [found]}


class Flattened(Lists):
    """The media of a list, those of lists within it too."""

    def media(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            inner = self.inner(entry)
            if inner is None:
                yield entry
            else:
                yield from self.media(entries_of(inner))


def item_of(entry: Entry, page: str | None) -> dict[str, Any] | None:
    """Address, title and seconds of an entry; None for one without an address of its own. `page` is the list's."""
    address = _address(entry, page)
    if address is None:
        return None
    title = clean(entry.get("title") or "")
    duration = entry.get("duration")
    return {"url": address, "title": title or None, "duration": duration if isinstance(duration, (int, float)) and duration > 0 else None}


def _address(entry: Entry, page: str | None) -> str | None:
    if entry.get("_type") in REFERENCES:
        candidates = [entry.get("url"), entry.get("webpage_url")]
        if entry.get("ie_key") == "Youtube" and entry.get("id"):
            candidates.append(f"https://www.youtube.com/watch?v={entry['id']}")
    else:
        formats = sorted(entry.get("formats") or (), key=lambda one: (one.get("height") or 0, one.get("tbr") or 0))
        whole = [one for one in formats if one.get("vcodec") != "none" and one.get("acodec") != "none"]
        candidates = [entry.get("webpage_url"), entry.get("url"), *(one.get("url") for one in reversed(whole or formats))]
    for candidate in candidates:
        parsed = _parsed(candidate)
        if parsed is not None and parsed != page:
            return parsed
    return None


def _parsed(address: Any) -> str | None:
    try:
        return MediaUrl.parse(unsmuggle_url(str(address))[0]).text if address else None
    except InvalidUrl:
        return None
