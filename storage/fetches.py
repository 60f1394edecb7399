"""Fetches in the database: one row for each download that jobs share right now."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Fetch, MediaKey
from storage.tables import fetches

MAX_TRIES = 50


def insert(connection: AsyncConnection, table: sa.Table) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT on both."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


class SqlFetches:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, fetch: Fetch) -> Fetch:
        """The row stays locked until the transaction ends, so that whoever then waits for it is seen by whoever ends it."""
        for _ in range(MAX_TRIES):
            await self._connection.execute(
                insert(self._connection, fetches)
                .values(id=fetch.id, holder=fetch.holder, created_at=fetch.created_at, **key_columns(fetch.key))
                .on_conflict_do_nothing()
            )
            rows = await self._many(sa.select(fetches).where(*under(fetches, fetch.key)).with_for_update())
            if rows:  # else its holder ended it between the two statements: the place is free
                return rows[0]
        raise RuntimeError("a fetch cannot be claimed: its job holds another one")

    async def of_holder(self, job_id: UUID) -> Fetch | None:
        """The row stays locked until the transaction ends."""
        rows = await self._many(sa.select(fetches).where(fetches.c.holder == job_id).with_for_update())
        return rows[0] if rows else None

    async def hand_over(self, fetch_id: UUID, holder: UUID) -> None:
        await self._connection.execute(sa.update(fetches).where(fetches.c.id == fetch_id).values(holder=holder))

    async def end(self, fetch_id: UUID) -> None:
        await self._connection.execute(sa.delete(fetches).where(fetches.c.id == fetch_id))

    async def all(self) -> list[Fetch]:
        return await self._many(sa.select(fetches))

    async def _many(self, query: sa.Select[Any]) -> list[Fetch]:
        return [
            Fetch(id=row.id, key=key_of(row), holder=row.holder, created_at=row.created_at) for row in await self._connection.execute(query)
        ]


def key_columns(key: MediaKey) -> dict[str, str]:
    return {"scope": key.scope, "extractor": key.extractor, "media_id": key.id, "selection": key.selection}


def key_of(row: Any) -> MediaKey:
    return MediaKey(scope=row.scope, extractor=row.extractor, id=row.media_id, selection=row.selection)


def under(table: sa.Table, key: MediaKey) -> list[sa.ColumnElement[bool]]:
    """The conditions for "has this key"."""
    return [table.c[name] == value for name, value in key_columns(key).items()]
