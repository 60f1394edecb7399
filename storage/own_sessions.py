"""An account's own download sessions in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.model import DownloadSession, JobStatus, Origin
from service.own_sessions import OwnSession
from storage.database import SqlDatabase
from storage.media_files import SqlMediaFiles
from storage.tables import download_sessions, job_files, jobs, telegram_users

ENDED = [status.value for status in JobStatus if not status.is_live]


class SqlOwnSessions:
    """The rows of owned download sessions."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    async def page(self, account_id: int, *, skip: int, limit: int) -> tuple[list[OwnSession], int]:
        mine = sa.and_(download_sessions.c.owner_id == account_id, _has_jobs())
        newest = _described().where(mine).order_by(download_sessions.c.last_activity.desc(), download_sessions.c.id)
        async with self._database.reader.connect() as connection:
            found = await connection.execute(newest.offset(skip).limit(limit))
            counted = await connection.execute(sa.select(sa.func.count()).select_from(download_sessions).where(mine))
            return [_own(row) for row in found], int(counted.scalar_one())

    async def get(self, account_id: int, folder: UUID) -> OwnSession | None:
        query = _described().where(download_sessions.c.owner_id == account_id, download_sessions.c.folder == folder)
        async with self._database.reader.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _own(row) if row else None

    async def remove(self, session_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        async with self._database.writer.begin() as connection:
            # What was asked for in this moment is still to come.
            await connection.execute(sa.delete(jobs).where(jobs.c.download_session_id == session_id, jobs.c.status.in_(ENDED)))
            await SqlMediaFiles(connection).forget_addresses([f"session:{session_id}"])
            empty = download_sessions.c.id == session_id, ~_is_in_use(), ~_has_jobs()
            await connection.execute(sa.delete(download_sessions).where(*empty))
            return await SqlMediaFiles(connection).drop_unused(media_file_ids)


def _is_in_use() -> sa.ColumnElement[bool]:
    """By a Telegram identity, which would go with it."""
    return sa.exists().where(telegram_users.c.download_session_id == download_sessions.c.id)


def _has_jobs() -> sa.ColumnElement[bool]:
    return sa.exists().where(jobs.c.download_session_id == download_sessions.c.id)


def _described() -> sa.Select[Any]:
    of_session = jobs.c.download_session_id == download_sessions.c.id
    count = sa.select(sa.func.count()).select_from(jobs).where(of_session).scalar_subquery()
    files = sa.select(sa.func.count()).select_from(job_files).join(jobs, jobs.c.id == job_files.c.job_id).where(of_session)
    title = sa.select(jobs.c.title).where(of_session, jobs.c.title.is_not(None)).order_by(jobs.c.created_at.desc()).limit(1)
    return sa.select(
        download_sessions,
        count.label("job_count"),
        files.scalar_subquery().label("file_count"),
        title.scalar_subquery().label("last_title"),
        _is_in_use().label("is_in_use"),
    )


def _own(row: Any) -> OwnSession:
    values = {name: getattr(row, name) for name in download_sessions.c.keys()}  # noqa: SIM118 - a collection of columns, no dict
    session = DownloadSession(**{**values, "created_by": Origin(row.created_by)})
    return OwnSession(session=session, jobs=row.job_count, files=row.file_count, title=row.last_title, is_in_use=bool(row.is_in_use))
