"""Download sessions as they are looked through, with what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.model import Job, JobStatus
from service.opened_sessions import LIFE, Opened, Overview, Tally, Viewer
from service.paging import Page, Window
from storage.database import SqlDatabase
from storage.download_sessions import session_of
from storage.own_sessions import SqlOwnSessions
from storage.paging import count_of, mark_of, window_of
from storage.tables import LIVE, download_sessions, job_files, jobs, media_files


class SqlOpenedSessions:
    """Reads on connections of its own."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database, self._own = database, SqlOwnSessions(database)

    async def page(self, viewer: Viewer, *, is_open: bool | None, now: datetime, window: Window) -> Page[Opened]:
        conditions = [_seen_by(viewer)]
        if is_open is not None:
            conditions.append(_is_open(now) if is_open else ~_is_open(now))
        query = window_of(sa.select(download_sessions).where(*conditions), download_sessions.c.created_at, download_sessions.c.id, window)
        async with self._database.reader.connect() as connection:
            rows = list(await connection.execute(query))
            count = await count_of(connection, sa.select(download_sessions.c.id).where(*conditions), window)
            shown = rows[: window.limit]
            tallies = await _tallies(connection, jobs.c.download_session_id.in_([row.id for row in shown]))
        entries = [Opened(session=session_of(row), tally=tallies.get(row.id, Tally())) for row in shown]
        return Page(entries=entries, count=count, next=mark_of(rows, window))

    async def tally(self, session_id: UUID) -> Tally:
        async with self._database.reader.connect() as connection:
            return (await _tallies(connection, jobs.c.download_session_id == session_id)).get(session_id, Tally())

    async def overview(self, viewer: Viewer, now: datetime) -> Overview:
        seen = sa.select(download_sessions.c.id).where(_seen_by(viewer))
        async with self._database.reader.connect() as connection:
            counted = await connection.execute(
                sa.select(sa.func.count(), sa.func.sum(sa.case((_is_open(now), 1), else_=0))).where(_seen_by(viewer))
            )
            sessions, is_open = counted.one()
            tallies = (await _tallies(connection, jobs.c.download_session_id.in_(seen))).values()
        total = Tally(
            jobs=sum(one.jobs for one in tallies),
            live=sum(one.live for one in tallies),
            completed=sum(one.completed for one in tallies),
            failed=sum(one.failed for one in tallies),
            stored_bytes=sum(one.stored_bytes for one in tallies),
        )
        return Overview(sessions=int(sessions), open=int(is_open or 0), tally=total)

    async def jobs_in(self, session_id: UUID) -> list[Job]:
        async with self._database.read() as transaction:
            return await transaction.jobs.in_session(session_id)

    async def remove(self, session_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        return await self._own.remove(session_id, media_file_ids)


def _seen_by(viewer: Viewer) -> sa.ColumnElement[bool]:
    if viewer.actor.is_superuser:
        return sa.true()
    sessions = download_sessions.c
    mine: list[sa.ColumnElement[bool]] = [sa.false()]
    if viewer.actor.account_id is not None:
        mine.append(sessions.owner_id == viewer.actor.account_id)
    if viewer.shown is not None:
        mine.append(sa.and_(sessions.id == viewer.shown, sessions.id != sessions.folder, sessions.owner_id.is_(None)))
    return sa.or_(*mine)


def _is_open(now: datetime) -> sa.ColumnElement[bool]:
    sessions = download_sessions.c
    lives = sa.or_(sessions.address.is_(None), sessions.owner_id.is_not(None), sessions.last_activity > now - LIFE)
    return sa.and_(sessions.closed_at.is_(None), lives)


async def _tallies(connection: Any, of: sa.ColumnElement[bool]) -> dict[UUID, Tally]:
    session = jobs.c.download_session_id

    def number(condition: sa.ColumnElement[bool] | sa.TextClause) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    counted = await connection.execute(
        sa.select(
            session,
            sa.func.count(),
            number(LIVE),
            number(jobs.c.status == JobStatus.COMPLETED.value),
            number(jobs.c.status == JobStatus.FAILED.value),
        )
        .where(of)
        .group_by(session)
    )
    once = (
        sa.select(session.label("session"), media_files.c.id, media_files.c.size)
        .join(job_files, job_files.c.job_id == jobs.c.id)
        .join(media_files, media_files.c.id == job_files.c.media_file_id)
        .where(of)
        .distinct()
        .subquery()
    )
    stored = dict((await connection.execute(sa.select(once.c.session, sa.func.sum(once.c.size)).group_by(once.c.session))).all())
    return {
        row[0]: Tally(jobs=row[1], live=row[2], completed=row[3], failed=row[4], stored_bytes=int(stored.get(row[0], 0))) for row in counted
    }
