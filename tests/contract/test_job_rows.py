"""Jobs of lists and of accounts: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobStatus, Origin
from service.selection import Selection
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock


@pytest.fixture
async def room(database: SqlDatabase, clock: FakeClock) -> SqlDatabase:
    async with database.write() as transaction:
        await transaction.download_sessions.add(
            DownloadSession(
                id=UUID(int=1),
                folder=UUID(int=1),
                owner_id=0,
                created_by=Origin.CHAT,
                created_at=clock.now(),
                last_activity=clock.now(),
            )
        )
    return database


def a_job(clock: FakeClock, number: int) -> Job:
    return Job(
        id=UUID(int=number),
        download_session_id=UUID(int=1),
        account_id=0,
        origin=Origin.CHAT,
        url=MediaUrl.parse(f"https://example.com/{number}"),
        selection=Selection.of("audio"),
        created_at=clock.now() + timedelta(seconds=number),
    )


async def test_children_come_in_the_lists_order(room: SqlDatabase, clock: FakeClock) -> None:
    async with room.write() as transaction:
        await transaction.jobs.add(a_job(clock, 1))
        for number, position in ((2, 2), (3, 0), (4, 1)):
            await transaction.jobs.add(replace(a_job(clock, number), parent_id=UUID(int=1), position=position))
        assert [job.id.int for job in await transaction.jobs.children_of(UUID(int=1))] == [3, 4, 2]


async def test_live_are_the_accounts_jobs_that_have_not_ended_oldest_first(room: SqlDatabase, clock: FakeClock) -> None:
    async with room.write() as transaction:
        for number in (3, 1):
            await transaction.jobs.add(a_job(clock, number))
        await transaction.jobs.add(a_job(clock, 2).cancelled(clock.now()))
        await transaction.jobs.add(replace(a_job(clock, 4), account_id=None))
        assert [job.id.int for job in await transaction.jobs.live_of(0)] == [1, 3]


async def test_a_locked_job_is_changed_by_nobody_else(room: SqlDatabase, clock: FakeClock) -> None:
    async with room.write() as transaction:
        await transaction.jobs.add(a_job(clock, 1))
    locked, may_end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with room.write() as transaction:
            job = await transaction.jobs.locked(UUID(int=1))
            assert job is not None
            locked.set()
            await may_end.wait()
            await transaction.jobs.save(job.started(clock.now()), if_seq=job.seq)

    async def come_late() -> Job | None:
        async with room.write() as transaction:
            return await transaction.jobs.locked(UUID(int=1))

    holding = asyncio.create_task(hold())
    await locked.wait()
    late = asyncio.create_task(come_late())
    early, _ = await asyncio.wait({late}, timeout=0.3)  # only without the lock is it through by then
    may_end.set()
    await holding
    seen = await late
    assert not early
    assert seen is not None
    assert seen.status is JobStatus.PROCESSING
