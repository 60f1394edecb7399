"""History entries in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import HistoryEntry, Origin, Outcome
from storage.fetches import insert
from storage.tables import history_entries


class SqlHistory:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, entry: HistoryEntry) -> None:
        await self._connection.execute(
            insert(self._connection, history_entries)
            .values(
                job_id=entry.job_id,
                attempt=entry.attempt,
                account_id=entry.account_id,
                download_session_id=entry.download_session_id,
                origin=entry.origin.value,
                outcome=entry.outcome.value,
                title=entry.title,
                url=entry.url,
                message=entry.message,
                code=entry.code,
                files=list(entry.files),
                words=f"{entry.title or ''} {entry.url}".casefold(),
                started_at=entry.started_at,
                ended_at=entry.ended_at,
            )
            .on_conflict_do_nothing(index_elements=["job_id", "attempt"])
        )

    async def of_job(self, job_id: UUID) -> list[HistoryEntry]:
        """Oldest first."""
        return await self._many(sa.select(history_entries).where(history_entries.c.job_id == job_id).order_by(history_entries.c.id))

    async def get(self, entry_id: int) -> HistoryEntry | None:
        found = await self._many(sa.select(history_entries).where(history_entries.c.id == entry_id))
        return found[0] if found else None

    async def page(self, account_id: int, *, words: Sequence[str] = (), skip: int = 0, limit: int = 10) -> tuple[list[HistoryEntry], int]:
        conditions = [history_entries.c.account_id == account_id]
        conditions += [history_entries.c.words.contains(word.casefold(), autoescape=True) for word in words]
        query = sa.select(history_entries).where(*conditions).order_by(history_entries.c.id.desc()).offset(skip).limit(limit)
        count = await self._connection.execute(sa.select(sa.func.count()).select_from(history_entries).where(*conditions))
        return await self._many(query), int(count.scalar_one())

    async def _many(self, query: sa.Select[Any]) -> list[HistoryEntry]:
        return [
            HistoryEntry(
                id=row.id,
                job_id=row.job_id,
                attempt=row.attempt,
                account_id=row.account_id,
                download_session_id=row.download_session_id,
                origin=Origin(row.origin),
                outcome=Outcome(row.outcome),
                title=row.title,
                url=row.url,
                message=row.message,
                code=row.code,
                files=tuple(row.files),
                started_at=row.started_at,
                ended_at=row.ended_at,
            )
            for row in await self._connection.execute(query)
        ]
