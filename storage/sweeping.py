"""What the sweeper looks for in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.model import Account, Job
from service.ports import Vault
from service.sweeping import AT_ONCE
from storage.accounts import account_of
from storage.database import SqlDatabase
from storage.job_pages import SqlJobPages
from storage.jobs import SqlJobs
from storage.own_sessions import ENDED, SqlOwnSessions, has_live_items, remove_session
from storage.tables import (
    accounts,
    charges,
    download_sessions,
    ended_logins,
    idempotency_keys,
    job_files,
    jobs,
    media_files,
    one_time_codes,
    telegram_users,
    webhook_messages,
)

DAY = timedelta(days=1)


class SqlSweeping:
    """Reads on connections of its own."""

    def __init__(self, database: SqlDatabase, vault: Vault | None) -> None:
        self._database, self._vault = database, vault
        self._own, self._pages = SqlOwnSessions(database), SqlJobPages(database, vault)

    async def expired_sessions(self, used_before: datetime) -> list[UUID]:
        sessions = download_sessions.c
        return await self._ids(
            sa.select(sessions.id).where(
                sessions.address.is_not(None), sessions.owner_id.is_(None), sessions.last_activity < used_before, ~_with_jobs(live=True)
            )
        )

    async def empty_sessions(self, closed_before: datetime) -> list[UUID]:
        sessions = download_sessions.c
        is_used = sa.exists().where(telegram_users.c.download_session_id == sessions.id)
        return await self._ids(
            sa.select(sessions.id).where(sessions.closes_with_job, sessions.created_at < closed_before, ~_with_jobs(live=False), ~is_used)
        )

    async def owners_of_jobs(self, ended_before: datetime) -> list[Account]:
        some = sa.exists().where(jobs.c.account_id == accounts.c.id, jobs.c.ended_at < ended_before)
        async with self._database.reader.connect() as connection:
            return [account_of(row) for row in await connection.execute(sa.select(accounts).where(some))]

    async def jobs_of(self, account_id: int, ended_before: datetime) -> list[Job]:
        old = jobs.c.account_id == account_id, jobs.c.ended_at < ended_before, jobs.c.parent_id.is_(None), jobs.c.status.in_(ENDED)
        return await self._jobs(sa.select(jobs).where(*old, ~has_live_items()).order_by(jobs.c.created_at, jobs.c.id).limit(AT_ONCE))

    async def jobs_in(self, session_id: UUID) -> list[Job]:
        return await self._jobs(sa.select(jobs).where(jobs.c.download_session_id == session_id))

    async def items_of(self, job_id: UUID) -> list[Job]:
        return await self._jobs(sa.select(jobs).where(jobs.c.parent_id == job_id))

    async def known_paths(self, paths: Sequence[str]) -> set[str]:
        if not paths:
            return set()
        shown = sa.select(job_files.c.path).where(job_files.c.path.in_(paths))
        stored = sa.select(media_files.c.location).where(media_files.c.location.in_(paths))
        async with self._database.reader.connect() as connection:
            return set((await connection.execute(shown.union(stored))).scalars())

    async def live_jobs(self) -> set[UUID]:
        return set(await self._ids(sa.select(jobs.c.id).where(jobs.c.status.not_in(ENDED))))

    async def remove_session(self, session_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        return await self._own.remove(session_id, media_file_ids)

    async def remove_expired(self, session_id: UUID, used_before: datetime, media_file_ids: Sequence[int]) -> list[str]:
        sessions = download_sessions.c
        still = sessions.id == session_id, sessions.owner_id.is_(None), sessions.last_activity < used_before
        async with self._database.writer.begin() as connection:
            found = await connection.execute(sa.select(sessions.id).where(*still).with_for_update())
            if found.one_or_none() is None:
                return []
            return await remove_session(connection, session_id, media_file_ids)

    async def remove_job(self, job_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        return await self._pages.remove(job_id, media_file_ids)

    async def remove_old_rows(self, now: datetime, idempotency: datetime, *, dry_run: bool) -> int:
        old = [
            (idempotency_keys, idempotency_keys.c.created_at < idempotency),
            (one_time_codes, one_time_codes.c.expires_at <= now),
            (ended_logins, ended_logins.c.expires_at <= now),
            (webhook_messages, webhook_messages.c.ended_at <= now - 30 * DAY),
            (charges, charges.c.charged_at <= now - DAY),
        ]
        if dry_run:
            async with self._database.reader.connect() as connection:
                counted = [await connection.execute(sa.select(sa.func.count()).select_from(table).where(is_old)) for table, is_old in old]
                return sum(int(one.scalar_one()) for one in counted)
        async with self._database.writer.begin() as connection:
            return sum([(await connection.execute(sa.delete(table).where(is_old))).rowcount for table, is_old in old])

    async def _ids(self, query: sa.Select[Any]) -> list[UUID]:
        async with self._database.reader.connect() as connection:
            return [row[0] for row in await connection.execute(query)]

    async def _jobs(self, query: sa.Select[Any]) -> list[Job]:
        async with self._database.reader.connect() as connection:
            reader = SqlJobs(connection, self._vault)
            return [reader.job_of(row) for row in await connection.execute(query)]


def _with_jobs(*, live: bool) -> sa.ColumnElement[bool]:
    found = sa.exists().where(jobs.c.download_session_id == download_sessions.c.id)
    return found.where(jobs.c.status.not_in(ENDED)) if live else found
