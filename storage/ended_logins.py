"""Tokens that were signed out with, in the database."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.fetches import insert
from storage.tables import ended_logins


class SqlEndedLogins:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, token_id: str, expires_at: datetime) -> None:
        await self._connection.execute(
            insert(self._connection, ended_logins).values(id=token_id, expires_at=expires_at).on_conflict_do_nothing()
        )

    async def has(self, token_id: str) -> bool:
        return bool((await self._connection.execute(sa.select(sa.exists().where(ended_logins.c.id == token_id)))).scalar_one())

    async def drop_expired(self, now: datetime) -> None:
        await self._connection.execute(sa.delete(ended_logins).where(ended_logins.c.expires_at <= now))
