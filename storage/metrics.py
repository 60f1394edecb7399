"""The service's figures, counted in the database: a few statements, each with an index or over a single table."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.metrics import QueueFigures, Totals
from service.model import JobStatus
from service.opened_sessions import LIFE
from storage.database import SqlDatabase
from storage.queue import QUEUE, SCHEMA, WORKFLOW
from storage.tables import LIVE, download_sessions, jobs, media_files

UUID_LENGTH = 36
IN_FLIGHT = sa.text("workflow_status.status in ('ENQUEUED', 'PENDING')")
"""Word for word the condition of the engine's partial index, which SQLite does not use otherwise: what has ended costs nothing."""

IS_LIVE = sa.text("jobs.status in ('pending', 'processing')")
"""The same for our own, beside another table that has a column of this name."""


class SqlFigures:
    """Reads on connections of its own: a scrape holds up nobody who writes."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        self._entries = _entries(None if database.is_sqlite else SCHEMA)

    async def queue(self) -> QueueFigures:
        is_list = sa.exists().where(jobs.alias("child").c.parent_id == jobs.c.id)
        is_held = jobs.c.waits_for.is_not(None).label("is_held")
        query = sa.select(jobs.c.status, is_held, sa.func.count()).where(LIVE, ~is_list).group_by(jobs.c.status, is_held)
        async with self._database.reader.connect() as connection:
            counts = {(str(row[0]), bool(row[1])): int(row[2]) for row in await connection.execute(query)}
            pending, running = JobStatus.PENDING.value, JobStatus.PROCESSING.value
            return QueueFigures(
                queued=counts.get((pending, False), 0),
                held=counts.get((pending, True), 0),
                running=counts.get((running, False), 0) + counts.get((running, True), 0),
                oldest=await self._oldest(connection),
            )

    async def oldest_queued(self) -> datetime | None:
        async with self._database.reader.connect() as connection:
            return await self._oldest(connection)

    async def _oldest(self, connection: AsyncConnection) -> datetime | None:
        """The engine knows since when: a job that waited for its account first is older than its place in the queue. The job's
        row knows whether it waits at all: one that the engine takes up again after a restart has had its place.
        """
        entry = self._entries.c
        job_id = sa.func.substr(entry.workflow_uuid, 1, UUID_LENGTH)
        is_same = jobs.c.id == sa.func.replace(job_id, "-", "") if self._database.is_sqlite else sa.cast(jobs.c.id, sa.Text) == job_id
        query = (
            sa.select(entry.created_at)
            .join(jobs, sa.and_(is_same, IS_LIVE, jobs.c.status == JobStatus.PENDING.value, jobs.c.waits_for.is_(None)))
            .where(entry.queue_name == QUEUE, IN_FLIGHT, entry.status == "ENQUEUED", entry.name == WORKFLOW)
            .order_by(entry.created_at)
            .limit(1)
        )
        milliseconds = (await connection.execute(query)).scalar_one_or_none()
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)

    async def totals(self, now: datetime) -> Totals:
        sessions = download_sessions.c
        expires = sa.and_(sessions.address.is_not(None), sessions.owner_id.is_(None))
        is_active = sa.and_(sessions.closed_at.is_(None), sa.or_(~expires, sessions.last_activity > now - LIFE))
        of_sessions = sa.select(sa.func.count(), sa.func.count(sa.case((is_active, 1)))).select_from(download_sessions)
        stored = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(media_files.c.size), 0))
        async with self._database.reader.connect() as connection:
            total, active = (await connection.execute(of_sessions)).one()
            files, size = (await connection.execute(stored)).one()
            return Totals(
                active_sessions=int(active),
                total_sessions=int(total),
                active_jobs=int((await connection.execute(sa.select(sa.func.count()).select_from(jobs).where(LIVE))).scalar_one()),
                total_jobs=int((await connection.execute(sa.select(sa.func.count()).select_from(jobs))).scalar_one()),
                stored_files=int(files),
                stored_bytes=int(size),
            )


def _entries(schema: str | None) -> sa.TableClause:
    """The engine's table of what it runs, as far as it is read here."""
    texts = [sa.column(name, sa.Text()) for name in ("workflow_uuid", "name", "queue_name", "status")]
    return sa.table("workflow_status", *texts, sa.column("created_at", sa.BigInteger()), schema=schema)
