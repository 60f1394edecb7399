"""Jobs in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.media_url import MediaUrl
from service.model import Job, JobStatus, Origin, Phase, Progress
from service.ports import Vault
from service.selection import Selection
from storage.fetches import insert
from storage.sealed import Sealing
from storage.tables import LIVE, cards, jobs, link_items

ROWS_AT_ONCE = 100
"""In one statement: a database takes only so many values in it."""


class SqlJobs:
    def __init__(self, connection: AsyncConnection, vault: Vault | None) -> None:
        self._connection, self._sealing = connection, Sealing(vault)

    async def add(self, job: Job) -> bool:
        return job.id in await self.add_all([job])

    async def add_all(self, new: Sequence[Job]) -> set[UUID]:
        added: set[UUID] = set()
        for start in range(0, len(new), ROWS_AT_ONCE):
            rows = [{**self._birth(job), **_state(job)} for job in new[start : start + ROWS_AT_ONCE]]
            # Rows as parameters: the statement is compiled once, however many there are.
            query = insert(self._connection, jobs).on_conflict_do_nothing().returning(jobs.c.id)
            added |= set((await self._connection.execute(query, rows)).scalars())
        return added

    async def get(self, job_id: UUID) -> Job | None:
        row = (await self._connection.execute(sa.select(jobs).where(jobs.c.id == job_id))).one_or_none()
        return self.job_of(row) if row else None

    async def locked(self, job_id: UUID) -> Job | None:
        found = await self._many(sa.select(jobs).where(jobs.c.id == job_id).with_for_update())
        return found[0] if found else None

    async def children_of(self, job_id: UUID) -> list[Job]:
        return await self._many(sa.select(jobs).where(jobs.c.parent_id == job_id).order_by(jobs.c.position))

    async def in_session(self, session_id: UUID) -> list[Job]:
        return await self._many(sa.select(jobs).where(jobs.c.download_session_id == session_id).order_by(jobs.c.created_at, jobs.c.id))

    async def count_in(self, session_id: UUID) -> int:
        counted = await self._connection.execute(sa.select(sa.func.count()).where(jobs.c.download_session_id == session_id))
        return int(counted.scalar_one())

    async def of_account(self, account_id: int) -> list[Job]:
        return await self._many(sa.select(jobs).where(jobs.c.account_id == account_id).order_by(jobs.c.created_at, jobs.c.id))

    async def live_of(self, account_id: int) -> list[Job]:
        return await self._many(sa.select(jobs).where(jobs.c.account_id == account_id, LIVE).order_by(jobs.c.created_at, jobs.c.id))

    async def live_twin(self, job: Job) -> Job | None:
        born = jobs.alias("born")
        own = sa.select(born.c.dedupe_key).where(born.c.id == job.id).scalar_subquery()  # it may have become a list since
        found = await self._many(
            sa.select(jobs).where(
                jobs.c.download_session_id == job.download_session_id,
                sa.or_(jobs.c.dedupe_key == job.dedupe_key, jobs.c.dedupe_key == own),
                LIVE,
                jobs.c.id != job.id,
            )
        )
        return found[0] if found else None

    async def save(self, job: Job, *, if_seq: int) -> bool:
        saved = await self._connection.execute(sa.update(jobs).where(jobs.c.id == job.id, jobs.c.seq == if_seq).values(**_state(job)))
        return saved.rowcount == 1

    async def waiting_for(self, what: str) -> list[Job]:
        return await self._many(
            sa.select(jobs).where(jobs.c.waits_for == what, jobs.c.status == JobStatus.PENDING).order_by(jobs.c.created_at, jobs.c.id)
        )

    async def payers_waited_for(self) -> list[str]:
        found = await self._connection.execute(
            sa.select(jobs.c.waits_for).distinct().where(jobs.c.waits_for == jobs.c.payer, jobs.c.status == JobStatus.PENDING)
        )
        return [row.waits_for for row in found]

    async def of_link(self, link_id: int, *, live: bool) -> list[Job]:
        wanted = [jobs.c.link_id == link_id, jobs.c.parent_id.is_(None)]
        return await self._many(sa.select(jobs).where(*wanted, *([LIVE] if live else [])).order_by(jobs.c.created_at, jobs.c.id))

    async def items_had(self, link_id: int, skip: int, told_since: datetime) -> list[Job]:
        had = [jobs.c.link_id == link_id, jobs.c.parent_id.is_not(None), jobs.c.status == JobStatus.COMPLETED]
        newest = sa.select(jobs.c.id).where(*had).order_by(jobs.c.created_at.desc(), jobs.c.position, jobs.c.id).limit(skip)
        untold = sa.exists().where(link_items.c.job_id == jobs.c.id, link_items.c.is_told.is_(False), link_items.c.seen_at > told_since)
        on_its_way = sa.exists().where(cards.c.job_id == jobs.c.parent_id, cards.c.is_settled.is_(False))
        older = sa.select(jobs).where(*had, jobs.c.id.not_in(newest), ~untold, ~on_its_way)
        return await self._many(older.order_by(jobs.c.created_at.desc(), jobs.c.position, jobs.c.id))

    async def live(self) -> list[Job]:
        return await self._many(sa.select(jobs).where(LIVE).order_by(jobs.c.created_at, jobs.c.id))

    async def ahead_of(self, job: Job) -> int:
        counted = await self._connection.execute(
            sa.select(sa.func.count())
            .select_from(jobs)
            .where(jobs.c.status == JobStatus.PENDING, LIVE, jobs.c.waits_for.is_(None), jobs.c.created_at < job.created_at)
        )
        return int(counted.scalar_one())

    async def all_ahead_of(self, queued: Sequence[Job]) -> dict[UUID, int]:
        """`ahead_of` for several jobs of the queue, in one look at it."""
        if not queued:
            return {}
        queue = (
            sa.select(jobs.c.id, (sa.func.rank().over(order_by=jobs.c.created_at) - 1).label("ahead"))
            .where(jobs.c.status == JobStatus.PENDING, LIVE, jobs.c.waits_for.is_(None))
            .subquery()
        )
        found = await self._connection.execute(sa.select(queue).where(queue.c.id.in_([job.id for job in queued])))
        return {row.id: row.ahead for row in found}

    async def _many(self, query: sa.Select[Any]) -> list[Job]:
        return [self.job_of(row) for row in await self._connection.execute(query)]

    def _birth(self, job: Job) -> dict[str, Any]:
        """What never changes."""
        return {
            "id": job.id,
            "download_session_id": job.download_session_id,
            "account_id": job.account_id,
            "payer": job.payer,
            "parent_id": job.parent_id,
            "origin": job.origin.value,
            "url": self._sealing.seal_url(job.url),
            "position": job.position,
            "link_id": job.link_id,
            "is_scheduled": job.is_scheduled,
            "selection": job.selection.key,
            "scope": job.scope,
            "dedupe_key": job.dedupe_key,
            "refresh": job.refresh,
            "callback_url": self._sealing.seal(job.callback_url.text) if job.callback_url else None,
            "max_items": job.max_items,
            "created_at": job.created_at,
        }

    def job_of(self, row: sa.Row[Any]) -> Job:
        return Job(
            id=row.id,
            download_session_id=row.download_session_id,
            account_id=row.account_id,
            payer=row.payer,
            parent_id=row.parent_id,
            origin=Origin(row.origin),
            url=self._sealing.open_url(row.url),
            position=row.position,
            link_id=row.link_id,
            is_scheduled=row.is_scheduled,
            selection=Selection.from_key(row.selection),
            scope=row.scope,
            refresh=row.refresh,
            callback_url=MediaUrl.parse(self._sealing.open(row.callback_url)) if row.callback_url else None,
            max_items=row.max_items,
            status=JobStatus(row.status),
            attempt=row.attempt,
            starts=row.starts,
            seq=row.seq,
            progress=Progress(phase=Phase(row.phase), downloaded=row.downloaded_bytes, total=row.total_bytes, speed=row.speed, eta=row.eta),
            waits_for=row.waits_for,
            title=row.title,
            artist=row.artist,
            error_code=row.error_code,
            error_message=row.error_message,
            created_at=row.created_at,
            asked_at=row.asked_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )


def _state(job: Job) -> dict[str, Any]:
    return {
        "status": job.status.value,
        "attempt": job.attempt,
        "starts": job.starts,
        "seq": job.seq,
        "phase": job.progress.phase.value,
        "downloaded_bytes": job.progress.downloaded,
        "total_bytes": job.progress.total,
        "speed": job.progress.speed,
        "eta": job.progress.eta,
        "waits_for": job.waits_for,
        "title": job.title,
        "artist": job.artist,
        "error_code": job.error_code,
        "error_message": job.error_message,
        "asked_at": job.asked_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    }
