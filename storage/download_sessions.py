"""Download sessions in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.download_sessions import Unowned
from service.model import Account, DownloadSession, Origin
from storage.tables import charges, download_sessions, history_entries, jobs


class SqlDownloadSessions:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, session: DownloadSession) -> None:
        await self.add_all([session])

    async def add_all(self, sessions: Sequence[DownloadSession]) -> None:
        names = download_sessions.c.keys()
        await self._connection.execute(sa.insert(download_sessions), [{name: getattr(one, name) for name in names} for one in sessions])

    async def get(self, session_id: UUID) -> DownloadSession | None:
        row = (await self._connection.execute(sa.select(download_sessions).where(download_sessions.c.id == session_id))).one_or_none()
        return session_of(row) if row else None

    async def of_account(self, account_id: int) -> list[DownloadSession]:
        found = await self._connection.execute(
            sa.select(download_sessions).where(download_sessions.c.owner_id == account_id).order_by(download_sessions.c.created_at)
        )
        return [session_of(row) for row in found]

    async def by_id_or_folder(self, known: UUID, *, lock: bool = True) -> DownloadSession | None:
        """With `lock`, nobody else gives it away until the transaction ends."""
        query = sa.select(download_sessions).where(sa.or_(download_sessions.c.id == known, download_sessions.c.folder == known))
        row = (await self._connection.execute(query.with_for_update() if lock else query)).one_or_none()
        return session_of(row) if row else None

    async def open_count(self, since: datetime, address: str | None = None) -> int:
        mine = [] if address is None else [download_sessions.c.address == address]
        counted = await self._connection.execute(sa.select(sa.func.count()).select_from(download_sessions).where(*_open(since), *mine))
        return int(counted.scalar_one())

    async def oldest_empty(self, since: datetime, before: datetime) -> UUID | None:
        has_jobs = sa.exists().where(jobs.c.download_session_id == download_sessions.c.id)
        found = await self._connection.execute(
            sa.select(download_sessions.c.id)
            .where(*_open(since), download_sessions.c.last_activity <= before, ~has_jobs)
            .order_by(download_sessions.c.last_activity)
            .limit(1)
        )
        return found.scalar_one_or_none()

    async def used(self, times: Mapping[UUID, datetime]) -> None:
        if not times:
            return
        older = download_sessions.c.id == sa.bindparam("known"), download_sessions.c.last_activity < sa.bindparam("at")
        await self._connection.execute(
            sa.update(download_sessions).where(*older).values(last_activity=sa.bindparam("at")),
            [{"known": session_id, "at": at} for session_id, at in sorted(times.items())],  # the same order for everybody
        )

    async def unowned(
        self, named: Account | None, *, shown: UUID | None = None, everyone: bool = False, skip: int = 0, limit: int = 100
    ) -> tuple[list[Unowned], int]:
        """Newest first: those that name this account, the one that is shown, or everybody's; and how many there are."""
        mine: list[sa.ColumnElement[bool]] = [_names(named)] if named else []
        if shown is not None:
            # Where the id is the folder it stands in every link, and is no credential.
            mine.append(sa.and_(download_sessions.c.id == shown, download_sessions.c.id != download_sessions.c.folder))
        seen = sa.true() if everyone else sa.or_(sa.false(), *mine)
        conditions = [download_sessions.c.owner_id.is_(None), seen]
        counted = await self._connection.execute(sa.select(sa.func.count()).select_from(download_sessions).where(*conditions))
        newest = _with_jobs().where(*conditions).order_by(download_sessions.c.created_at.desc(), download_sessions.c.id)
        found = await self._connection.execute(newest.offset(skip).limit(limit))
        return [_unowned(row) for row in found], int(counted.scalar_one())

    async def unowned_all(self, *, since: datetime | None = None, session_id: UUID | None = None) -> list[Unowned]:
        conditions: list[sa.ColumnElement[bool]] = [download_sessions.c.owner_id.is_(None)]
        if since is not None:
            conditions.append(download_sessions.c.created_at >= since)
        if session_id is not None:
            conditions.append(sa.or_(download_sessions.c.id == session_id, download_sessions.c.folder == session_id))
        found = await self._connection.execute(_with_jobs().where(*conditions).order_by(download_sessions.c.created_at))
        return [_unowned(row) for row in found]

    async def payers_in(self, session_id: UUID) -> set[str]:
        """Of its jobs."""
        found = await self._connection.execute(sa.select(jobs.c.payer).distinct().where(jobs.c.download_session_id == session_id))
        return {row.payer for row in found if row.payer is not None}

    async def give(self, session_id: UUID, account_id: int) -> None:
        """With its jobs, what they were charged, and their history."""
        payer = f"account:{account_id}"
        mine = sa.select(jobs.c.id).where(jobs.c.download_session_id == session_id)
        places = sa.update(jobs).where(jobs.c.download_session_id == session_id, jobs.c.waits_for == jobs.c.payer)
        await self._connection.execute(places.values(waits_for=payer))
        await self._connection.execute(sa.update(download_sessions).where(download_sessions.c.id == session_id).values(owner_id=account_id))
        await self._connection.execute(sa.update(charges).where(charges.c.job_id.in_(mine)).values(account_id=account_id, payer=payer))
        await self._connection.execute(
            sa.update(jobs).where(jobs.c.download_session_id == session_id).values(account_id=account_id, payer=payer)
        )
        await self._connection.execute(
            sa.update(history_entries).where(history_entries.c.download_session_id == session_id).values(account_id=account_id)
        )

    async def forget_name(self, account: Account) -> None:
        """Who was named by requests is not known any more."""
        await self._connection.execute(
            sa.update(download_sessions).where(_names(account)).values(requested_username=None, requested_id=None)
        )

    async def close(self, session_id: UUID, now: datetime) -> None:
        """Closing a closed one keeps its time."""
        await self._connection.execute(
            sa.update(download_sessions)
            .where(download_sessions.c.id == session_id, download_sessions.c.closed_at.is_(None))
            .values(closed_at=now, last_activity=now)
        )


def _open(since: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Anonymous ones that somebody opened, and that neither closed nor expired."""
    sessions = download_sessions.c
    return (
        sessions.address.is_not(None),
        sessions.owner_id.is_(None),
        sessions.closed_at.is_(None),
        ~sessions.closes_with_job,
        sessions.last_activity > since,
    )


def _names(account: Account) -> sa.ColumnElement[bool]:
    """A name counts for whoever had it then; one that was free, for whoever has it now."""
    sessions = download_sessions.c
    by_name = sa.and_(sessions.requested_id.is_(None), sa.func.lower(sessions.requested_username) == account.username.lower())
    return sa.or_(sessions.requested_id == account.id, by_name)


def _with_jobs() -> sa.Select[Any]:
    of_session = jobs.c.download_session_id == download_sessions.c.id
    count = sa.select(sa.func.count()).select_from(jobs).where(of_session).scalar_subquery()
    title = sa.select(jobs.c.title).where(of_session, jobs.c.title.is_not(None)).order_by(jobs.c.created_at).limit(1).scalar_subquery()
    return sa.select(download_sessions, count.label("job_count"), title.label("first_title"))


def _unowned(row: Any) -> Unowned:
    return Unowned(session=session_of(row), jobs=row.job_count, title=row.first_title)


def session_of(row: Any) -> DownloadSession:
    names = download_sessions.c.keys()
    values = {name: getattr(row, name) for name in names}
    return DownloadSession(**{**values, "created_by": Origin(row.created_by)})
