"""The chat's cards in the database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.chat import Card, CardState, Place
from service.descriptions import Choice, Description, DescriptionKind, ListItem
from service.media_url import MediaUrl
from service.ports import Vault
from service.selection import Clip, Selection
from storage.fetches import insert
from storage.sealed import Sealing
from storage.tables import cards

OPEN = sa.text("state in ('looking', 'offered', 'ordered')")
UNSETTLED = sa.text("not is_settled and state not in ('looking', 'offered', 'ordered')")


class SqlCards:
    def __init__(self, connection: AsyncConnection, vault: Vault | None) -> None:
        self._connection, self._sealing = connection, Sealing(vault)

    async def add(self, card: Card) -> bool:
        added = await self._connection.execute(
            insert(self._connection, cards).values(**self._birth(card), **self._state(card)).on_conflict_do_nothing().returning(cards.c.id)
        )
        return added.one_or_none() is not None

    async def get(self, card_id: str) -> Card | None:
        found = await self._many(cards.c.id == card_id)
        return found[0] if found else None

    async def of_message(self, bot_id: int, chat_id: int, request_id: int) -> list[Card]:
        found = await self._many(cards.c.bot_id == bot_id, cards.c.chat_id == chat_id, cards.c.request_id == request_id)
        return sorted(found, key=lambda card: card.position)

    async def shown_as(self, bot_id: int, chat_id: int, message_id: int) -> Card | None:
        found = await self._many(cards.c.bot_id == bot_id, cards.c.chat_id == chat_id, cards.c.message_id == message_id)
        return found[0] if found else None

    async def save(self, card: Card, *, if_state: str) -> bool:
        saved = await self._connection.execute(
            sa.update(cards).where(cards.c.id == card.id, cards.c.state == if_state).values(**self._state(card))
        )
        return saved.rowcount == 1

    async def shown(self, card_id: str, message_id: int | None, *, has_media: bool) -> None:
        await self._connection.execute(sa.update(cards).where(cards.c.id == card_id).values(message_id=message_id, has_media=has_media))

    async def settle(self, card_id: str, *, if_state: str) -> None:
        await self._connection.execute(sa.update(cards).where(cards.c.id == card_id, cards.c.state == if_state).values(is_settled=True))

    async def of_job(self, job_id: UUID) -> list[Card]:
        return await self._many(cards.c.job_id == job_id)

    async def open(self, bot_id: int) -> list[Card]:
        return await self._many(cards.c.bot_id == bot_id, OPEN)

    async def unsettled(self, bot_id: int) -> list[Card]:
        return await self._many(cards.c.bot_id == bot_id, UNSETTLED)

    async def open_of(self, account_id: int, chat_id: int | None = None) -> list[Card]:
        within = () if chat_id is None else (cards.c.chat_id == chat_id,)
        return await self._many(cards.c.account_id == account_id, OPEN, *within)

    async def of_account(self, account_id: int) -> list[Card]:
        return await self._many(cards.c.account_id == account_id)

    async def told_of(self, url: MediaUrl) -> Description | None:
        newest = sa.select(cards).where(cards.c.url_digest == url.digest, cards.c.description.is_not(None))
        row = (await self._connection.execute(newest.order_by(cards.c.created_at.desc()).limit(1))).one_or_none()
        return self._card(row).description if row else None

    async def _many(self, *conditions: sa.ColumnElement[bool] | sa.TextClause) -> list[Card]:
        found = await self._connection.execute(sa.select(cards).where(*conditions).order_by(cards.c.created_at, cards.c.id))
        return [self._card(row) for row in found]

    def _birth(self, card: Card) -> dict[str, Any]:
        """What never changes."""
        return {
            "id": card.id,
            "bot_id": card.bot_id,
            "account_id": card.account_id,
            "asker_id": card.asker_id,
            "chat_id": card.place.chat_id,
            "thread_id": card.place.thread_id,
            "request_id": card.request_id,
            "position": card.position,
            "url": self._sealing.seal_url(card.url),
            "url_digest": card.url.digest,
            "message_id": card.message_id,
            "asks": card.asks,
            "has_media": card.has_media,
            "created_at": card.created_at,
        }

    def _state(self, card: Card) -> dict[str, Any]:
        told = card.description
        return {
            "state": card.state.value,
            "is_settled": False,
            "clip": card.clip.key if card.clip else None,
            "description": self._sealing.seal(written(told)) if told else None,
            "picture": told.picture if told else None,
            "starts_at": card.starts_at,
            "job_id": card.job_id,
            "error_code": card.error_code,
            "range_from": card.range_from,
            "range_to": card.range_to,
        }

    def _card(self, row: sa.Row[Any]) -> Card:
        told = read(self._sealing.open(row.description)) if row.description else None
        return Card(
            id=row.id,
            bot_id=row.bot_id,
            account_id=row.account_id,
            asker_id=row.asker_id,
            place=Place(chat_id=row.chat_id, thread_id=row.thread_id),
            request_id=row.request_id,
            position=row.position,
            url=self._sealing.open_url(row.url),
            clip=Clip.from_key(row.clip) if row.clip else None,
            message_id=row.message_id,
            asks=row.asks,
            has_media=row.has_media,
            state=CardState(row.state),
            description=replace(told, picture=row.picture) if told else None,
            starts_at=row.starts_at,
            job_id=row.job_id,
            error_code=row.error_code,
            range_from=row.range_from,
            range_to=row.range_to,
            created_at=row.created_at,
        )


def written(told: Description) -> str:
    """As JSON, without the picture."""
    return json.dumps(
        {
            "kind": told.kind,
            "extractor": told.extractor,
            "id": told.id,
            "is_generic": told.is_generic,
            "title": told.title,
            "artist": told.artist,
            "duration": _seconds(told.duration),
            "choices": [[one.selection.key, one.size, one.is_estimate, one.height] for one in told.choices],
            "languages": told.languages,
            "items": [[item.url.text, item.title, _seconds(item.duration)] for item in told.items],
            "count": told.count,
        },
        separators=(",", ":"),
    )


def read(text: str) -> Description:
    """The inverse of `written`."""
    known = json.loads(text)
    return Description(
        kind=DescriptionKind(known["kind"]),
        extractor=known["extractor"],
        id=known["id"],
        is_generic=known["is_generic"],
        title=known["title"],
        artist=known["artist"],
        duration=_length(known["duration"]),
        choices=tuple(
            Choice(selection=Selection.from_key(key), size=size, is_estimate=is_estimate, height=height)
            for key, size, is_estimate, height in known["choices"]
        ),
        languages=tuple(known["languages"]),
        items=tuple(ListItem(url=MediaUrl.parse(url), title=title, duration=_length(length)) for url, title, length in known["items"]),
        count=known["count"],
    )


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
