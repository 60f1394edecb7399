"""Podcast feeds: whom an address opens one to, and what is in it; on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from service import feeds
from service.errors import FeedNotFound, MediaNotFound, NoAudioFeed
from service.feeds import Episode, Feeds
from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobFile, JobStatus, MediaFile, MediaKey, Origin
from service.selection import MediaType, Selection
from service.watched import ItemState, Link, LinkItem
from storage.database import SqlDatabase
from storage.feeds import SqlFeeds
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock

VAULT = MultiFernetVault(["a secret key of the tests"])
SESSION = UUID(int=1)


class Station:
    """An account with links, and what came of them."""

    def __init__(self, database: SqlDatabase, clock: FakeClock) -> None:
        self.database, self.clock = database, clock
        self.feeds = Feeds(vault=VAULT, rows=SqlFeeds(database, VAULT))

    async def open(self) -> Station:
        now = self.clock.now()
        async with self.database.write() as transaction:
            account = await transaction.accounts.add("ann", now)
            self.account = account
            await transaction.download_sessions.add(
                DownloadSession(id=SESSION, folder=SESSION, owner_id=account.id, created_by=Origin.LINK, created_at=now, last_activity=now)
            )
        return self

    async def link(self, number: int = 1, selection: Selection | None = None, url: str = "https://example.com/channel/") -> Link:
        link = Link(
            id=0,
            account_id=self.account.id,
            url=MediaUrl.parse(f"{url}{number}"),
            name=f"Link {number}",
            selection=selection or Selection.of("audio"),
            state_since=self.clock.now(),
            created_at=self.clock.now(),
        )
        async with self.database.write() as transaction:
            added = await transaction.links.add(link)
        assert added is not None
        return added

    async def save(self, link: Link) -> None:
        async with self.database.write() as transaction:
            await transaction.links.save(link)

    async def item(
        self,
        link: Link | None,
        number: int,
        *,
        kind: MediaType = MediaType.AUDIO,
        names: tuple[str, ...] = (),
        medium: str | None = None,
        status: JobStatus = JobStatus.COMPLETED,
        seen: tuple[int, int] | None = None,
        position: int = 0,
    ) -> Job:
        """A job of the link, made and ended `number` hours from now. `seen`: so many hours from now, at that place of a look."""
        now = self.clock.now() + timedelta(hours=number)
        job = Job(
            id=UUID(int=number),
            download_session_id=SESSION,
            account_id=self.account.id,
            origin=Origin.LINK,
            url=MediaUrl.parse(f"https://example.com/item/{number}"),
            selection=Selection.of("audio"),
            link_id=link.id if link else None,
            position=position,
            status=status,
            created_at=now,
            ended_at=now + timedelta(minutes=5),
        )
        key = MediaKey(scope="public", extractor="site", id=medium or f"m{number}", selection="audio:mp3:best")
        files = [
            MediaFile(
                key=key,
                position=place,
                kind=kind,
                extension="mp3",
                size=number,
                sha256="0" * 64,
                location=f"store/{number}/{name}",
                title=name,
                created_at=now,
            )
            for place, name in enumerate(names or (f"{number}.mp3",))
        ]
        async with self.database.write() as transaction:
            await transaction.jobs.add(job)
            stored = await transaction.media_files.replace(key, files)
            await transaction.media_files.attach(
                [JobFile(job_id=job.id, media=file, name=file.title, path=f"x/{file.title}") for file in stored]
            )
            if seen is not None and link is not None:
                item = LinkItem(
                    link_id=link.id,
                    extractor="site",
                    item_id=f"m{number}",
                    state=ItemState.ORDERED,
                    job_id=job.id,
                    seen_at=self.clock.now() + timedelta(hours=seen[0]),
                    position=seen[1],
                )
                await transaction.links.add_items([item])
        return job

    def token(self, link: Link) -> str:
        return self.feeds.feed_path(link.id, link.feed_epoch).removeprefix("/feeds/")

    async def episodes(self, link: Link) -> tuple[Episode, ...]:
        return (await self.feeds.feed(self.token(link))).episodes

    async def names(self, link: Link) -> list[str]:
        return [episode.file.name for episode in await self.episodes(link)]


@pytest.fixture
async def station(database_url: str, clock: FakeClock) -> AsyncIterator[Station]:
    """On a database that keeps secrets encrypted, as the service's does."""
    database = SqlDatabase(database_url, vault=VAULT)
    yield await Station(database, clock).open()
    await database.close()


# --- whom it opens to -------------------------------------------------------------------------------------------------


async def test_a_feeds_path_opens_its_own_link(station: Station) -> None:
    link, other = await station.link(1), await station.link(2)
    assert (await station.feeds.feed(station.token(link))).link.name == "Link 1"
    assert (await station.feeds.feed(station.token(other))).link.name == "Link 2"


async def test_a_wrong_token_opens_nothing(station: Station) -> None:
    link, other = await station.link(1), await station.link(2)
    signature = station.token(link).partition(".")[2]
    wrong = [
        "",
        ".",
        f"{link.id}",
        f"{link.id}.",
        f"{other.id}.{signature}",
        f"99.{signature}",
        f"0{link.id}.{signature}x",
        "²." + signature,
    ]
    wrong += [f"{link.id}.{signature[:-1]}", f"-{link.id}.{signature}", f"{'9' * 30}.{signature}", f"{link.id}.ü\udcff"]
    wrong.append(f"{link.id}." + VAULT.sign("media", f"{link.id}\n0"))
    for token in wrong:
        with pytest.raises(FeedNotFound):
            await station.feeds.feed(token)


async def test_a_raised_epoch_voids_the_path_and_makes_another(station: Station) -> None:
    link = await station.link()
    await station.item(link, 1)
    before = station.token(link)
    raised = replace(link, feed_epoch=1)
    await station.save(raised)
    with pytest.raises(FeedNotFound):
        await station.feeds.feed(before)
    with pytest.raises(FeedNotFound):
        await station.feeds.file(before, str(UUID(int=1)), "1.mp3")
    assert await station.names(raised) == ["1.mp3"]


async def blocked(station: Station) -> None:
    async with station.database.write() as transaction:
        await transaction.accounts.save(replace(station.account, is_active=False))


async def leaving(station: Station) -> None:
    async with station.database.write() as transaction:
        await transaction.accounts.leave(station.account.id)


@pytest.mark.parametrize("becomes", [blocked, leaving])
async def test_of_an_account_that_is_blocked_or_leaving_there_is_no_feed(
    station: Station, becomes: Callable[[Station], Awaitable[None]]
) -> None:
    link = await station.link()
    await station.item(link, 1)
    await becomes(station)
    with pytest.raises(FeedNotFound):
        await station.feeds.feed(station.token(link))
    with pytest.raises(FeedNotFound):
        await station.feeds.file(station.token(link), str(UUID(int=1)), "1.mp3")


@pytest.mark.parametrize("kind", ["video", "transcript"])
async def test_a_link_that_keeps_no_audio_says_that_it_has_no_feed(station: Station, kind: str) -> None:
    link = await station.link(selection=Selection.of(kind))
    with pytest.raises(NoAudioFeed):
        await station.feeds.feed(station.token(link))


async def test_a_deleted_link_has_no_feed(station: Station) -> None:
    link = await station.link()
    async with station.database.write() as transaction:
        await transaction.links.remove(link.id)
    with pytest.raises(FeedNotFound):
        await station.feeds.feed(station.token(link))


# --- what is in it ----------------------------------------------------------------------------------------------------


async def test_only_audio_of_the_links_own_completed_jobs_is_in_it(station: Station) -> None:
    link, other = await station.link(1), await station.link(2)
    await station.item(link, 1)
    await station.item(other, 2)
    await station.item(None, 3)
    await station.item(link, 4, kind=MediaType.VIDEO)
    await station.item(link, 5, status=JobStatus.FAILED)
    assert await station.names(link) == ["1.mp3"]


async def test_the_newest_come_first_in_the_order_in_which_they_were_found(station: Station) -> None:
    link = await station.link()
    await station.item(link, 1, seen=(1, 2))
    await station.item(link, 2, seen=(1, 0))
    await station.item(link, 3, seen=(1, 1))
    await station.item(link, 4, seen=(9, 0))
    await station.item(link, 5)
    assert await station.names(link) == ["4.mp3", "5.mp3", "2.mp3", "3.mp3", "1.mp3"]
    moments = [episode.seen_at for episode in await station.episodes(link)]
    assert moments == sorted(moments, reverse=True)
    assert len(set(moments)) == 5


async def test_only_so_many_of_the_newest_are_in_it(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST_EPISODES", 2)
    link = await station.link()
    for number in (1, 2, 3):
        await station.item(link, number)
    assert await station.names(link) == ["3.mp3", "2.mp3"]


async def test_a_medium_that_came_twice_is_in_it_once_as_its_newest_file(station: Station) -> None:
    link = await station.link()
    await station.item(link, 1, medium="same")
    await station.item(link, 2)
    await station.item(link, 3, medium="same")
    assert await station.names(link) == ["3.mp3", "2.mp3"]


async def test_several_files_of_one_item_are_episodes_of_their_own(station: Station) -> None:
    link = await station.link()
    await station.item(link, 1, names=("a.mp3", "b.mp3"))
    found = await station.episodes(link)
    assert [(episode.file.name, episode.guid) for episode in found] == [("a.mp3", "site:m1"), ("b.mp3", "site:m1:1")]


async def test_what_was_deleted_is_not_in_it(station: Station) -> None:
    link = await station.link()
    await station.item(link, 1)
    job = await station.item(link, 2)
    async with station.database.writer.begin() as connection:
        await connection.exec_driver_sql(f"delete from job_files where name = '{job.id.int}.mp3'")
    assert await station.names(link) == ["1.mp3"]


async def test_a_feed_has_changed_when_its_last_file_came(station: Station) -> None:
    link = await station.link()
    assert (await station.feeds.feed(station.token(link))).changed_at == link.created_at
    await station.item(link, 3, seen=(1, 0))
    await station.item(link, 2, seen=(2, 0))
    assert (await station.feeds.feed(station.token(link))).changed_at == station.clock.now() + timedelta(hours=3, minutes=5)


async def test_a_secret_address_is_never_shown_with_its_secret(station: Station) -> None:
    link = await station.link(url="https://user:pass@example.com/private/?token=")
    found = (await station.feeds.feed(station.token(link))).link
    assert found.url.shown == "https://example.com/private/"


# --- its files --------------------------------------------------------------------------------------------------------


async def test_a_file_is_opened_by_the_token_of_its_own_feed_alone(station: Station) -> None:
    link, other = await station.link(1), await station.link(2)
    job = await station.item(link, 1)
    assert (await station.feeds.file(station.token(link), str(job.id), "1.mp3")).media.size == 1
    with pytest.raises(MediaNotFound):
        await station.feeds.file(station.token(other), str(job.id), "1.mp3")


async def test_a_file_that_is_in_no_feed_is_not_opened(station: Station) -> None:
    link = await station.link()
    await station.item(link, 1)
    await station.item(None, 2)
    await station.item(link, 3, kind=MediaType.VIDEO)
    await station.item(link, 4, status=JobStatus.PROCESSING)
    wrong = [(UUID(int=1), "2.mp3"), (UUID(int=2), "2.mp3"), (UUID(int=3), "3.mp3"), (UUID(int=4), "4.mp3"), ("x", "1.mp3")]
    for job, name in wrong:
        with pytest.raises(MediaNotFound):
            await station.feeds.file(station.token(link), str(job), name)
