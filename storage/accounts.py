"""Accounts in the database."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Conflict
from service.model import LOCAL_ACCOUNT, Account
from storage.fetches import insert
from storage.tables import accounts


class SqlAccounts:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, account_id: int) -> Account | None:
        return await self._one(accounts.c.id == account_id)

    async def by_username(self, username: str) -> Account | None:
        """Case makes no difference."""
        return await self._one(accounts.c.username_key == username.casefold())

    async def add(self, username: str, now: datetime) -> Account:
        """Raises `Conflict` when the name is taken."""
        added = await self._connection.execute(
            insert(self._connection, accounts)
            .values(username=username, username_key=username.casefold(), is_active=True, is_superuser=False, created_at=now)
            .on_conflict_do_nothing()
            .returning(accounts.c.id)
        )
        if (row := added.one_or_none()) is None:
            raise Conflict("This name is taken.")
        return Account(id=row.id, username=username, is_active=True, is_superuser=False, created_at=now)

    async def make_superuser(self, account_id: int) -> None:
        await self._connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(is_superuser=True))

    async def has_superuser(self) -> bool:
        """Besides the built-in account."""
        found = sa.select(sa.exists().where(accounts.c.is_superuser, accounts.c.id != LOCAL_ACCOUNT))
        return bool((await self._connection.execute(found)).scalar_one())

    async def remove(self, account_id: int) -> None:
        """With all that belongs to it."""
        await self._connection.execute(sa.delete(accounts).where(accounts.c.id == account_id))

    async def _one(self, condition: sa.ColumnElement[bool]) -> Account | None:
        row = (await self._connection.execute(sa.select(accounts).where(condition))).one_or_none()
        if row is None:
            return None
        return Account(id=row.id, username=row.username, is_active=row.is_active, is_superuser=row.is_superuser, created_at=row.created_at)
