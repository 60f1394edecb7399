"""The inbox in the database. Bodies are encrypted: people send a bot more than links."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.chat import ReceivedUpdate
from service.ports import Vault
from storage.fetches import insert
from storage.sealed import Sealing
from storage.tables import telegram_updates

KEPT = 1000
"""How many numbers back Telegram may tell an update again: it gives out at most 100 at a time."""


class SqlUpdates:
    def __init__(self, connection: AsyncConnection, vault: Vault | None) -> None:
        self._connection, self._sealing = connection, Sealing(vault)

    async def add(self, updates: Sequence[ReceivedUpdate]) -> set[int]:
        if not updates:
            return set()
        rows = [
            {
                "bot_id": update.bot_id,
                "update_id": update.update_id,
                "body": self._sealing.seal(update.body),
                "received_at": update.received_at,
            }
            for update in updates
        ]
        added = await self._connection.execute(
            insert(self._connection, telegram_updates).values(rows).on_conflict_do_nothing().returning(telegram_updates.c.update_id)
        )
        return {row.update_id for row in added}

    async def done(self, bot_id: int, update_ids: Sequence[int]) -> None:
        if not update_ids:
            return
        of_bot = telegram_updates.c.bot_id == bot_id
        await self._connection.execute(
            sa.update(telegram_updates).where(of_bot, telegram_updates.c.update_id.in_(update_ids)).values(body=None)
        )
        old = telegram_updates.c.update_id < max(update_ids) - KEPT
        await self._connection.execute(sa.delete(telegram_updates).where(of_bot, telegram_updates.c.body.is_(None), old))

    async def open(self, bot_id: int) -> list[ReceivedUpdate]:
        found = await self._connection.execute(
            sa.select(telegram_updates)
            .where(telegram_updates.c.bot_id == bot_id, telegram_updates.c.body.is_not(None))
            .order_by(telegram_updates.c.update_id)
        )
        return [
            ReceivedUpdate(bot_id=row.bot_id, update_id=row.update_id, body=self._sealing.open(row.body), received_at=row.received_at)
            for row in found
        ]
