"""API keys in the database: only their digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.credentials import ApiKey, Scope
from storage.tables import api_keys


class SqlApiKeys:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: ApiKey) -> ApiKey:
        values = {name: value for name, value in asdict(key).items() if name != "id"}
        added = await self._connection.execute(sa.insert(api_keys).values(**values).returning(api_keys))
        return _key(added.one())

    async def by_digest(self, digest: str) -> ApiKey | None:
        row = (await self._connection.execute(sa.select(api_keys).where(api_keys.c.digest == digest))).one_or_none()
        return _key(row) if row else None

    async def of_account(self, account_id: int) -> list[ApiKey]:
        found = await self._connection.execute(sa.select(api_keys).where(api_keys.c.account_id == account_id).order_by(api_keys.c.id))
        return [_key(row) for row in found]

    async def remove(self, account_id: int, key_id: int) -> ApiKey | None:
        gone = await self._connection.execute(
            sa.delete(api_keys).where(api_keys.c.id == key_id, api_keys.c.account_id == account_id).returning(api_keys)
        )
        row = gone.one_or_none()
        return _key(row) if row else None

    async def used(self, times: Mapping[int, datetime]) -> None:
        if times:
            moment = sa.case(dict(times), value=api_keys.c.id)
            await self._connection.execute(sa.update(api_keys).where(api_keys.c.id.in_(list(times))).values(last_used_at=moment))


def _key(row: Any) -> ApiKey:
    return ApiKey(**{**row._mapping, "scope": Scope(row.scope)})  # noqa: SLF001 - SQLAlchemy's public name
