"""Jobs with what belongs to them, as they are looked through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.job_pages import JobFilter, JobState
from service.model import DownloadSession, Job, JobFile, JobStatus, Phase
from service.opened_sessions import Viewer
from service.paging import Page, Window
from service.ports import Vault
from storage.database import SqlDatabase
from storage.download_sessions import session_of
from storage.jobs import SqlJobs
from storage.media_files import SqlMediaFiles
from storage.own_sessions import ENDED, has_live_items
from storage.paging import count_of, mark_of, window_of
from storage.tables import LIVE, download_sessions, jobs

RECENT, LATEST = 20, 2000


class SqlJobPages:
    """Reads on connections of its own."""

    def __init__(self, database: SqlDatabase, vault: Vault | None) -> None:
        self._database, self._vault = database, vault

    async def get(self, job_id: UUID) -> JobState | None:
        async with self._database.reader.connect() as connection:
            job = await SqlJobs(connection, self._vault).get(job_id)
            return (await self._states(connection, [job]))[0] if job else None

    async def states(self, known: Sequence[Job]) -> list[JobState]:
        async with self._database.reader.connect() as connection:
            return await self._states(connection, known)

    async def page(self, viewer: Viewer, wanted: JobFilter, window: Window) -> Page[JobState]:
        conditions = [_seen_by(viewer), *_wanted(wanted)]
        query = window_of(sa.select(jobs).where(*conditions), jobs.c.created_at, jobs.c.id, window)
        async with self._database.reader.connect() as connection:
            rows = list(await connection.execute(query))
            count = await count_of(connection, sa.select(jobs.c.id).where(*conditions), window)
            found = [SqlJobs(connection, self._vault).job_of(row) for row in rows[: window.limit]]
            return Page(entries=await self._states(connection, found), count=count, next=mark_of(rows, window))

    async def remove(self, job_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        async with self._database.writer.begin() as connection:
            await connection.execute(sa.delete(jobs).where(jobs.c.id == job_id, jobs.c.status.in_(ENDED), ~has_live_items()))
            return await SqlMediaFiles(connection).drop_unused(media_file_ids)

    async def news(self, job_ids: Sequence[UUID], since: datetime | None) -> list[Job]:
        wanted: list[sa.ColumnElement[bool]] = [jobs.c.id.in_(job_ids), jobs.c.parent_id.in_(job_ids)]
        if since is not None:
            runs = sa.and_(LIVE, jobs.c.status == JobStatus.PROCESSING.value)
            wanted += [runs, jobs.c.waits_for.is_not(None), jobs.c.created_at >= since, jobs.c.ended_at >= since]
        async with self._database.reader.connect() as connection:
            found = await connection.execute(sa.select(jobs).where(sa.or_(*wanted)).order_by(jobs.c.created_at, jobs.c.id))
            return [SqlJobs(connection, self._vault).job_of(row) for row in found]

    async def ended_since(self, viewer: Viewer, moment: datetime) -> list[Job]:
        named = [_in_session(viewer.named)] if viewer.named is not None else []
        return await self._ended(jobs.c.ended_at >= moment, _seen_by(viewer), *named)

    async def downloads_ended_since(self, moment: datetime) -> list[Job]:
        return await self._ended(jobs.c.ended_at >= moment, jobs.c.phase != Phase.ITEMS.value)

    async def latest_completed(self) -> list[Job]:
        return await self._ended(jobs.c.status == JobStatus.COMPLETED.value, jobs.c.ended_at.is_not(None))

    async def _ended(self, *conditions: sa.ColumnElement[bool]) -> list[Job]:
        query = sa.select(jobs).where(*conditions).order_by(jobs.c.ended_at.desc()).limit(LATEST)
        async with self._database.reader.connect() as connection:
            return [SqlJobs(connection, self._vault).job_of(row) for row in await connection.execute(query)]

    async def usual_time(self) -> timedelta | None:
        query = (
            sa.select(jobs.c.started_at, jobs.c.ended_at)
            .where(jobs.c.status == JobStatus.COMPLETED.value, jobs.c.started_at.is_not(None), jobs.c.phase != Phase.ITEMS.value)
            .order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
            .limit(RECENT)
        )
        async with self._database.reader.connect() as connection:
            took = [row.ended_at - row.started_at for row in await connection.execute(query)]
        return sum(took, timedelta(0)) / len(took) if took else None

    async def _states(self, connection: AsyncConnection, found: Sequence[Job]) -> list[JobState]:
        sessions = await self._sessions(connection, {job.download_session_id for job in found})
        files = await self._files(connection, [job.id for job in found if job.status is JobStatus.COMPLETED])
        queued = [job for job in found if job.status is JobStatus.PENDING and job.waits_for is None]
        ahead = await SqlJobs(connection, self._vault).all_ahead_of(queued)
        return [
            JobState(job=job, session=sessions[job.download_session_id], files=tuple(files[job.id]), ahead=ahead.get(job.id))
            for job in found
            if job.download_session_id in sessions  # else it was deleted between two looks
        ]

    async def _sessions(self, connection: AsyncConnection, ids: set[UUID]) -> dict[UUID, DownloadSession]:
        if not ids:
            return {}
        is_one = download_sessions.c.id == next(iter(ids)) if len(ids) == 1 else download_sessions.c.id.in_(ids)
        found = await connection.execute(sa.select(download_sessions).where(is_one))
        return {row.id: session_of(row) for row in found}

    async def _files(self, connection: AsyncConnection, job_ids: Sequence[UUID]) -> dict[UUID, list[JobFile]]:
        files: dict[UUID, list[JobFile]] = defaultdict(list)
        for file in await SqlMediaFiles(connection).of_jobs(job_ids) if job_ids else ():
            files[file.job_id].append(file)
        return files


def _seen_by(viewer: Viewer) -> sa.ColumnElement[bool]:
    if viewer.actor.is_superuser:
        return sa.true()
    mine: list[sa.ColumnElement[bool]] = [sa.false()]
    if viewer.actor.account_id is not None:
        mine.append(jobs.c.account_id == viewer.actor.account_id)
    if viewer.shown is not None:
        mine.append(sa.and_(jobs.c.download_session_id == viewer.shown, jobs.c.account_id.is_(None)))
    return sa.or_(*mine)


def _wanted(wanted: JobFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.status is not None:
        conditions.append(jobs.c.status == wanted.status.value)
    if wanted.media_type is not None:
        conditions.append(jobs.c.selection.like(f"{wanted.media_type}:%"))
    if wanted.parent_id is not None:
        conditions.append(jobs.c.parent_id == wanted.parent_id)
    conditions += [_in_session(known) for known in (wanted.session, wanted.also_session) if known is not None]
    return conditions


def _in_session(known: UUID) -> sa.ColumnElement[bool]:
    named = sa.or_(download_sessions.c.id == known, download_sessions.c.folder == known)
    return jobs.c.download_session_id.in_(sa.select(download_sessions.c.id).where(named))
