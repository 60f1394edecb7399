"""Telegram identities and their accounts' preferences in the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.chat import Preferences, TelegramUser
from service.selection import Selection
from storage.fetches import insert
from storage.tables import accounts, preferences, telegram_users


class SqlTelegramUsers:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, telegram_id: int) -> TelegramUser | None:
        found = await self._many(telegram_users.c.id == telegram_id)
        return found[0] if found else None

    async def of_account(self, account_id: int) -> list[TelegramUser]:
        return await self._many(telegram_users.c.account_id == account_id)

    async def of_administrators(self, named: Collection[int]) -> list[TelegramUser]:
        looks_after = sa.or_(telegram_users.c.id.in_(named), accounts.c.is_superuser)
        own = sa.select(accounts.c.id).where(accounts.c.id == telegram_users.c.account_id, accounts.c.is_active, looks_after)
        return await self._many(sa.exists(own))

    async def add(self, user: TelegramUser) -> bool:
        added = await self._connection.execute(
            insert(self._connection, telegram_users).values(**asdict(user)).on_conflict_do_nothing().returning(telegram_users.c.id)
        )
        return added.one_or_none() is not None

    async def save(self, user: TelegramUser) -> None:
        await self._connection.execute(
            sa.update(telegram_users)
            .where(telegram_users.c.id == user.id)
            .values(
                first_name=user.first_name,
                username=user.username,
                language_code=user.language_code,
                download_session_id=user.download_session_id,
            )
        )

    async def _many(self, condition: sa.ColumnElement[bool]) -> list[TelegramUser]:
        found = await self._connection.execute(sa.select(telegram_users).where(condition).order_by(telegram_users.c.created_at))
        return [TelegramUser(**row._mapping) for row in found]  # noqa: SLF001 - SQLAlchemy's public name


class SqlPreferences:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, account_id: int) -> Preferences:
        row = (await self._connection.execute(sa.select(preferences).where(preferences.c.account_id == account_id))).one_or_none()
        if row is None:
            return Preferences()
        return Preferences(
            selection=Selection.from_key(row.selection) if row.selection else None,
            starts_by_itself=row.starts_by_itself,
            language=row.language,
        )

    async def put(self, account_id: int, preferred: Preferences) -> None:
        values = {
            "selection": preferred.selection.key if preferred.selection else None,
            "starts_by_itself": preferred.starts_by_itself,
            "language": preferred.language,
        }
        await self._connection.execute(
            insert(self._connection, preferences)
            .values(account_id=account_id, **values)
            .on_conflict_do_update(index_elements=["account_id"], set_=values)
        )
