"""Stand-ins for the world outside: the web and the clock. Everything else in the tests is real."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from service.descriptions import Choice, Description, DescriptionKind, ListItem
from service.errors import FetchFailed, NoSuchVideo
from service.fetching import Fetched, FetchedFile, FetchRequest, FetchWatcher, Identified, Listed, ListingRequest, ListingWatcher
from service.media_url import MediaUrl
from service.model import Phase, Progress, Validators
from service.selection import Selection
from service.watched import Found, ItemKind

A_PAGE = 30


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    time: datetime = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def move(self, by: timedelta) -> None:
        self.time += by


@dataclass
class CountingIds:
    """Ids in a row: 1, 2, 3, …"""

    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def new(self) -> UUID:
        return UUID(int=next(self.numbers))


@dataclass
class FakeWeb:
    """A fetcher whose web is a dictionary. Each fetch waits at `gate` once it is identified, when there is one."""

    pages: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, list[FetchFailed]] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    extractor: str = "site"
    generic: bool = False
    fetched: list[str] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0
    identify: Callable[[Identified], Identified] = lambda found: found
    etags: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)
    channels: dict[str, list[str]] = field(default_factory=dict)
    """What is behind a watched address: the items' addresses, newest first."""
    about: dict[str, Found] = field(default_factory=dict)
    """What a listing tells of an item, by its address, where that is more than its id and title."""
    listed: list[tuple[str, int]] = field(default_factory=list)
    """Each listing: its address, and how many pages it asked for."""
    says_how_many: bool = True
    """Whether a listing tells how many items there are."""
    slow: dict[str, asyncio.Event] = field(default_factory=dict)
    """Listings that are not answered before something happens, by their address."""
    cookies: list[str | None] = field(default_factory=list)
    """What each look and each fetch was given."""
    breaks: list[FetchFailed] = field(default_factory=list)
    """Raised in the middle of the next downloads, one each."""

    async def fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        self.cookies.append(request.cookies)
        if pending := self.failures.get(request.url.text):
            raise pending.pop(0)
        if request.url.text not in self.pages:
            raise FetchFailed
        body = self.pages[request.url.text]
        number = request.url.text.rpartition("/")[2]
        found = Identified(
            extractor=self.extractor,
            id=request.url.digest if self.generic else number,
            title=f"Title {number}",
            artist="Artist",
            duration=timedelta(seconds=206),
            size=len(body),
            is_generic=self.generic,
        )
        if not await watcher.identified(self.identify(found)):
            return None
        try:
            return await self._download(request, watcher, body, found)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def _download(self, request: FetchRequest, watcher: FetchWatcher, body: bytes, found: Identified) -> Fetched:
        self.fetched.append(request.url.text)
        self.reached.set()
        await watcher.progressed(Progress(phase=Phase.DOWNLOADING, downloaded=len(body) // 2, total=len(body), speed=10.0, eta=1.0))
        if self.gate:
            await self.gate.wait()
        if self.breaks:
            raise self.breaks.pop(0)
        path = request.directory / f"media.{request.selection.format}"
        path.write_bytes(body)
        file = FetchedFile(
            path=path,
            kind=request.selection.media_type,
            extension=request.selection.format,
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            duration=found.duration,
        )
        validators = await self.validators(request.url) if self.generic else None
        return Fetched(files=(file,), title=found.title, artist=found.artist, validators=validators)

    async def validators(self, url: MediaUrl, trust_class: str = "public") -> Validators:
        del trust_class
        return Validators(etag=self.etags.get(url.text), length=len(self.pages[url.text]))

    async def check_address(self, url: MediaUrl) -> None:
        """Everything in this web may be reached."""

    async def describe(self, url: MediaUrl, trust_class: str = "public", cookies: str | None = None) -> Description:
        del trust_class
        self.cookies.append(cookies)
        self.described.append(url.text)
        if pending := self.failures.get(url.text):
            raise pending.pop(0)
        number = url.text.rpartition("/")[2]
        if url.text in self.lists:
            items = tuple(ListItem(url=MediaUrl.parse(item), title=f"Title {item.rpartition('/')[2]}") for item in self.lists[url.text])
            return Description(
                kind=DescriptionKind.LIST, extractor=self.extractor, id=number, title=f"List {number}", items=items, count=len(items)
            )
        if url.text not in self.pages:
            raise NoSuchVideo
        size = len(self.pages[url.text])
        return Description(
            kind=DescriptionKind.MEDIUM,
            extractor=self.extractor,
            id=number,
            is_generic=self.generic,
            title=f"Title {number}",
            artist="Artist",
            duration=timedelta(seconds=206),
            choices=(
                Choice(selection=Selection.of("video", quality="1080"), size=size, height=1080),
                Choice(selection=Selection.of("video", quality="720"), size=size // 2, height=720),
                Choice(selection=Selection.of("audio", "mp3"), size=size // 4, is_estimate=True),
            ),
            languages=("en", "de"),
        )

    async def listing(self, request: ListingRequest, watcher: ListingWatcher) -> Listed:
        """An address that is no channel and has a page is one medium."""
        address = request.url.text
        self.cookies.append(request.cookies)
        self.listed.append((address, 0))
        turn = len(self.listed) - 1
        if pending := self.failures.get(address):
            raise pending.pop(0)
        if address in self.slow:
            self.reached.set()
            await self.slow[address].wait()
        is_medium = address not in self.channels
        if is_medium and address not in self.pages:
            raise NoSuchVideo
        # What comes while it is looked at is for the next look.
        items = [address] if is_medium else list(self.channels[address])
        for pages, start in enumerate(range(0, max(1, len(items)), A_PAGE), 1):
            self.listed[turn] = (address, pages)
            page = [self._found(item, is_gallery=request.is_gallery) for item in items[start : start + A_PAGE]]
            if page and not await watcher.found(page):
                break
        number = address.rpartition("/")[2]
        return Listed(
            title=f"{'Title' if is_medium else 'List'} {number}", count=len(items) if self.says_how_many else None, is_medium=is_medium
        )

    def _found(self, address: str, *, is_gallery: bool) -> Found:
        if address in self.about:
            return self.about[address]
        url = MediaUrl.parse(address)
        number = address.rpartition("/")[2]
        return Found(
            extractor=self.extractor,
            id=url.digest if self.generic else number,
            url=url,
            title=f"Title {number}",
            kind=ItemKind.PICTURE if is_gallery else ItemKind.VIDEO,
        )

    async def thumbnail(self, file: Path) -> bytes | None:
        del file
        return None


def bigger(found: Identified, size: int) -> Identified:
    return replace(found, size=size)
