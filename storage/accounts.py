"""Accounts in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Account
from storage.tables import accounts


class SqlAccounts:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, account_id: int) -> Account | None:
        return await self._one(accounts.c.id == account_id)

    async def by_username(self, username: str) -> Account | None:
        """Case makes no difference."""
        return await self._one(accounts.c.username_key == username.casefold())

    async def _one(self, condition: sa.ColumnElement[bool]) -> Account | None:
        row = (await self._connection.execute(sa.select(accounts).where(condition))).one_or_none()
        if row is None:
            return None
        return Account(id=row.id, username=row.username, is_active=row.is_active, is_superuser=row.is_superuser, created_at=row.created_at)
