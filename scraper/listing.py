"""What is behind a watched address, in a worker: a page of items at a time, and the site is asked no further than the service wants it.

A channel with several tabs is a list of lists: each is in the site's order, newest first, and the service has enough of each by itself.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from yt_dlp.utils import DownloadError, ExtractorError, UserNotLive

from scraper.description import title_of
from scraper.downloader import Downloader, Extractors, is_site_wide
from scraper.failures import JobFailed, cause_of
from scraper.lists import REFERENCES, Entry, Lists, entries_of, is_list, item_of
from scraper.options import ytdlp_options
from scraper.wire import ListSpec
from scraper.workshop import Workshop, no_proxy
from service.media_url import MediaUrl
from service.selection import Selection
from service.watched import ItemKind

PAGE = 30
"""As many as YouTube tells at once."""
_MOST_HOPS = 10
_MOST_COUNTED = 2**31 - 1
_MOST_EMPTY = 10
"""After so many pages of what nobody may see, a list ends: a check must not read a channel for members to its end."""
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_WITH_DATES = {"youtubetab": {"approximate_date": [""]}}
_LIVE = frozenset({"was_live", "post_live"})
_NOT_YET = frozenset({"is_upcoming", "is_live"})
_NOT_FOR_ALL = frozenset({"private", "premium_only", "subscriber_only", "needs_auth"})
_NO_TITLES = frozenset({"[Private video]", "[Deleted video]"})
_TABS = frozenset({"videos", "shorts", "streams", "live", "playlists", "featured", "releases", "podcasts"})
_NOBODY = "Generic"
_ID = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
"""What is longer or holds what cannot be seen is no site's id, and no key of ours."""
_DAY = re.compile(r"\d{8}")
# In YouTube's and yt-dlp's words. `failures` knows those about single media.
_NOTHING_ON_IT = re.compile(r"does not have an? [\w-]+ tab|playlist is empty|no videos (in|on) this (channel|playlist)", re.IGNORECASE)
_PRIVATE = re.compile(r"(playlist|channel|album|list) is (private|unviewable)|playlist type is unviewable", re.IGNORECASE)
_VANISHED = re.compile(
    r"\b(channel|playlist|user|album)\b[^.]{0,40}(n.t exist|not exist|removed|deleted|terminated|not available|not be found|not found)",
    re.IGNORECASE,
)


class Listener(Protocol):
    """The other side of the conversation."""

    def items(self, items: list[dict[str, Any]]) -> bool:
        """True for go, False for stop."""
        ...


class Listing:
    """One listing. `run` returns the answer for the service; raises `JobFailed` or anything yt-dlp raises."""

    def __init__(self, spec: ListSpec, workshop: Workshop, listener: Listener) -> None:
        self._spec = spec
        self._shop = workshop
        self._listener = listener
        self._names = Names(workshop.extractors)
        self._seen: set[tuple[str, str]] = set()
        self._count = 0
        self._is_whole = True

    def run(self) -> dict[str, Any]:
        shop = self._shop
        usual = ytdlp_options(
            Selection.of(), state_directory=shop.state_directory, ffmpeg=shop.ffmpeg, deno=shop.deno, cookies=self._spec.cookies
        )
        options = {**usual, "extractor_args": _WITH_DATES if self._spec.with_dates else {}}
        with Downloader(options, shop.extractors, shop.guard, no_proxy) as ydl:
            found = self._opened(ydl, {"url": self._spec.url})
            if found is None:
                return {"title": _name_in(self._spec.url), "count": 0, "is_medium": False}
            if not is_list(found):
                return self._medium(found)
            lists = Lists(lambda entry: self._opened(ydl, entry))
            self._read(found, lists)
            self._is_whole = self._is_whole and not lists.were_too_many
        return {"title": title_of(found), "count": self._count_of(found), "is_medium": False}

    def _opened(self, ydl: Downloader, entry: Entry) -> Entry | None:
        """What an entry's address leads to, its own entries still unread. None for a list that is not there since nothing is on it."""
        found: Entry | None = entry
        for _ in range(_MOST_HOPS):
            if not found:
                break
            try:
                found = ydl.extract_info(found["url"], download=False, ie_key=found.get("ie_key"), process=False)
            except (ExtractorError, DownloadError) as failure:
                if is_nothing_on_it(failure):
                    return None
                raise _failure(failure, self._shop) from failure
            if found and found.get("_type") not in REFERENCES:
                return found
        raise JobFailed("unsupported", "nothing was found")

    def _medium(self, found: Entry) -> dict[str, Any]:
        own = is_site_wide(found, self._shop.extractors)
        key = str(found.get("extractor_key") or _NOBODY)
        item = {
            **_said(found),
            "extractor": key,
            "id": str(found["id"]) if own and _ID.fullmatch(str(found["id"])) else MediaUrl.parse(self._spec.url).digest,
            "url": self._spec.url,
            "title": title_of(found),
        }
        if found.get("live_status") != "is_upcoming":
            self._listener.items([item])
        return {"title": item["title"], "count": 1, "is_medium": True}

    # --- lists ---------------------------------------------------------------------------------------------------

    def _read(self, listing: Entry, lists: Lists) -> None:
        """One list until its end, or until the service has enough of it. Then the next one, where it is in a list of lists."""
        entries, empty = entries_of(listing), 0
        while page := list(itertools.islice(entries, PAGE)):
            media: list[Entry] = []
            for entry in page:
                inner = lists.inner(entry)
                if inner is None:
                    media.append(entry)
                    continue
                if media and not self._tell(listing, media):
                    return
                media = []
                self._read(inner, lists)
            before = len(self._seen)
            if media and not self._tell(listing, media):
                return
            empty = 0 if len(self._seen) > before or not media else empty + 1
            if empty == _MOST_EMPTY:
                self._is_whole = False
                return

    def _tell(self, listing: Entry, media: list[Entry]) -> bool:
        """Whether the service wants more of this list. A page of which nothing is to be told needs no answer."""
        if self._shop.guard.refused_address is not None:
            raise JobFailed("address_not_allowed", self._shop.guard.refused_address)
        self._count += len(media)
        items = []
        for entry in media:
            item = item_in(entry, listing, self._spec.url, self._names, is_signed_in=self._spec.cookies is not None)
            key = None if item is None else (item["extractor"], item["id"])
            if item is not None and key is not None and key not in self._seen:
                self._seen.add(key)
                items.append(item)
        wants_more = not items or self._listener.items(items)
        self._is_whole = self._is_whole and wants_more
        return wants_more

    def _count_of(self, listing: Entry) -> int | None:
        """What the site says, else what was counted when nothing was left unread."""
        said = listing.get("playlist_count")
        if isinstance(said, int):
            return min(max(said, len(self._seen)), _MOST_COUNTED)
        if isinstance(entries := listing.get("entries"), list) and not any(is_list(entry) for entry in entries if entry):
            return len(entries)
        return self._count if self._is_whole else None


class Names:
    """What the items of one listing are called: as the extraction of their addresses will call them."""

    def __init__(self, extractors: Extractors) -> None:
        self._extractors = extractors
        self._nobodys: set[str] = set()

    def of(self, entry: Entry, address: str) -> tuple[str, str]:
        """Extractor and id."""
        number, key = entry.get("id"), entry.get("ie_key")
        if entry.get("_type") not in REFERENCES:
            # What is found on a page is asked for at its own place, where another extractor may be the one that knows it.
            key = entry.get("extractor_key") if entry.get("webpage_url") == address else None
        if not key:
            key, number = self._known_by(address)
        own = is_site_wide({"extractor_key": key, "webpage_url": address, "id": number}, self._extractors)
        return str(key), str(number) if own and _ID.fullmatch(str(number)) else MediaUrl.parse(address).digest

    def _known_by(self, address: str) -> tuple[str, str | None]:
        """To ask all extractors takes 5 ms: where none knows one address, they are not asked about its neighbours."""
        place = address.rpartition("/")[0]
        if place in self._nobodys:
            return _NOBODY, None
        key, found = next(((key, one) for key, one in self._extractors.items() if one.suitable(address)), (_NOBODY, None))
        if key == _NOBODY:
            self._nobodys.add(place)
        return key, found.get_temp_id(address) if found is not None else None


def item_in(entry: Entry, listing: Entry, page: str, names: Names, *, is_signed_in: bool = False) -> dict[str, Any] | None:
    """An entry of a list as the service is told of it. None for what is no item: not there yet or still going on, not for all (unless
    somebody is signed in), without an address.
    """
    known = item_of(entry, page)
    if known is None or entry.get("live_status") in _NOT_YET:
        return None
    if (entry.get("availability") in _NOT_FOR_ALL and not is_signed_in) or entry.get("title") in _NO_TITLES:
        return None
    extractor, number = names.of(entry, known["url"])
    return {**known, **_said(entry, listing), "extractor": extractor, "id": number}


def _said(entry: Entry, listing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Length, time and kind, as far as they are told."""
    duration = entry.get("duration")
    return {
        "duration": duration if isinstance(duration, (int, float)) and duration > 0 else None,
        "at": _time_of(entry),
        "kind": _kind_of(entry, urlsplit(str((listing or {}).get("webpage_url") or "")).path.rstrip("/").rpartition("/")[2]),
    }


def _kind_of(entry: Entry, tab: str) -> ItemKind:
    if "/shorts/" in str(entry.get("url") or "") or "/shorts/" in str(entry.get("original_url") or "") or tab == "shorts":
        return ItemKind.SHORT
    return ItemKind.LIVE if entry.get("live_status") in _LIVE or tab == "streams" else ItemKind.VIDEO


def _time_of(entry: Entry) -> float | None:
    """Seconds since 1970."""
    for said in (entry.get("timestamp"), entry.get("release_timestamp")):
        if isinstance(said, (int, float)) and math.isfinite(said) and 0 < said < _LATEST:
            return float(said)
    for said in (entry.get("upload_date"), entry.get("release_date")):
        if isinstance(said, str) and _DAY.fullmatch(said):
            try:
                return datetime.strptime(said, "%Y%m%d").replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
    return None


def is_nothing_on_it(failure: Exception) -> bool:
    """Whether this says that a list is empty, which is not that it is gone."""
    information = getattr(failure, "exc_info", None)
    inner = information[1] if information else failure
    return isinstance(inner, UserNotLive) or _NOTHING_ON_IT.search(str(failure)) is not None


def _failure(failure: Exception, shop: Workshop) -> JobFailed:
    found = cause_of(failure, shop.guard)
    if found.code in {"download_failed", "unsupported"}:
        for code, words in (("private", _PRIVATE), ("no_such_video", _VANISHED)):
            if words.search(str(failure)):
                return JobFailed(code, found.detail)
    return found


def _name_in(address: str) -> str:
    """For a list that says nothing of itself."""
    parts: Iterator[str] = (part for part in reversed(urlsplit(address).path.split("/")) if part and part not in _TABS)
    return next(parts, urlsplit(address).hostname or "list")
