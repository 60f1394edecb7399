"""Single values of the installation in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.fetches import insert
from storage.tables import kept_values


class SqlKeptValues:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, name: str) -> str | None:
        found = await self._connection.execute(sa.select(kept_values.c.value).where(kept_values.c.name == name))
        return found.scalar_one_or_none()

    async def put(self, name: str, value: str) -> None:
        await self._connection.execute(
            insert(self._connection, kept_values)
            .values(name=name, value=value)
            .on_conflict_do_update(index_elements=["name"], set_={"value": value})
        )

    async def remove(self, name: str, value: str) -> bool:
        gone = await self._connection.execute(sa.delete(kept_values).where(kept_values.c.name == name, kept_values.c.value == value))
        return gone.rowcount == 1
