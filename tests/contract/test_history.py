"""History: pages by filter and by words, who sees what, files that are still there, and all of it taken away; on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from service import history
from service.audit import Actor
from service.errors import HistoryEntryNotFound
from service.history import Histories, HistoryFilter
from service.media_url import MediaUrl
from service.model import DownloadSession, HistoryEntry, Job, JobFile, MediaFile, MediaKey, Origin, Outcome
from service.paging import EXACT_UP_TO, Mark, Window
from service.selection import MediaType, Selection
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock

EVERYBODY = HistoryFilter()
SUPERUSER = Actor(account_id=99, is_superuser=True)
ANN, BOB = Actor(account_id=1, is_superuser=False), Actor(account_id=2, is_superuser=False)
SOURCE = UUID(int=77)


class Archive:
    """Accounts 1 and 2, each with the download session of its number; entries get their numbers in the order in which they come."""

    def __init__(self, database: SqlDatabase, clock: FakeClock) -> None:
        self.database, self.clock, self.count = database, clock, 0
        self.histories = Histories(database)

    async def open(self) -> Archive:
        async with self.database.write() as transaction:
            for number in (1, 2):
                account = await transaction.accounts.add(f"tg-{number}", self.clock.now())
                session = DownloadSession(
                    id=UUID(int=account.id),
                    folder=UUID(int=account.id + 100),
                    owner_id=account.id,
                    created_by=Origin.CHAT,
                    created_at=self.clock.now(),
                    last_activity=self.clock.now(),
                )
                await transaction.download_sessions.add(session)
        return self

    def entry(self, title: str | None = "T", account: int | None = 1, **more: object) -> HistoryEntry:
        self.count += 1
        entry = HistoryEntry(
            job_id=UUID(int=self.count),
            attempt=1,
            account_id=account,
            download_session_id=UUID(int=account or 1),
            origin=Origin.CHAT,
            outcome=Outcome.SUCCESS,
            title=title,
            url=f"https://example.com/{self.count}",
            message="Downloaded 1 file.",
            code=None,
            files=(),
            started_at=None,
            ended_at=self.clock.now() + timedelta(minutes=self.count),
        )
        return replace(entry, **more)  # type: ignore[arg-type]

    async def add(self, *entries: HistoryEntry) -> None:
        async with self.database.write() as transaction:
            for entry in entries:
                await transaction.history.add(entry)

    async def titles(self, actor: Actor = SUPERUSER, **wanted: object) -> list[str | None]:
        page = await self.histories.find(actor, HistoryFilter(**wanted), Window())  # type: ignore[arg-type]
        assert page.count == len(page.entries)
        return [entry.title for entry in page.entries]

    async def newest(self) -> HistoryEntry:
        return (await self.histories.find(SUPERUSER, EVERYBODY, Window(limit=1))).entries[0]

    # --- jobs and files

    async def run(self, *, number: int, names: tuple[str, ...] = (), parent: int | None = None, position: int = 0) -> None:
        """A job of account 1 with these files."""
        now = self.clock.now()
        job = Job(
            id=UUID(int=number),
            download_session_id=UUID(int=1),
            account_id=1,
            parent_id=UUID(int=parent) if parent else None,
            position=position,
            origin=Origin.API,
            url=MediaUrl.parse(f"https://example.com/job/{number}"),
            selection=Selection.of("audio"),
            created_at=now,
        )
        key = MediaKey(scope="public", extractor="site", id=str(number), selection="audio:mp3:best")
        files = [
            MediaFile(
                key=key,
                position=place,
                kind=MediaType.AUDIO,
                extension="mp3",
                size=1,
                sha256="0" * 64,
                location=f"store/{number}/{name}",
                title=name,
                created_at=now,
            )
            for place, name in enumerate(names)
        ]
        async with self.database.write() as transaction:
            await transaction.jobs.add(job)
            stored = await transaction.media_files.replace(key, files)
            await transaction.media_files.attach(
                [JobFile(job_id=job.id, media=file, name=file.title, path=f"x/{file.title}") for file in stored]
            )


@pytest.fixture
async def archive(database: SqlDatabase, clock: FakeClock) -> Archive:
    return await Archive(database, clock).open()


# --- what is kept -----------------------------------------------------------------------------------------------------


async def test_an_entry_comes_back_as_it_was_written(archive: Archive) -> None:
    written = archive.entry(
        "A list",
        origin=Origin.LINK,
        outcome=Outcome.PARTIAL,
        code="private",
        files=("a.mp3", "b.mp3"),
        started_at=archive.clock.now(),
        link_id=5,
        link_name="My Favorite Channel",
        source_id=SOURCE,
        items=3,
        items_done=2,
        items_failed=1,
    )
    await archive.add(written)
    found = await archive.newest()
    assert replace(found, id=None) == written


async def test_an_entry_of_the_same_attempt_is_written_once(archive: Archive) -> None:
    entry = archive.entry("once")
    await archive.add(entry, replace(entry, title="twice"), replace(entry, title="tried again", attempt=2))
    assert await archive.titles() == ["tried again", "once"]


# --- filters and words ------------------------------------------------------------------------------------------------


async def test_every_filter_takes_what_it_says(archive: Archive) -> None:
    await archive.add(
        archive.entry("link 5", link_id=5),
        archive.entry("link 6", link_id=6),
        archive.entry("source", source_id=SOURCE),
        archive.entry("failed", outcome=Outcome.FAILURE),
        archive.entry("partly", outcome=Outcome.PARTIAL),
        archive.entry("by the API", origin=Origin.API),
        archive.entry("theirs", account=2),
        archive.entry("nobody's", account=None),
    )
    assert await archive.titles(link_id=5) == ["link 5"]
    assert await archive.titles(source_id=SOURCE) == ["source"]
    assert await archive.titles(outcomes=frozenset({Outcome.FAILURE})) == ["failed"]
    assert await archive.titles(outcomes=frozenset({Outcome.FAILURE, Outcome.PARTIAL})) == ["partly", "failed"]
    assert await archive.titles(origin=Origin.API) == ["by the API"]
    assert await archive.titles(account_id=2) == ["theirs"]
    assert await archive.titles(account_id=1, outcomes=frozenset({Outcome.PARTIAL}), words=("part",)) == ["partly"]


async def test_since_belongs_to_what_is_taken_and_until_does_not(archive: Archive) -> None:
    entries = [archive.entry(name) for name in ("first", "second", "third")]
    await archive.add(*entries)
    assert await archive.titles(since=entries[1].ended_at) == ["third", "second"]
    assert await archive.titles(until=entries[1].ended_at) == ["first"]
    assert await archive.titles(since=entries[1].ended_at, until=entries[2].ended_at) == ["second"]


async def test_every_word_occurs_in_the_title_the_address_or_the_links_name(archive: Archive) -> None:
    await archive.add(
        archive.entry("Red cats", link_name="Größe & Co"),
        archive.entry("Red dogs", url="https://CATS.example.com/x"),
        archive.entry("Blue cats"),
        archive.entry(None, url="https://example.com/red", link_name=None),
    )
    assert await archive.titles(words=("red", "CATS")) == ["Red dogs", "Red cats"]
    assert await archive.titles(words=("GRÖSSE",)) == ["Red cats"]
    assert await archive.titles(words=("red",)) == [None, "Red dogs", "Red cats"]
    assert await archive.titles(words=("red", "mice")) == []


@pytest.mark.parametrize("word", ["100%", "a_b", "back\\slash", "it's", "[x]", "*", "%", "_"])
async def test_signs_of_a_search_stand_for_themselves(archive: Archive, word: str) -> None:
    await archive.add(archive.entry(f"with {word} in it"), archive.entry("1000 aXb backXslash its x"))
    assert await archive.titles(words=(word,)) == [f"with {word} in it"]


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("even",)])
async def test_cursors_lead_through_everything_once(archive: Archive, words: tuple[str, ...]) -> None:
    await archive.add(*(archive.entry(f"{number} {'odd' if number % 2 else 'even'}") for number in range(14)))
    seen, after = list[str | None](), None
    for _ in range(20):
        page = await archive.histories.find(SUPERUSER, HistoryFilter(words=words), Window(limit=3, after=after))
        assert page.count == (7 if words else 14)
        seen += [entry.title for entry in page.entries]
        if (after := page.next) is None:
            break
    expected = [f"{number} {'odd' if number % 2 else 'even'}" for number in reversed(range(14))]
    assert seen == [title for title in expected if not words or "even" in title]


async def test_what_ends_meanwhile_moves_no_later_page(archive: Archive) -> None:
    await archive.add(*(archive.entry(f"{number}") for number in range(4)))
    first = await archive.histories.find(SUPERUSER, EVERYBODY, Window(limit=2))
    await archive.add(archive.entry("meanwhile"))
    second = await archive.histories.find(SUPERUSER, EVERYBODY, Window(limit=2, after=first.next))
    assert [entry.title for entry in (*first.entries, *second.entries)] == ["3", "2", "1", "0"]


async def test_a_page_behind_the_end_is_empty_and_knows_how_many_there_are(archive: Archive) -> None:
    await archive.add(archive.entry(), archive.entry())
    page = await archive.histories.find(SUPERUSER, EVERYBODY, Window(skip=5))
    assert (page.entries, page.count, page.next) == ([], 2, None)


async def test_a_cursor_that_nobody_was_given_is_one_behind_everything(archive: Archive) -> None:
    await archive.add(archive.entry("only"))
    forged = Mark(at=archive.clock.now(), id=UUID(int=2**128 - 1))
    page = await archive.histories.find(SUPERUSER, EVERYBODY, Window(after=forged))
    assert [entry.title for entry in page.entries] == ["only"]


async def many(archive: Archive, count: int) -> None:
    async with archive.database.writer.begin() as connection:
        await connection.exec_driver_sql(
            "insert into history_entries (job_id, attempt, account_id, download_session_id, origin, outcome, title, url, message, files,"
            " words, ended_at) with recursive numbers(n) as (select 2 union all select n + 1 from numbers where n < "
            f"{count}) select job_id, n, account_id, download_session_id, origin, outcome, 'T' || n, url, message, files, words, ended_at"
            " from numbers join history_entries on attempt = 1"
        )


async def test_counts_are_exact_up_to_ten_thousand_and_beyond_only_when_asked_for(archive: Archive) -> None:
    await archive.add(archive.entry())
    await many(archive, EXACT_UP_TO)
    assert (await archive.histories.find(SUPERUSER, EVERYBODY, Window(limit=1))).count == EXACT_UP_TO
    await archive.add(archive.entry("one more"))
    assert (await archive.histories.find(SUPERUSER, EVERYBODY, Window(limit=1))).count is None
    assert (await archive.histories.find(SUPERUSER, EVERYBODY, Window(limit=1, count_all=True))).count == EXACT_UP_TO + 1


async def test_pages_go_on_behind_what_is_counted(archive: Archive) -> None:
    await archive.add(archive.entry())
    await many(archive, EXACT_UP_TO + 20)
    page = await archive.histories.find(SUPERUSER, EVERYBODY, Window(skip=EXACT_UP_TO - 2, limit=10))
    assert (len(page.entries), page.count) == (10, None)
    following = await archive.histories.find(SUPERUSER, EVERYBODY, Window(limit=500, after=page.next))
    assert len({entry.attempt for entry in (*page.entries, *following.entries)}) == 22


async def test_however_many_there_are_all_of_an_accounts_are_read_at_once(archive: Archive) -> None:
    """As what is held of somebody is told: more than a statement may name."""
    await archive.add(archive.entry())
    await many(archive, 33_000)
    async with archive.database.read() as transaction:
        entries, count = await transaction.history.page(1, limit=2**31 - 1)
    assert (len(entries), count) == (33_000, 33_000)


# --- who sees what ----------------------------------------------------------------------------------------------------


async def test_a_user_sees_their_own_alone_whatever_they_ask_for(archive: Archive) -> None:
    await archive.add(archive.entry("ann's"), archive.entry("bob's", account=2), archive.entry("nobody's", account=None))
    assert await archive.titles(ANN) == ["ann's"]
    assert await archive.titles(ANN, account_id=1) == ["ann's"]
    assert await archive.titles(ANN, account_id=2) == []
    assert await archive.titles(SUPERUSER) == ["nobody's", "bob's", "ann's"]


async def test_anothers_entry_is_not_there(archive: Archive) -> None:
    await archive.add(archive.entry("ann's"))
    entry = await archive.newest()
    assert entry.id is not None
    for actor in (ANN, SUPERUSER):
        assert (await archive.histories.get(actor, entry.id)).entry == entry
    with pytest.raises(HistoryEntryNotFound):
        await archive.histories.get(BOB, entry.id)


async def test_nobodys_entry_is_there_for_superusers_alone(archive: Archive) -> None:
    await archive.add(archive.entry(account=None))
    entry = await archive.newest()
    assert entry.id is not None
    assert await archive.histories.get(SUPERUSER, entry.id)
    with pytest.raises(HistoryEntryNotFound):
        await archive.histories.get(Actor(account_id=None, is_superuser=False), entry.id)


# --- files ------------------------------------------------------------------------------------------------------------


async def files_of(archive: Archive, entry: HistoryEntry) -> list[str]:
    await archive.add(entry)
    newest = await archive.newest()
    assert newest.id is not None
    return [file.name for file in (await archive.histories.get(ANN, newest.id)).files]


async def test_an_entry_shows_the_files_of_its_whole_list_in_the_lists_order(archive: Archive) -> None:
    await archive.run(number=900)
    await archive.run(number=903, names=("one.mp3",), parent=900, position=1)
    await archive.run(number=902, names=("two.mp3", "two b.mp3"), parent=900, position=2)
    await archive.run(number=901, names=("other.mp3",))
    names = ("one.mp3", "two.mp3", "two b.mp3")
    assert await files_of(archive, archive.entry(job_id=UUID(int=900), files=names)) == list(names)


async def test_an_entry_does_not_show_what_came_of_a_later_try(archive: Archive) -> None:
    await archive.run(number=900, names=("late.mp3",))
    assert await files_of(archive, archive.entry(job_id=UUID(int=900), outcome=Outcome.FAILURE)) == []


async def test_an_entry_outlives_its_job(archive: Archive) -> None:
    assert await files_of(archive, archive.entry(files=("gone.mp3",))) == []


# --- all of it --------------------------------------------------------------------------------------------------------


async def test_all_is_taken_away_once_and_some_at_a_time(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "A_BATCH", 4)
    await archive.add(*(archive.entry(f"{number}", account=1 if number % 3 else 2) for number in range(15)))
    sizes, titles = [], list[str | None]()
    async for batch in archive.histories.export(ANN, EVERYBODY):
        sizes.append(len(batch))
        titles += [entry.title for entry in batch]
        await archive.add(archive.entry("meanwhile"))
    assert titles == [str(number) for number in reversed(range(15)) if number % 3]
    assert sizes == [4, 4, 2]


async def test_what_is_taken_away_is_what_was_asked_for(archive: Archive) -> None:
    await archive.add(archive.entry("cats"), archive.entry("dogs"), archive.entry("cats", account=2))
    found = [entry.account_id async for batch in archive.histories.export(ANN, HistoryFilter(words=("cats",))) for entry in batch]
    assert found == [1]
    assert [batch async for batch in archive.histories.export(ANN, HistoryFilter(account_id=2))] == []
