"""Cards that ended, and account ids, after a restart and after somebody left: on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from service.chat import Card, CardState, Place
from service.media_url import MediaUrl
from storage import tables
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock

BOT = 7


async def a_card(database: SqlDatabase, clock: FakeClock) -> Card:
    """Of a new account."""
    async with database.write() as transaction:
        account = await transaction.accounts.add("tg-1", clock.now())
        card = Card(
            id="card-0000001",
            bot_id=BOT,
            account_id=account.id,
            place=Place(chat_id=1),
            request_id=1,
            url=MediaUrl.parse("https://example.com/1"),
            created_at=clock.now(),
        )
        await transaction.cards.add(card)
    return card


async def unsettled(database: SqlDatabase) -> list[CardState]:
    async with database.read() as transaction:
        return [card.state for card in await transaction.cards.unsettled(BOT)]


async def test_a_card_that_ended_is_unsettled_until_the_chat_has_seen_it(database: SqlDatabase, clock: FakeClock) -> None:
    card = await a_card(database, clock)
    assert await unsettled(database) == []
    async with database.write() as transaction:
        await transaction.cards.save(replace(card, state=CardState.FAILED), if_state=CardState.LOOKING)
    assert await unsettled(database) == [CardState.FAILED]
    async with database.write() as transaction:
        await transaction.cards.settle(card.id, if_state=CardState.FAILED)
    assert await unsettled(database) == []


async def test_what_was_seen_of_an_earlier_end_settles_nothing(database: SqlDatabase, clock: FakeClock) -> None:
    card = await a_card(database, clock)
    async with database.write() as transaction:
        await transaction.cards.save(replace(card, state=CardState.DISMISSED), if_state=CardState.LOOKING)
        await transaction.cards.settle(card.id, if_state=CardState.FAILED)
    assert await unsettled(database) == [CardState.DISMISSED]


async def test_the_id_of_a_deleted_account_is_given_to_nobody_else(database: SqlDatabase) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with database.write() as transaction:
        gone = await transaction.accounts.add("gone", now)
        await transaction.accounts.remove(gone.id)
        assert (await transaction.accounts.add("next", now)).id > gone.id


async def test_the_built_in_account_keeps_its_id(database: SqlDatabase) -> None:
    async with database.reader.connect() as connection:
        ids = (await connection.execute(sa.select(tables.accounts.c.id).where(tables.accounts.c.username == "local"))).scalars().all()
    assert list(ids) == [0]


@pytest.mark.parametrize(("first", "last"), [(3, 7), (1, None)])
async def test_a_cards_range_and_its_lost_clip_are_kept(database: SqlDatabase, clock: FakeClock, first: int, last: int | None) -> None:
    card = await a_card(database, clock)
    async with database.write() as transaction:
        changed = replace(card, state=CardState.OFFERED, range_from=first, range_to=last, clip=None)
        await transaction.cards.save(changed, if_state=CardState.LOOKING)
        assert await transaction.cards.get(card.id) == changed
