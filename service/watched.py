"""The values of a link, of what it may be told to do, and of what was seen behind it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.errors import InvalidLink
from service.media_url import MediaUrl
from service.selection import Selection

FIRST_ITEMS = 20
"""Of a link that is looked at for the first time, so many are downloaded unasked; with more, the owner is asked."""
MOST_ITEMS = 200
"""At a later look: as after a long time without one."""
BACK_OFF = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), timedelta(hours=24))
"""After one failure in a row, two, and so on."""
_MOST_TAGS, _MOST_KEPT, _LONGEST_NAME = 50, 100_000, 200


class LinkType(StrEnum):
    """What is watched. The first two are read by yt-dlp, the other two by gallery-dl."""

    YOUTUBE_CHANNEL = "youtube_channel"
    GENERIC_VIDEO = "generic_video"
    PIXIV_USER = "pixiv_user"
    GENERIC_GALLERY = "generic_gallery"

    @property
    def is_gallery(self) -> bool:
        return self in {LinkType.PIXIV_USER, LinkType.GENERIC_GALLERY}


class Telling(StrEnum):
    """How the owner hears of new items."""

    SEND = "send"
    ANNOUNCE = "announce"
    DIGEST = "digest"
    NOTHING = "nothing"


class LinkState(StrEnum):
    """How it is with a link. Only `paused` and `broken` have a problem."""

    NEW = "new"
    OK = "ok"
    ASKS = "asks"
    """More was found than is downloaded unasked: the owner decides."""
    PAUSED = "paused"
    """Throttled, blocked or over a limit: it is looked at again later."""
    BROKEN = "broken"
    """There is nothing to watch any more."""


class ItemState(StrEnum):
    """What became of an item."""

    KNOWN = "known"
    """Seen, and not wanted: by a filter, or since it was there before."""
    HELD = "held"
    """The owner decides."""
    ORDERED = "ordered"


class ItemKind(StrEnum):
    """What sort of item it is."""

    VIDEO = "video"
    SHORT = "short"
    LIVE = "live"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An item as a listing tells of it. `at`: when it was published, as far as that is known."""

    extractor: str
    id: str
    url: MediaUrl
    title: str | None = None
    duration: timedelta | None = None
    at: datetime | None = None
    kind: ItemKind = ItemKind.VIDEO
    entries: tuple[str, ...] = ()
    """What gallery-dl's archives call its files."""

    @property
    def key(self) -> tuple[str, str]:
        """As yt-dlp's archives name it: there, too, case makes no difference."""
        return self.extractor.lower(), self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFilters:
    """Which items are wanted; without any, all. What is not known of an item does not keep it out."""

    title: str | None = None
    """Words that all occur in the title; one with a minus in front must not."""
    min_duration: int | None = None
    max_duration: int | None = None
    """Seconds."""
    since: date | None = None
    kinds: tuple[ItemKind, ...] = ()
    newest: int | None = None
    """Of each look, only so many."""

    def __post_init__(self) -> None:
        if self.title is not None and len(self.title) > 200:  # noqa: PLR2004 - more than anybody types
            raise InvalidLink("filters", "Words of a title have at most 200 characters.")
        for bound in (self.min_duration, self.max_duration):
            if bound is not None and not 0 <= bound <= 7 * 86400:
                raise InvalidLink("filters", "A duration is given in seconds, up to a week.")
        if None not in (self.min_duration, self.max_duration) and (self.min_duration or 0) > (self.max_duration or 0):
            raise InvalidLink("filters", "min_duration is more than max_duration.")
        if self.newest is not None and not 1 <= self.newest <= MOST_ITEMS:
            raise InvalidLink("filters", f"newest is from 1 to {MOST_ITEMS}.")

    def takes(self, item: Found) -> bool:
        title = (item.title or "").casefold()
        words = (self.title or "").casefold().split()
        if item.title and not all((word[1:] not in title) if word.startswith("-") and len(word) > 1 else word in title for word in words):
            return False
        if item.duration is not None:
            seconds = item.duration.total_seconds()
            if seconds < (self.min_duration or 0) or (self.max_duration is not None and seconds > self.max_duration):
                return False
        if self.since is not None and item.at is not None and item.at < datetime.combine(self.since, time(), UTC):
            return False
        return not self.kinds or item.kind in self.kinds

    def as_json(self) -> dict[str, Any]:
        """Only what is set."""
        told = {**asdict(self), "since": self.since.isoformat() if self.since else None, "kinds": [kind.value for kind in self.kinds]}
        return {name: value for name, value in told.items() if value not in (None, [])}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> LinkFilters:
        since = told.get("since")
        kinds = tuple(ItemKind(kind) for kind in told.get("kinds", ()))
        return cls(**{**told, "since": date.fromisoformat(since) if since else None, "kinds": kinds})


def first_name(url: MediaUrl) -> str:
    """Of a link that nobody gave a name, until its site has told its title."""
    return url.shown.partition("://")[2].removeprefix("www.").partition("?")[0].rstrip("/")[:_LONGEST_NAME] or url.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A watched address, and how it is watched."""

    id: int
    account_id: int
    download_session_id: UUID | None = None
    """Where its downloads go."""
    url: MediaUrl
    name: str
    type: LinkType = LinkType.YOUTUBE_CHANNEL
    is_enabled: bool = True
    download_automatically: bool = True
    tags: tuple[str, ...] = ()
    cookies: str | None = field(default=None, repr=False)
    """A cookies.txt. Never comes back."""
    cookies_until: datetime | None = None
    schedule: str | None = None
    """None: every so often, as the settings say."""
    timezone: str = "UTC"
    filters: LinkFilters = LinkFilters()
    keep_last: int | None = None
    """Of its items, the files of so many; older ones go."""
    selection: Selection
    telling: Telling = Telling.SEND
    chat_id: int | None = None
    """None: the owner's own chat."""
    thread_id: int | None = None
    callback_url: MediaUrl | None = None
    title: str | None = None
    """As the site calls it."""
    state: LinkState = LinkState.NEW
    problem_code: str | None = None
    problem: str | None = None
    state_since: datetime
    failures: int = 0
    """Looks that failed, in a row."""
    listed_count: int | None = None
    """How many items the site said there are, at the last look."""
    next_run_at: datetime | None = None
    last_checked_at: datetime | None = None
    told_code: str | None = None
    """The problem that the owner was told of last."""
    told_at: datetime | None = None
    """The last digest."""
    feed_epoch: int = 0
    """Raised by what makes the address of its feed void."""
    created_at: datetime
    unreadable: frozenset[str] = frozenset()
    """Fields that were encrypted with a key that is not here: they say nothing, and are kept for the key until they are given again."""

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > _LONGEST_NAME:
            raise InvalidLink("name", "A name has 1 to 200 characters.")
        if len(self.tags) > _MOST_TAGS or any(not tag.strip() or len(tag) > 100 for tag in self.tags):  # noqa: PLR2004 - as for names
            raise InvalidLink("tags", f"There are at most {_MOST_TAGS} tags of 1 to 100 characters.")
        if self.keep_last is not None and not 1 <= self.keep_last <= _MOST_KEPT:
            raise InvalidLink("keep_last", f"keep_last is from 1 to {_MOST_KEPT}.")

    def titled(self, title: str | None, count: int | None) -> Link:
        """As the site calls it, and how many items it says there are. What nobody gave a name gets this one."""
        name = (title or "").strip()[:_LONGEST_NAME] if self.name == first_name(self.url) else ""
        return replace(self, title=title or self.title, name=name or self.name, listed_count=count)

    @property
    def has_been_looked_at(self) -> bool:
        return self.state is not LinkState.NEW

    def well(self, now: datetime, state: LinkState = LinkState.OK) -> Link:
        since = self.state_since if self.state is state else now
        told = self.told_code if state is LinkState.ASKS or self.told_code == "cookies" else None
        return replace(
            self, state=state, state_since=since, problem=None, problem_code=None, told_code=told, failures=0, last_checked_at=now
        )

    def limited(self, now: datetime, code: str, problem: str) -> Link:
        """Not all that is new could be ordered: the rest is at a later look, which is as soon as usual."""
        since = self.state_since if self.problem_code == code else now
        return replace(self, state=LinkState.PAUSED, problem_code=code, problem=problem, state_since=since, failures=0, last_checked_at=now)

    def ill(self, now: datetime, state: LinkState, code: str, problem: str) -> Link:
        """Looked at in vain: the next look is put off, further each time."""
        is_same = self.state is state and self.problem_code == code
        failures = self.failures + 1
        later = now + BACK_OFF[min(failures, len(BACK_OFF)) - 1]
        return replace(
            self,
            state=state,
            problem_code=code,
            problem=problem,
            state_since=self.state_since if is_same else now,
            failures=failures,
            last_checked_at=now,
            next_run_at=None if self.next_run_at is None else max(self.next_run_at, later),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkItem:
    """An entry of a link's archive. It outlives the files."""

    link_id: int
    extractor: str
    item_id: str
    state: ItemState
    url: MediaUrl | None = None
    """None for one that was imported."""
    title: str | None = None
    job_id: UUID | None = None
    tries: int = 0
    """How often it was ordered."""
    seen_at: datetime
    position: int = 0
    """Among those that were seen in one look, newest first."""
    is_told: bool = True
    entries: tuple[str, ...] = ()
    """What gallery-dl's archives call its files, as far as that is known."""
