"""What is on its way to a chat, and how Telegram knows stored media, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.chat import Delivery, DeliveryState, TelegramCopy
from service.model import JobStatus
from storage.fetches import insert
from storage.tables import deliveries, jobs, telegram_copies

OPEN = [state.value for state in DeliveryState if state.is_open]


class SqlDeliveries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, delivery: Delivery) -> None:
        values = {name: value for name, value in asdict(delivery).items() if name != "id"}
        await self._connection.execute(insert(self._connection, deliveries).values(**values).on_conflict_do_nothing())

    async def get(self, delivery_id: int) -> Delivery | None:
        found = await self._many(sa.select(deliveries).where(deliveries.c.id == delivery_id))
        return found[0] if found else None

    async def of_card(self, card_id: str) -> list[Delivery]:
        return await self._many(sa.select(deliveries).where(deliveries.c.card_id == card_id).order_by(deliveries.c.id))

    async def ready(self, card_id: str) -> list[Delivery]:
        return await self._many(
            self._due().where(deliveries.c.card_id == card_id).order_by(None).order_by(jobs.c.position, deliveries.c.id)
        )

    async def save(self, delivery: Delivery, *, if_state: str) -> bool:
        changed = {
            "state": delivery.state.value,
            "tries": delivery.tries,
            "parts": delivery.parts,
            "error_code": delivery.error_code,
        }
        saved = await self._connection.execute(
            sa.update(deliveries).where(deliveries.c.id == delivery.id, deliveries.c.state == if_state).values(**changed)
        )
        return saved.rowcount == 1

    def _due(self) -> sa.Select[Any]:
        return (
            sa.select(deliveries)
            .join(jobs, jobs.c.id == deliveries.c.job_id)
            .where(jobs.c.status == JobStatus.COMPLETED.value, deliveries.c.state.in_(OPEN))
            .order_by(deliveries.c.id)
        )

    async def _many(self, query: sa.Select[Any]) -> list[Delivery]:
        return [
            Delivery(**{**row._mapping, "state": DeliveryState(row.state)})  # noqa: SLF001 - SQLAlchemy's public name
            for row in await self._connection.execute(query)
        ]


class SqlTelegramCopies:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, media_file_id: int, bot_id: int) -> TelegramCopy | None:
        return await self._one(telegram_copies.c.media_file_id == media_file_id, telegram_copies.c.bot_id == bot_id)

    async def of_any_bot(self, media_file_id: int, vault_chat_id: int) -> TelegramCopy | None:
        return await self._one(telegram_copies.c.media_file_id == media_file_id, telegram_copies.c.vault_chat_id == vault_chat_id)

    async def put(self, copy: TelegramCopy) -> None:
        values = asdict(copy)
        changed = {name: value for name, value in values.items() if name not in {"media_file_id", "bot_id"}}
        await self._connection.execute(
            insert(self._connection, telegram_copies)
            .values(**values)
            .on_conflict_do_update(index_elements=["media_file_id", "bot_id"], set_=changed)
        )

    async def in_vaults(self, media_file_ids: Sequence[int]) -> list[TelegramCopy]:
        found = await self._connection.execute(
            sa.select(telegram_copies).where(
                telegram_copies.c.media_file_id.in_(media_file_ids), telegram_copies.c.vault_message_id.is_not(None)
            )
        )
        copies = [TelegramCopy(**row._mapping) for row in found]  # noqa: SLF001 - SQLAlchemy's public name
        return list({(copy.vault_chat_id, copy.vault_message_id): copy for copy in copies}.values())

    async def forget(self, media_file_id: int, bot_id: int) -> None:
        await self._connection.execute(
            sa.delete(telegram_copies).where(telegram_copies.c.media_file_id == media_file_id, telegram_copies.c.bot_id == bot_id)
        )

    async def _one(self, *conditions: sa.ColumnElement[bool]) -> TelegramCopy | None:
        row = (await self._connection.execute(sa.select(telegram_copies).where(*conditions).limit(1))).one_or_none()
        return TelegramCopy(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's public name
