"""What the use cases need of the scraper: a `Fetcher`, and the values that it takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

from service.descriptions import Description
from service.media_url import MediaUrl
from service.model import Progress, Validators
from service.selection import MediaType, Selection
from service.watched import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a fetch may cost. Kept while bytes arrive, not checked after."""

    max_bytes: int
    max_duration: timedelta
    max_time: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """One medium to fetch into an empty directory that belongs to this job alone."""

    job_id: UUID
    url: MediaUrl
    selection: Selection
    directory: Path
    bounds: Bounds
    trust_class: str = "public"
    """A worker process is reused only within one class: equal for requests that carry the same secrets."""
    cookies: str | None = field(default=None, repr=False)
    """A cookies.txt with the cookies of this address's site, which the account gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What an address turned out to be, before a byte of media is fetched. `id` is unique within `extractor`:
    for sites without ids of their own it is the SHA-256 of the canonical address.
    """

    extractor: str
    id: str
    title: str
    artist: str | None = None
    duration: timedelta | None = None
    size: int | None = None
    """Bytes, when the site says so: an estimate."""
    is_generic: bool = False
    """Found by its address alone: a stored copy must be revalidated before it is served again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A finished file in the request's directory."""

    path: Path
    kind: MediaType
    extension: str
    size: int
    sha256: str
    duration: timedelta | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch brought: at least one file. `title` and `artist` may be better than at first sight."""

    files: tuple[FetchedFile, ...]
    title: str
    artist: str | None = None
    validators: Validators | None = None


class FetchWatcher(Protocol):
    """Told by a fetcher what happens."""

    async def identified(self, found: Identified) -> bool:
        """Called once, before the download. False ends the fetch: `fetch` then returns None.

        What this raises ends the fetch too, and comes out of `fetch`.
        """
        ...

    async def progressed(self, progress: Progress) -> None:
        """Called as often as the fetcher likes; the watcher thins it out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRequest:
    """A channel, a playlist, a user's posts: what is there, without a look at each item."""

    url: MediaUrl
    is_gallery: bool = False
    """Whether its items are posts of pictures."""
    with_dates: bool = False
    """Whether it matters when items were published: some sites tell only when asked for it."""
    trust_class: str = "public"
    cookies: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What the site says of the whole. `count`: how many items there are, where it says so."""

    title: str
    count: int | None = None
    is_medium: bool = False
    """Whether there is one medium at the address, and no list: it was the only item."""


class ListingWatcher(Protocol):
    """Told by a fetcher what a listing holds."""

    async def found(self, items: Sequence[Found]) -> bool:
        """Called with one page after the other, in the site's order: newest first. False ends this list; a list of lists, such as a
        channel with its tabs, goes on with the next of them.
        """
        ...


class Fetcher(Protocol):
    """Fetches media from the web, behind the egress guard."""

    async def fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        """Returns None when the watcher stopped it. Raises `FetchFailed` in one of its kinds.

        Cancelling the task kills every process that works for the request at once.
        """
        ...

    async def validators(self, url: MediaUrl, trust_class: str = "public") -> Validators:
        """What the server says of a file now, without fetching it. Raises `FetchFailed`."""
        ...

    async def describe(self, url: MediaUrl, trust_class: str = "public", cookies: str | None = None) -> Description:
        """What is there, without fetching media. Raises `FetchFailed` in the same kinds as `fetch`.

        What was learned is kept for ten minutes: a `fetch` of the same address and trust class need not ask the site again.
        """
        ...

    async def listing(self, request: ListingRequest, watcher: ListingWatcher) -> Listed:
        """The site is asked for another page only when the watcher wants it. Raises `FetchFailed`.

        A list without any item is one; that there is no such list is `NoSuchVideo`.
        """
        ...

    async def thumbnail(self, file: Path) -> bytes | None:
        """A JPEG of a local file: at most 320 pixels a side and 200 KB. None when there is nothing to show."""
        ...

    async def check_address(self, url: MediaUrl) -> None:
        """Raises `AddressNotAllowed` when the host is or resolves to an address that may not be reached.

        A name that does not resolve passes: the fetch itself will say so.
        """
        ...
