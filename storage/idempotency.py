"""Idempotency keys in the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.ports import IdempotencyKey
from storage.fetches import insert
from storage.tables import idempotency_keys


class SqlIdempotencyKeys:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, caller: str, key: str, since: datetime) -> IdempotencyKey | None:
        row = (
            await self._connection.execute(
                sa.select(idempotency_keys).where(
                    idempotency_keys.c.caller == caller, idempotency_keys.c.key == key, idempotency_keys.c.created_at >= since
                )
            )
        ).one_or_none()
        if row is None:
            return None
        more = tuple(UUID(job_id) for job_id in row.more_job_ids or ())
        return IdempotencyKey(**{**row._mapping, "more_job_ids": more})  # noqa: SLF001 - SQLAlchemy's public name

    async def put(self, entry: IdempotencyKey, since: datetime) -> bool:
        """False, and no change, when the caller has used the key after `since`."""
        mine = (idempotency_keys.c.caller == entry.caller, idempotency_keys.c.key == entry.key)
        more = [str(job_id) for job_id in entry.more_job_ids]
        await self._connection.execute(sa.delete(idempotency_keys).where(*mine, idempotency_keys.c.created_at < since))
        values = {**asdict(entry), "more_job_ids": more or None}
        adding = insert(self._connection, idempotency_keys).values(values).on_conflict_do_nothing().returning(idempotency_keys.c.key)
        added = await self._connection.execute(adding)
        return added.one_or_none() is not None
