"""Somebody's posts as gallery-dl tells of them: some at a time, newest first, each with an address of its own."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from scraper.words import clean
from service.errors import InvalidUrl
from service.fetching import Listed, ListingWatcher
from service.media_url import MediaUrl
from service.watched import Found, ItemKind

PAGE = 30
"""What many sites tell at once. To see that there are more, gallery-dl reads one post beyond what it is asked for: so the first page
is one shorter, and the site is not asked for a second one in vain."""
ARTISTS = ("author", "user", "artist", "username", "uploader", "owner", "blog_name", "fullname")
_MOST_LISTS = 10
_MOST_EMPTY = 10
_LONGEST_ENTRY = 400
_DIRECTORY, _URL, _QUEUE = 2, 3, 6
_NAMES_IN = ("nick", "name", "fullname", "full_name", "displayName", "display_name", "username", "login", "handle")
_TITLES = ("title", "caption", "content", "description", "text")
_IDS = ("post_id", "tweet_id", "deviationid", "gallery_id", "id")
_ADDRESSES = ("post_url", "page_url", "permalink")
OWN_ADDRESSES = {
    "pixiv": "https://www.pixiv.net/artworks/{id}",
    "twitter": "https://x.com/i/web/status/{tweet_id}",
    "danbooru": "https://danbooru.donmai.us/posts/{id}",
    "deviantart": "{url}",
}
"""Where the address that gallery-dl takes for one post is not among what it tells of it."""
_ID = re.compile(r"[^\x00-\x20\x7f\ud800-\udfff]{1,200}")
_PART = re.compile(r"[A-Za-z_]{3,20}")

Posts = Callable[[str, range], Awaitable[list[Any]]]
"""gallery-dl's messages about what is at an address, of the posts there those in the range."""


class GalleryListing:
    """One listing. `posts_at` may raise `FetchFailed`."""

    def __init__(self, url: MediaUrl, watcher: ListingWatcher, posts_at: Posts) -> None:
        self._url = url
        self._watcher = watcher
        self._posts_at = posts_at
        self._seen: dict[tuple[str, str], Found] = {}
        self._title: str | None = None
        self._is_whole = True

    async def run(self) -> Listed:
        addresses, opened = [self._url.text], 0
        while addresses and opened < _MOST_LISTS:
            addresses += await self._read(addresses.pop(0))
            opened += 1
        self._is_whole = self._is_whole and not addresses
        return Listed(
            title=self._title or _last_of(self._url),
            count=len(self._seen) if self._is_whole else None,
            is_medium=[item.url for item in self._seen.values()] == [self._url],
        )

    async def _read(self, address: str) -> list[str]:
        """One list until its end, or until the watcher has enough of it. What it leads to instead, where that is lists."""
        start, empty = 1, 0
        while True:
            posts = range(start, start + PAGE - (start == 1))
            messages = await self._posts_at(address, posts)
            lists = lists_in(messages, address)
            if lists:
                return lists
            found = [item for item in posts_in(messages, address) if item.key not in self._seen]
            self._note(messages, found)
            if found and not await self._watcher.found(found):
                self._is_whole = False
                return []
            empty = 0 if found else empty + 1
            if _count(messages) < len(posts):
                return []
            if empty == _MOST_EMPTY:
                self._is_whole = False
                return []
            start = posts.stop

    def _note(self, messages: list[Any], found: list[Found]) -> None:
        self._seen |= {item.key: item for item in found}
        for about in (message[-1] for message in messages if message[0] in {_DIRECTORY, _URL}):
            self._title = self._title or first_text(about, ARTISTS)


def lists_in(messages: list[Any], address: str) -> list[str]:
    """A user's address may lead only to parts of it, such as `/artworks`. These, if so; none when it leads to posts."""
    own = urlsplit(address).path.rstrip("/")
    parts = []
    for message in messages:
        path = urlsplit(str(message[1])).path.rstrip("/") if message[0] == _QUEUE else ""
        parent, _, name = path.rpartition("/")
        if not _PART.fullmatch(name) or not (own.endswith(parent) if parent else not own):
            return []
        parts.append(str(message[1]))
    return parts


def posts_in(messages: list[Any], address: str) -> Iterator[Found]:
    """Each post once, as far as there are files in it."""
    for about, files, entries in _grouped(messages):
        url = _address_of(about, files, address)
        if url is None:
            continue
        extractor = f"gallery-dl:{about.get('category')}"
        number = next((about[name] for name in _IDS if isinstance(about.get(name), (int, str)) and _ID.fullmatch(str(about[name]))), None)
        yield Found(
            extractor=extractor,
            id=str(number) if number is not None else url.digest,
            url=url,
            title=first_text(about, _TITLES),
            at=_time_of(about),
            kind=ItemKind.PICTURE,
            entries=entries,
        )


def first_text(about: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = about.get(name)
        if isinstance(value, Mapping):
            value = next((value[inner] for inner in _NAMES_IN if isinstance(value.get(inner), str)), None)
        text = clean(value) if isinstance(value, str) else ""
        if text:
            return text
    return None


def _grouped(messages: list[Any]) -> Iterator[tuple[Mapping[str, Any], list[str], tuple[str, ...]]]:
    """What is said of a post, the addresses of its files, and what gallery-dl's archive calls them."""
    about: Mapping[str, Any] | None = None
    files: list[str] = []
    entries: list[str] = []
    for message in messages:
        if message[0] == _DIRECTORY:
            if files and about is not None:
                yield about, files, tuple(entries)
            about, files, entries = message[1], [], []
        elif message[0] == _URL:
            about = message[2] if about is None else about
            files.append(str(message[1]))
            if (entry := message[2].get("archive_entry")) and len(entry) <= _LONGEST_ENTRY and entry.isprintable():
                entries.append(entry)
        elif _refers_only(messages):
            yield {**message[2], "post_url": message[1]}, [], ()
    if files and about is not None:
        yield about, files, tuple(entries)


def _refers_only(messages: list[Any]) -> bool:
    """Whether posts are only referred to. Beside posts, what they refer to is not theirs."""
    return all(message[0] == _QUEUE for message in messages)


def _address_of(about: Mapping[str, Any], files: list[str], address: str) -> MediaUrl | None:
    """That of the post; what lists it is not."""
    candidates = [about.get(name) for name in _ADDRESSES]
    own = OWN_ADDRESSES.get(str(about.get("category")))
    if own is not None:
        with contextlib.suppress(KeyError):
            candidates.insert(0, own.format_map(about))
    for candidate in [*candidates, *files[:1]]:
        try:
            return MediaUrl.parse(str(candidate or ""))
        except InvalidUrl:
            continue
    return MediaUrl.parse(address) if len(files) == 1 else None


def _count(messages: list[Any]) -> int:
    """Of posts, those without files too: whether there are more of them is another question than whether they can be fetched."""
    return len(messages) if _refers_only(messages) else sum(message[0] == _DIRECTORY for message in messages)


def _time_of(about: Mapping[str, Any]) -> datetime | None:
    try:
        told = datetime.fromisoformat(str(about.get("date")))
    except ValueError:
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _last_of(url: MediaUrl) -> str:
    return clean(url.shown.rstrip("/").rpartition("/")[2].partition("?")[0]) or "pictures"
