"""What the use cases rely on in a database: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from service.media_url import MediaUrl
from service.model import (
    DownloadSession,
    Fetch,
    HistoryEntry,
    Job,
    JobFile,
    JobStatus,
    MediaFile,
    MediaKey,
    Origin,
    Outcome,
    Phase,
    Progress,
    Validators,
)
from service.ports import IdempotencyKey
from service.selection import MediaType, Selection
from storage import tables
from storage.database import SqlDatabase
from storage.migrate import DatabaseUnusable, upgrade
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock

KEY = MediaKey(scope="public", extractor="site", id="42", selection="audio:mp3:best")


def a_session(clock: FakeClock, number: int = 1) -> DownloadSession:
    return DownloadSession(
        id=UUID(int=number),
        folder=UUID(int=number + 1000),
        owner_id=None,
        created_by=Origin.API,
        created_at=clock.now(),
        last_activity=clock.now(),
    )


def a_job(clock: FakeClock, number: int = 1, url: str = "https://example.com/1", session: int = 1) -> Job:
    return Job(
        id=UUID(int=number),
        download_session_id=UUID(int=session),
        account_id=None,
        origin=Origin.API,
        url=MediaUrl.parse(url),
        selection=Selection.of("audio"),
        created_at=clock.now() + timedelta(seconds=number),
    )


def a_file(clock: FakeClock, location: str = "a/b.mp3") -> MediaFile:
    return MediaFile(
        key=KEY,
        kind=MediaType.AUDIO,
        extension="mp3",
        size=5,
        sha256="0" * 64,
        location=location,
        title="T",
        duration=timedelta(milliseconds=1500),
        validators=Validators(etag='"x"', length=5),
        created_at=clock.now(),
    )


@pytest.fixture
async def with_session(database: SqlDatabase, clock: FakeClock) -> SqlDatabase:
    async with database.write() as transaction:
        await transaction.download_sessions.add(a_session(clock))
    return database


async def test_a_job_comes_back_as_it_was_written(with_session: SqlDatabase, clock: FakeClock) -> None:
    job = replace(a_job(clock), title="Ünï", progress=Progress(phase=Phase.DOWNLOADING, downloaded=1, total=2, speed=1.5, eta=0.5))
    async with with_session.write() as transaction:
        assert await transaction.jobs.add(job)
    async with with_session.read() as transaction:
        assert await transaction.jobs.get(job.id) == job


async def test_a_second_live_job_for_the_same_in_one_session_is_not_added(with_session: SqlDatabase, clock: FakeClock) -> None:
    async with with_session.write() as transaction:
        assert await transaction.jobs.add(a_job(clock, 1))
        assert not await transaction.jobs.add(a_job(clock, 2))
        twin = await transaction.jobs.live_twin(a_job(clock, 2))
    assert twin is not None
    assert twin.id == UUID(int=1)


async def test_an_ended_job_makes_room_for_the_same_again(with_session: SqlDatabase, clock: FakeClock) -> None:
    first = a_job(clock, 1)
    async with with_session.write() as transaction:
        await transaction.jobs.add(first)
        assert await transaction.jobs.save(first.failed(clock.now(), "network", "x"), if_seq=first.seq)
        assert await transaction.jobs.add(a_job(clock, 2))


async def test_of_two_changes_to_the_same_state_only_one_is_written(with_session: SqlDatabase, clock: FakeClock) -> None:
    job = a_job(clock)
    async with with_session.write() as transaction:
        await transaction.jobs.add(job)

    async def start() -> bool:
        async with with_session.write() as transaction:
            return await transaction.jobs.save(job.started(clock.now()), if_seq=job.seq)

    assert sorted(await asyncio.gather(start(), start(), start())) == [False, False, True]


async def test_400_counted_writes_from_8_tasks_are_400(with_session: SqlDatabase) -> None:
    async with with_session.write() as transaction:
        await transaction.jobs._connection.execute(sa.insert(tables.kept_values).values(name="n", value="0"))

    async def count(times: int) -> None:
        for _ in range(times):
            async with with_session.write() as transaction:
                connection = transaction.jobs._connection
                row = sa.select(tables.kept_values.c.value).where(tables.kept_values.c.name == "n").with_for_update()
                value = int((await connection.execute(row)).scalar_one())
                await asyncio.sleep(0)
                await connection.execute(sa.update(tables.kept_values).values(value=str(value + 1)))

    await asyncio.gather(*(count(50) for _ in range(8)))
    async with with_session.read() as transaction:
        assert (await transaction.jobs._connection.execute(sa.select(tables.kept_values.c.value))).scalar_one() == "400"


async def test_an_exception_leaves_nothing_behind(with_session: SqlDatabase, clock: FakeClock) -> None:

    async def break_off() -> None:
        async with with_session.write() as transaction:
            await transaction.jobs.add(a_job(clock))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()
    async with with_session.read() as transaction:
        assert await transaction.jobs.live() == []


async def test_waiting_jobs_come_oldest_first(with_session: SqlDatabase, clock: FakeClock) -> None:
    async with with_session.write() as transaction:
        for number in (3, 1, 2):
            job = a_job(clock, number, url=f"https://example.com/{number}")
            await transaction.jobs.add(job)
            await transaction.jobs.save(job.waiting("fetch"), if_seq=job.seq)
        waiting = await transaction.jobs.waiting_for("fetch")
    assert [job.id.int for job in waiting] == [1, 2, 3]


async def test_only_one_of_two_holders_claims_a_fetch(with_session: SqlDatabase, clock: FakeClock) -> None:
    jobs = [a_job(clock, number, url=f"https://example.com/{number}") for number in (1, 2)]
    async with with_session.write() as transaction:
        for job in jobs:
            await transaction.jobs.add(job)

    async def claim(job: Job) -> UUID:
        async with with_session.write() as transaction:
            mine = Fetch(id=UUID(int=job.id.int + 50), key=KEY, holder=job.id, created_at=clock.now())
            return (await transaction.fetches.claim(mine)).holder

    holders = await asyncio.gather(*(claim(job) for job in jobs))
    assert holders[0] == holders[1]


async def test_replaced_media_that_a_job_still_shows_stays(with_session: SqlDatabase, clock: FakeClock) -> None:
    job = a_job(clock)
    async with with_session.write() as transaction:
        await transaction.jobs.add(job)
        old = await transaction.media_files.replace(KEY, [a_file(clock)])
        await transaction.media_files.attach([JobFile(job_id=job.id, media=old[0], name="T.mp3", path="a/b.mp3")])
        new = await transaction.media_files.replace(KEY, [a_file(clock, "c/d.mp3")])
        assert await transaction.media_files.under(KEY) == new
        assert [file.media for file in await transaction.media_files.of_job(job.id)] == old
        shown = await transaction.media_files.shown_as(UUID(int=1001), job.id, "T.mp3")
    assert shown is not None
    assert shown.media.validators == Validators(etag='"x"', length=5)
    assert shown.media.duration == timedelta(seconds=1.5)


async def test_an_address_leads_to_the_key_it_led_to_last(database: SqlDatabase) -> None:
    url, selection = MediaUrl.parse("https://example.com/1"), Selection.of("audio")
    async with database.write() as transaction:
        await transaction.media_files.remember(url, replace(KEY, id="old"))
        await transaction.media_files.remember(url, KEY)
        assert await transaction.media_files.key_of(url, "public", selection) == KEY
        assert await transaction.media_files.key_of(url, "account:1", selection) is None


async def test_one_attempt_leaves_one_history_entry(with_session: SqlDatabase, clock: FakeClock) -> None:
    entry = HistoryEntry(
        job_id=UUID(int=1),
        attempt=1,
        account_id=None,
        download_session_id=UUID(int=1),
        origin=Origin.API,
        outcome=Outcome.SUCCESS,
        title="T",
        url="https://example.com/1",
        message="Downloaded 1 file.",
        code=None,
        files=("a.mp3",),
        started_at=clock.now(),
        ended_at=clock.now(),
    )
    async with with_session.write() as transaction:
        await transaction.history.add(entry)
        await transaction.history.add(entry)
        found = await transaction.history.of_job(UUID(int=1))
    assert [replace(one, id=None) for one in found] == [entry]


async def test_an_idempotency_key_is_taken_until_it_expires(with_session: SqlDatabase, clock: FakeClock) -> None:
    async with with_session.write() as transaction:
        await transaction.jobs.add(a_job(clock))
    entry = IdempotencyKey(caller="c", key="k", body_hash="h", job_id=UUID(int=1), created_at=clock.now())
    later = replace(entry, created_at=clock.now() + timedelta(hours=25))
    async with with_session.write() as transaction:
        assert await transaction.idempotency_keys.put(entry, since=clock.now() - timedelta(hours=24))
        assert not await transaction.idempotency_keys.put(entry, since=clock.now() - timedelta(hours=24))
        assert await transaction.idempotency_keys.put(later, since=clock.now() + timedelta(hours=1))
        assert await transaction.idempotency_keys.get("c", "k", clock.now()) == later


async def test_the_built_in_account_is_there_and_has_id_zero(database: SqlDatabase) -> None:
    async with database.read() as transaction:
        local = await transaction.accounts.by_username("LOCAL")
        assert local == await transaction.accounts.get(0)
    assert local is not None
    assert local.is_superuser


async def test_readers_cannot_write_on_sqlite(with_session: SqlDatabase, clock: FakeClock) -> None:
    if not with_session.is_sqlite:
        return
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        async with with_session.read() as transaction:
            await transaction.jobs.add(a_job(clock))


async def test_the_migrations_lead_to_the_tables_in_the_code(database: SqlDatabase) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: kind != "table" or name not in tables.ENGINE_TABLES,
                # Some indexes are of one database alone, which alembic does not know.
                "include_object": lambda thing, *_: thing.info.get("only", connection.dialect.name) == connection.dialect.name,
                "compare_type": True,
            },
        )
        return list(compare_metadata(context, tables.metadata))

    async with database.writer.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database: SqlDatabase) -> None:
    await asyncio.gather(upgrade(database.url), upgrade(database.url))
    async with database.read() as transaction:
        assert (await transaction.accounts.get(0)) is not None


async def test_a_session_is_closed_once(with_session: SqlDatabase, clock: FakeClock) -> None:
    async with with_session.write() as transaction:
        await transaction.download_sessions.close(UUID(int=1), clock.now())
        await transaction.download_sessions.close(UUID(int=1), clock.now() + timedelta(hours=1))
        session = await transaction.download_sessions.get(UUID(int=1))
    assert session is not None
    assert session.closed_at == clock.now()
    assert JobStatus.PENDING.is_live


async def test_who_comes_to_wait_while_the_fetch_ends_is_not_forgotten(with_session: SqlDatabase, clock: FakeClock) -> None:
    """On PostgreSQL the two transactions overlap: the row's lock puts them in order. SQLite has one writer anyway."""
    holder, late = (a_job(clock, number, url=f"https://example.com/{number}") for number in (1, 2))
    fetch = Fetch(id=UUID(int=50), key=KEY, holder=holder.id, created_at=clock.now())
    async with with_session.write() as transaction:
        for job in (holder, late):
            await transaction.jobs.add(job)
        await transaction.fetches.claim(fetch)
    claimed, may_commit = asyncio.Event(), asyncio.Event()

    async def come_late() -> None:
        async with with_session.write() as transaction:
            found = await transaction.fetches.claim(replace(fetch, id=UUID(int=51), holder=late.id))
            claimed.set()
            await may_commit.wait()
            await transaction.jobs.save(late.waiting(str(found.id)), if_seq=late.seq)

    async def end() -> list[Job]:
        async with with_session.write() as transaction:
            held = await transaction.fetches.of_holder(holder.id)
            assert held is not None
            waiting = await transaction.jobs.waiting_for(str(held.id))
            await transaction.fetches.end(held.id)
            return waiting

    coming = asyncio.create_task(come_late())
    await claimed.wait()
    ending = asyncio.create_task(end())
    await asyncio.sleep(0.2)
    may_commit.set()
    await coming
    assert [job.id for job in await ending] == [late.id]


async def test_an_address_that_may_be_a_credential_is_encrypted_in_its_row(database_url: str, clock: FakeClock) -> None:
    await upgrade(database_url)
    database = SqlDatabase(database_url, vault=MultiFernetVault(["a key that is long enough"]))
    job = a_job(clock, url="https://me:hunter2@example.com/x?token=hunter2")
    async with database.write() as transaction:
        await transaction.download_sessions.add(a_session(clock))
        await transaction.jobs.add(job)
        stored = (await transaction.jobs._connection.execute(sa.select(tables.jobs.c.url))).scalar_one()
        assert await transaction.jobs.get(job.id) == job
    await database.close()
    assert "hunter2" not in stored


async def test_a_database_of_a_newer_version_is_refused_in_one_line_and_left_alone(database: SqlDatabase) -> None:
    async with database.write() as transaction:
        await transaction.jobs._connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(DatabaseUnusable) as refused:
        await upgrade(database.url)
    assert "another version" in str(refused.value)
    assert "\n" not in str(refused.value)
    async with database.read() as transaction:
        assert (await transaction.accounts.get(0)) is not None


async def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "magpie.db").write_bytes(b"this is no database at all " * 200)
    with pytest.raises(DatabaseUnusable) as refused:
        await upgrade(f"sqlite:///{tmp_path}/magpie.db")
    assert "\n" not in str(refused.value)
