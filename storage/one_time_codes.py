"""One-time codes in the database: only their digests."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.credentials import OneTimeCode, Purpose
from storage.tables import one_time_codes


class SqlOneTimeCodes:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, code: OneTimeCode) -> None:
        """In place of every other one of the same account and purpose."""
        await self.forget(code.account_id, code.purpose)
        await self._connection.execute(sa.insert(one_time_codes).values(**asdict(code)))

    async def get(self, digest: str, purpose: Purpose, now: datetime) -> OneTimeCode | None:
        row = (await self._connection.execute(sa.select(one_time_codes).where(*_is(digest, purpose, now)))).one_or_none()
        return _code(row) if row else None

    async def take(self, digest: str, purpose: Purpose, now: datetime) -> OneTimeCode | None:
        """Use it up: of several who try, one gets it."""
        taken = await self._connection.execute(sa.delete(one_time_codes).where(*_is(digest, purpose, now)).returning(one_time_codes))
        row = taken.one_or_none()
        return _code(row) if row else None

    async def forget(self, account_id: int, purpose: Purpose) -> None:
        await self._connection.execute(
            sa.delete(one_time_codes).where(one_time_codes.c.account_id == account_id, one_time_codes.c.purpose == purpose.value)
        )

    async def drop_expired(self, now: datetime) -> None:
        await self._connection.execute(sa.delete(one_time_codes).where(one_time_codes.c.expires_at <= now))


def _is(digest: str, purpose: Purpose, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    codes = one_time_codes.c
    return codes.digest == digest, codes.purpose == purpose.value, codes.expires_at > now


def _code(row: Any) -> OneTimeCode:
    return OneTimeCode(**{**row._mapping, "purpose": Purpose(row.purpose)})  # noqa: SLF001 - SQLAlchemy's public name
