"""History pages, and which stored media whose jobs show: the same on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from service.chat import TelegramCopy
from service.media_url import MediaUrl
from service.model import DownloadSession, HistoryEntry, Job, JobFile, MediaFile, MediaKey, Origin, Outcome
from service.selection import MediaType, Selection
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock

KEY = MediaKey(scope="public", extractor="site", id="42", selection="audio:mp3:best")


@pytest.fixture
async def two_accounts(database: SqlDatabase, clock: FakeClock) -> SqlDatabase:
    """Accounts 1 and 2, each with the download session of its number."""
    async with database.write() as transaction:
        for number in (1, 2):
            account = await transaction.accounts.add(f"tg-{number}", clock.now())
            session = DownloadSession(
                id=UUID(int=account.id),
                folder=UUID(int=account.id),
                owner_id=account.id,
                created_by=Origin.CHAT,
                created_at=clock.now(),
                last_activity=clock.now(),
            )
            await transaction.download_sessions.add(session)
    return database


def an_entry(clock: FakeClock, number: int, title: str, account: int = 1) -> HistoryEntry:
    return HistoryEntry(
        job_id=UUID(int=number),
        attempt=1,
        account_id=account,
        download_session_id=UUID(int=account),
        origin=Origin.CHAT,
        outcome=Outcome.SUCCESS,
        title=title,
        url=f"https://example.com/{number}",
        message="Downloaded 1 file.",
        code=None,
        files=(),
        started_at=None,
        ended_at=clock.now() + timedelta(seconds=number),
    )


async def found(database: SqlDatabase, *words: str, account: int = 1) -> list[str | None]:
    async with database.read() as transaction:
        entries, count = await transaction.history.page(account, words=words)
    assert count == len(entries)
    return [entry.title for entry in entries]


async def test_pages_are_newest_first_and_count_all(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    async with two_accounts.write() as transaction:
        for number in range(1, 6):
            await transaction.history.add(an_entry(clock, number, f"T{number}"))
        entries, count = await transaction.history.page(1, skip=1, limit=2)
    assert ([entry.title for entry in entries], count) == (["T4", "T3"], 5)


async def test_an_account_sees_nothing_of_another(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    async with two_accounts.write() as transaction:
        await transaction.history.add(an_entry(clock, 1, "mine"))
        await transaction.history.add(an_entry(clock, 2, "theirs", account=2))
    assert await found(two_accounts, account=2) == ["theirs"]


async def test_a_search_takes_signs_as_they_are_and_no_case(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    titles = ["100% sure", "snake_case", "snakeXcase", "ÜBER den Wolken", "back\\slash", "it's"]
    async with two_accounts.write() as transaction:
        for number, title in enumerate(titles, 1):
            await transaction.history.add(an_entry(clock, number, title))
    assert await found(two_accounts, "%") == ["100% sure"]
    assert await found(two_accounts, "e_c") == ["snake_case"]
    assert await found(two_accounts, "über", "WOLKEN") == ["ÜBER den Wolken"]
    assert await found(two_accounts, "\\") == ["back\\slash"]
    assert await found(two_accounts, "t'") == ["it's"]
    assert await found(two_accounts, "über", "snake") == [], "every word has to occur"
    assert await found(two_accounts, "EXAMPLE.com/5") == ["back\\slash"], "addresses are searched too"


# --- media ----------------------------------------------------------------------------------------------------------


def a_job(clock: FakeClock, number: int, account: int = 1) -> Job:
    return Job(
        id=UUID(int=number),
        download_session_id=UUID(int=account),
        account_id=account,
        origin=Origin.CHAT,
        url=MediaUrl.parse(f"https://example.com/{number}"),
        selection=Selection.of("audio"),
        created_at=clock.now() + timedelta(seconds=number),
    )


async def stored(database: SqlDatabase, clock: FakeClock, key: MediaKey, *jobs: Job) -> MediaFile:
    """One file under the key, which all these jobs show."""
    file = MediaFile(
        key=key,
        kind=MediaType.AUDIO,
        extension="mp3",
        size=5,
        sha256="0" * 64,
        location=f"of/{key.id}/{key.selection}",
        title="T",
        created_at=clock.now(),
    )
    async with database.write() as transaction:
        (kept,) = await transaction.media_files.replace(key, [file])
        for job in jobs:
            await transaction.jobs.add(job)
            await transaction.media_files.attach([JobFile(job_id=job.id, media=kept, name="T.mp3", path=f"of/{job.id}.mp3")])
    return kept


async def test_what_an_account_had_is_told_by_selection(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    await stored(two_accounts, clock, KEY, a_job(clock, 1))
    await stored(two_accounts, clock, replace(KEY, selection="video:mp4:best"), a_job(clock, 2))
    await stored(two_accounts, clock, replace(KEY, selection="video:mkv:best"), a_job(clock, 3, account=2))
    await stored(two_accounts, clock, replace(KEY, id="43", selection="audio:wav:best"), a_job(clock, 4))
    async with two_accounts.read() as transaction:
        assert await transaction.media_files.had_by(1, "site", "42") == {"audio:mp3:best", "video:mp4:best"}
        assert await transaction.media_files.had_by(1, "other site", "42") == set()


async def test_who_shows_the_bytes_is_told_oldest_job_first(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    kept = await stored(two_accounts, clock, KEY, a_job(clock, 2), a_job(clock, 1, account=2))
    async with two_accounts.read() as transaction:
        assert kept.id is not None
        assert [file.job_id.int for file in await transaction.media_files.shown_by(kept.id)] == [1, 2]


async def test_media_that_moved_are_where_they_moved_to(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    kept = await stored(two_accounts, clock, KEY, a_job(clock, 1))
    async with two_accounts.write() as transaction:
        assert kept.id is not None
        await transaction.media_files.relocate(kept.id, "elsewhere")
        assert await transaction.media_files.under(KEY) == [replace(kept, location="elsewhere")]


async def test_only_media_that_no_job_shows_are_dropped(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    shown = await stored(two_accounts, clock, KEY, a_job(clock, 1))
    unshown = await stored(two_accounts, clock, replace(KEY, id="43"))
    untold = await stored(two_accounts, clock, replace(KEY, id="44"))
    async with two_accounts.write() as transaction:
        assert shown.id is not None
        assert unshown.id is not None
        assert await transaction.media_files.drop_unused([]) == []
        assert await transaction.media_files.drop_unused([shown.id, unshown.id]) == [unshown.location]
        assert await transaction.media_files.under(KEY) == [shown]
        assert await transaction.media_files.under(untold.key) == [untold], "nobody asked for it to be dropped"


async def test_how_telegram_has_media_is_kept_for_each_bot_and_goes_with_them(two_accounts: SqlDatabase, clock: FakeClock) -> None:
    kept = await stored(two_accounts, clock, KEY)
    assert kept.id is not None
    copy = TelegramCopy(media_file_id=kept.id, bot_id=7, kind="audio", file_id="f", vault_chat_id=-5, vault_message_id=3)
    newer = replace(copy, file_id="g")
    async with two_accounts.write() as transaction:
        await transaction.telegram_copies.put(copy)
        await transaction.telegram_copies.put(newer)
        assert await transaction.telegram_copies.get(kept.id, 7) == newer
        assert await transaction.telegram_copies.get(kept.id, 8) is None
        assert await transaction.telegram_copies.of_any_bot(kept.id, -5) == newer
        await transaction.telegram_copies.forget(kept.id, 8)
        assert await transaction.telegram_copies.get(kept.id, 7) == newer, "another bot's is another"
        await transaction.media_files.drop_unused([kept.id])
        assert await transaction.telegram_copies.get(kept.id, 7) is None
