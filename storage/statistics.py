"""How the service is doing, counted in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import LOCAL_ACCOUNT, JobStatus, Outcome
from service.statistics import Statistics
from storage.database import SqlDatabase
from storage.tables import LIVE, accounts, history_entries, jobs, media_files


class SqlStatistics:
    """A list counts by its items."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    async def since(self, moment: datetime) -> Statistics:
        people = sa.select(sa.func.count()).select_from(accounts).where(accounts.c.id != LOCAL_ACCOUNT)
        stored = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(media_files.c.size), 0))
        async with self._database.reader.connect() as connection:
            by_status = await self._live(connection)
            files, size = (await connection.execute(stored)).one()
            return Statistics(
                running=by_status.get(JobStatus.PROCESSING.value, 0),
                queued=by_status.get(JobStatus.PENDING.value, 0),
                files=int(files),
                stored_bytes=int(size),
                accounts=int((await connection.execute(people)).scalar_one()),
                failures=await self._failures(connection, moment),
            )

    async def _live(self, connection: AsyncConnection) -> dict[str, int]:
        is_list = sa.exists().where(jobs.alias("child").c.parent_id == jobs.c.id)
        return await _counts(connection, sa.select(jobs.c.status, sa.func.count()).where(LIVE, ~is_list).group_by(jobs.c.status))

    async def _failures(self, connection: AsyncConnection, moment: datetime) -> dict[str, int]:
        code = sa.func.coalesce(history_entries.c.code, "error")
        failed = history_entries.c.outcome.in_([Outcome.FAILURE.value, Outcome.PARTIAL.value])
        query = sa.select(code, sa.func.count()).where(failed, history_entries.c.ended_at >= moment).group_by(code)
        return await _counts(connection, query.order_by(sa.func.count().desc(), code))


async def _counts(connection: AsyncConnection, query: sa.Select[Any, int]) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in await connection.execute(query)}
