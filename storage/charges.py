"""What counts against the limits of a day, in the database."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.limits import Charge, Spent
from storage.tables import LIVE, charges, job_files, jobs, media_files


class SqlCharges:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, payer: str) -> None:
        """Nobody else counts or ends something of this payer until the transaction ends. SQLite has one writer anyway."""
        if self._connection.dialect.name == "postgresql":
            key = int.from_bytes(hashlib.sha256(f"payer:{payer}".encode()).digest()[:8], signed=True)
            await self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    async def add(self, charge: Charge) -> None:
        await self._connection.execute(
            sa.insert(charges).values(
                job_id=charge.job_id,
                payer=charge.payer,
                account_id=charge.account_id,
                bytes=charge.bytes,
                charged_at=charge.charged_at,
            )
        )

    async def remove(self, job_id: UUID) -> None:
        """The newest of the job: a retry is charged anew."""
        await self._connection.execute(sa.delete(charges).where(charges.c.id == _newest(job_id)))

    async def spent(self, job_id: UUID, size: int) -> None:
        await self._connection.execute(sa.update(charges).where(charges.c.id == _newest(job_id)).values(bytes=charges.c.bytes + size))

    async def since(self, payer: str, moment: datetime) -> Spent:
        of_payer = charges.c.payer == payer, charges.c.charged_at > moment
        row = (
            await self._connection.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(charges.c.bytes), 0)).where(*of_payer))
        ).one()
        return Spent(jobs=int(row[0]), bytes=int(row[1]))

    async def nth_oldest(self, payer: str, moment: datetime, skip: int) -> datetime | None:
        """When the charge after this many was made, counted from the oldest since the moment."""
        found = await self._connection.execute(
            sa.select(charges.c.charged_at)
            .where(charges.c.payer == payer, charges.c.charged_at > moment)
            .order_by(charges.c.charged_at)
            .offset(skip)
            .limit(1)
        )
        row = found.one_or_none()
        return row.charged_at if row else None

    async def when_below(self, payer: str, moment: datetime, surplus: int) -> datetime | None:
        so_far = sa.func.sum(charges.c.bytes).over(order_by=[charges.c.charged_at, charges.c.id])
        summed = (
            sa.select(charges.c.charged_at, charges.c.id, so_far.label("so_far"))
            .where(charges.c.payer == payer, charges.c.charged_at > moment)
            .subquery()
        )
        found = await self._connection.execute(
            sa.select(summed.c.charged_at).where(summed.c.so_far > surplus).order_by(summed.c.charged_at, summed.c.id).limit(1)
        )
        return found.scalar_one_or_none()

    async def running(self, payer: str) -> int:
        """Jobs of this payer that have a place, lists aside."""
        is_list = sa.exists().where(jobs.alias("child").c.parent_id == jobs.c.id)
        found = await self._connection.execute(
            sa.select(sa.func.count()).select_from(jobs).where(jobs.c.payer == payer, jobs.c.status == "processing", LIVE, ~is_list)
        )
        return int(found.scalar_one())

    async def stored(self, payer: str) -> int:
        """Bytes that this payer's jobs show, each file once."""
        shown = (
            sa.select(media_files.c.id, media_files.c.size)
            .join(job_files, job_files.c.media_file_id == media_files.c.id)
            .join(jobs, jobs.c.id == job_files.c.job_id)
            .where(jobs.c.payer == payer)
            .distinct()
            .subquery()
        )
        found = await self._connection.execute(sa.select(sa.func.coalesce(sa.func.sum(shown.c.size), 0)))
        return int(found.scalar_one())

    async def of_account(self, account_id: int) -> list[Charge]:
        found = await self._connection.execute(sa.select(charges).where(charges.c.account_id == account_id).order_by(charges.c.id))
        return [
            Charge(job_id=row.job_id, payer=row.payer, account_id=row.account_id, bytes=row.bytes, charged_at=row.charged_at)
            for row in found
        ]

    async def drop_before(self, moment: datetime) -> None:
        await self._connection.execute(sa.delete(charges).where(charges.c.charged_at <= moment))

    async def move(self, from_account: int, to_account: int) -> None:
        await self._connection.execute(
            sa.update(charges).where(charges.c.account_id == from_account).values(account_id=to_account, payer=f"account:{to_account}")
        )


def _newest(job_id: UUID) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.max(charges.c.id)).where(charges.c.job_id == job_id).scalar_subquery()
