"""Podcast feeds: each link that keeps audio has an address of its own, which opens it to whoever has it and to nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from service.errors import FeedNotFound, MediaNotFound, NoAudioFeed
from service.media_url import MediaUrl
from service.model import JobFile
from service.ports import Vault
from service.selection import MediaType
from service.watched import Link

FEED = "feed"
"""The purpose of a feed's signature."""
MOST_EPISODES = 300
_DIGITS = 18
"""What fits into the database's integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A file of a link that can be heard. `url` is where it came from."""

    file: JobFile
    url: MediaUrl
    seen_at: datetime
    """When it was found. Of those that were found together, the newer ones are later."""
    stored_at: datetime

    @property
    def guid(self) -> str:
        """The same for the same medium, however often it is downloaded, and of nothing else in the feed."""
        key, position = self.file.media.key, self.file.media.position
        return f"{key.extractor}:{key.id}" + (f":{position}" if position else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a link has that can be heard, newest first."""

    link: Link
    episodes: tuple[Episode, ...]

    @property
    def changed_at(self) -> datetime:
        return max((episode.stored_at for episode in self.episodes), default=self.link.created_at)


class FeedRows(Protocol):
    """What feeds are made of, on connections of its own."""

    async def link(self, link_id: int) -> Link | None:
        """None as well where its account is blocked or being deleted."""
        ...

    async def episodes(self, link_id: int, limit: int) -> list[Episode]:
        """Newest first; of one medium the newest file only."""
        ...

    async def file(self, link_id: int, job_id: UUID, name: str) -> JobFile | None:
        """One that can be heard."""
        ...


class Feeds:
    """A token names a link and is signed with the link's `feed_epoch`: raising that voids it."""

    def __init__(self, *, vault: Vault, rows: FeedRows) -> None:
        self._vault, self._rows = vault, rows

    def feed_path(self, link_id: int, epoch: int) -> str:
        return f"/feeds/{link_id}.{self._vault.sign(FEED, _signed(link_id, epoch))}"

    async def feed(self, token: str) -> Feed:
        """Raises `FeedNotFound`, `NoAudioFeed`."""
        link = await self._link(token)
        return Feed(link=link, episodes=tuple(await self._rows.episodes(link.id, MOST_EPISODES)))

    async def file(self, token: str, job_id: str, name: str) -> JobFile:
        """A file that the feed has, or had. Raises `FeedNotFound`, `NoAudioFeed`, `MediaNotFound`."""
        link = await self._link(token)
        try:
            known = UUID(job_id)
        except ValueError:
            raise MediaNotFound from None
        found = await self._rows.file(link.id, known, name)
        if found is None:
            raise MediaNotFound
        return found

    async def _link(self, token: str) -> Link:
        number, _, signature = token.partition(".")
        if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS):
            raise FeedNotFound
        link = await self._rows.link(int(number))
        if link is None or not self._vault.verify(FEED, _signed(link.id, link.feed_epoch), signature):
            raise FeedNotFound
        if link.selection.media_type is not MediaType.AUDIO:
            raise NoAudioFeed
        return link


def _signed(link_id: int, epoch: int) -> str:
    return f"{link_id}\n{epoch}"
