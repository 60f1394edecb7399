"""Outgoing webhooks in the database: addresses and secrets encrypted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.media_url import MediaUrl
from service.ports import Vault
from service.webhooks import DeliveryState, Webhook, WebhookMessage
from storage.fetches import insert
from storage.sealed import Sealing
from storage.tables import webhook_messages, webhooks
from storage.vault import UnreadableSecret

log = logging.getLogger("magpie.webhooks")
LATEST = 100


class SqlWebhooks:
    def __init__(self, connection: AsyncConnection, vault: Vault | None) -> None:
        self._connection, self._sealing = connection, Sealing(vault)

    async def put(self, webhook: Webhook) -> None:
        values = {
            "url": self._sealing.seal(webhook.url.text) if webhook.url else None,
            "secret": self._sealing.seal(webhook.secret),
            "created_at": webhook.created_at,
        }
        await self._connection.execute(
            insert(self._connection, webhooks)
            .values(account_id=webhook.account_id, **values)
            .on_conflict_do_update(index_elements=["account_id"], set_=values)
        )

    async def of_account(self, account_id: int) -> Webhook | None:
        row = (await self._connection.execute(sa.select(webhooks).where(webhooks.c.account_id == account_id))).one_or_none()
        if row is None:
            return None
        try:
            return Webhook(
                account_id=row.account_id,
                url=self._sealing.open_url(row.url) if row.url else None,
                secret=self._sealing.open(row.secret),
                created_at=row.created_at,
            )
        except UnreadableSecret:
            # As if there was none: whoever ends a job reads this, too, and no lost key may keep jobs from ending.
            log.error("a webhook cannot be read with the present secret keys", extra={"account": account_id})  # noqa: TRY400 - no news
            return None

    async def remove(self, account_id: int) -> bool:
        return (await self._connection.execute(sa.delete(webhooks).where(webhooks.c.account_id == account_id))).rowcount == 1

    async def add_message(self, message: WebhookMessage) -> None:
        await self._connection.execute(
            insert(self._connection, webhook_messages)
            .values(
                id=message.id,
                account_id=message.account_id,
                job_id=message.job_id,
                event=message.event,
                url=self._sealing.seal(message.url.text),
                body=self._sealing.seal(message.body),
                created_at=message.created_at,
                **_state(message),
            )
            .on_conflict_do_nothing()
        )

    async def message(self, message_id: UUID) -> WebhookMessage | None:
        row = (await self._connection.execute(sa.select(webhook_messages).where(webhook_messages.c.id == message_id))).one_or_none()
        return next(self._readable([row]), None) if row else None

    async def save_message(self, message: WebhookMessage, *, if_tries: int) -> bool:
        same = webhook_messages.c.id == message.id, webhook_messages.c.tries == if_tries
        return (await self._connection.execute(sa.update(webhook_messages).where(*same).values(**_state(message)))).rowcount == 1

    async def give_up(self, account_id: int, now: datetime) -> None:
        waiting = webhook_messages.c.account_id == account_id, webhook_messages.c.state == DeliveryState.WAITING.value
        await self._connection.execute(sa.update(webhook_messages).where(*waiting).values(state=DeliveryState.GIVEN_UP.value, ended_at=now))

    async def overdue(self, before: datetime) -> list[WebhookMessage]:
        late = webhook_messages.c.state == DeliveryState.WAITING.value, webhook_messages.c.next_at < before
        return list(self._readable(await self._connection.execute(sa.select(webhook_messages).where(*late).limit(LATEST))))

    async def messages_of(self, account_id: int) -> list[WebhookMessage]:
        newest = webhook_messages.c.created_at.desc(), webhook_messages.c.id
        found = await self._connection.execute(
            sa.select(webhook_messages).where(webhook_messages.c.account_id == account_id).order_by(*newest).limit(LATEST)
        )
        return list(self._readable(found))

    def _readable(self, rows: Iterable[Any]) -> Iterator[WebhookMessage]:
        """Without those that were written under a key which is gone."""
        for row in rows:
            with suppress(UnreadableSecret):
                yield self._message(row)

    def _message(self, row: Any) -> WebhookMessage:
        return WebhookMessage(
            id=row.id,
            account_id=row.account_id,
            job_id=row.job_id,
            event=row.event,
            url=MediaUrl.parse(self._sealing.open(row.url)),
            body=self._sealing.open(row.body),
            state=DeliveryState(row.state),
            tries=row.tries,
            last_status=row.last_status,
            next_at=row.next_at,
            created_at=row.created_at,
            ended_at=row.ended_at,
        )


def _state(message: WebhookMessage) -> dict[str, Any]:
    return {
        "state": message.state.value,
        "tries": message.tries,
        "last_status": message.last_status,
        "next_at": message.next_at,
        "ended_at": message.ended_at,
    }
