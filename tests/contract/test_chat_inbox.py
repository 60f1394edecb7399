"""The inbox, single values and the history in a database: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import sqlalchemy as sa

from service.chat import ReceivedUpdate
from service.model import HistoryEntry, Origin, Outcome
from storage import tables
from storage.database import SqlDatabase
from storage.inbox import KEPT
from storage.migrate import upgrade
from storage.vault import MultiFernetVault

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BIG_ID = 7_000_000_001


@pytest.fixture
async def sealed(database_url: str) -> AsyncIterator[SqlDatabase]:
    """A database with a vault."""
    await upgrade(database_url)
    database = SqlDatabase(database_url, vault=MultiFernetVault(["a key that is long enough"]))
    yield database
    await database.close()


async def raw(database: SqlDatabase, table: sa.Table) -> str:
    async with database.reader.connect() as connection:
        return str((await connection.execute(sa.select(table))).all())


# --- the inbox --------------------------------------------------------------------------------------------------------


def an_update(number: int, bot_id: int = BIG_ID) -> ReceivedUpdate:
    return ReceivedUpdate(bot_id=bot_id, update_id=number, body=f'{{"text": "hello {number}"}}', received_at=NOW)


async def test_an_update_is_new_once(database: SqlDatabase) -> None:
    async with database.write() as transaction:
        assert await transaction.updates.add([an_update(1), an_update(2)]) == {1, 2}
        assert await transaction.updates.add([an_update(2), an_update(3)]) == {3}
        assert await transaction.updates.add([]) == set()


async def test_what_is_done_is_not_new_when_it_is_told_again(database: SqlDatabase) -> None:
    async with database.write() as transaction:
        await transaction.updates.add([an_update(1), an_update(2)])
        await transaction.updates.done(BIG_ID, [1])
        assert await transaction.updates.add([an_update(1)]) == set()
        assert await transaction.updates.open(BIG_ID) == [an_update(2)]


async def test_the_inboxes_of_two_bots_are_two(database: SqlDatabase) -> None:
    async with database.write() as transaction:
        await transaction.updates.add([an_update(1)])
        assert await transaction.updates.add([an_update(1, bot_id=2)]) == {1}
        await transaction.updates.done(BIG_ID, [1])
        assert await transaction.updates.open(2) == [an_update(1, bot_id=2)]


async def test_open_updates_come_oldest_first_and_old_ones_that_are_done_go(database: SqlDatabase) -> None:
    async with database.write() as transaction:
        await transaction.updates.add([an_update(number) for number in (5, 3, 4)])
        assert [one.update_id for one in await transaction.updates.open(BIG_ID)] == [3, 4, 5]
        await transaction.updates.done(BIG_ID, [3])
        await transaction.updates.add([an_update(KEPT + 10)])
        await transaction.updates.done(BIG_ID, [KEPT + 10])
        assert [one.update_id for one in await transaction.updates.open(BIG_ID)] == [4, 5], "what is open stays, however old"
    async with database.reader.connect() as connection:
        left = (await connection.execute(sa.select(tables.telegram_updates.c.update_id))).scalars().all()
    assert sorted(left) == [4, 5, KEPT + 10]


async def test_an_update_stands_encrypted_in_the_table(sealed: SqlDatabase) -> None:
    async with sealed.write() as transaction:
        await transaction.updates.add([an_update(1)])
        assert await transaction.updates.open(BIG_ID) == [an_update(1)]
    assert "hello" not in await raw(sealed, tables.telegram_updates)


# --- kept values ------------------------------------------------------------------------------------------------------


async def test_of_several_who_take_a_value_one_gets_it(database: SqlDatabase) -> None:
    async with database.write() as transaction:
        await transaction.kept_values.put("n", "old")
        await transaction.kept_values.put("n", "v")

    async def take(value: str) -> bool:
        async with database.write() as transaction:
            return await transaction.kept_values.remove("n", value)

    assert sorted(await asyncio.gather(take("v"), take("v"), take("old"))) == [False, False, True]


# --- history ----------------------------------------------------------------------------------------------------------


async def with_history(database: SqlDatabase) -> int:
    """The account that has it."""
    titles = ["Red Cats", "blue CATS", "100% dogs", "Straße", "under_score"]
    async with database.write() as transaction:
        account_id = (await transaction.accounts.add("tg-1", NOW)).id
        for number, title in enumerate(titles):
            entry = HistoryEntry(
                job_id=UUID(int=100 + number),
                attempt=1,
                account_id=account_id,
                download_session_id=UUID(int=1),
                origin=Origin.CHAT,
                outcome=Outcome.SUCCESS,
                title=title,
                url=f"https://example.com/{number}",
                message="m",
                code=None,
                files=("a", "b"),
                started_at=NOW,
                ended_at=NOW,
            )
            await transaction.history.add(entry)
    return account_id


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ([], ["under_score", "Straße", "100% dogs", "blue CATS", "Red Cats"]),
        (["cats"], ["blue CATS", "Red Cats"]),
        (["CATS", "red"], ["Red Cats"]),
        (["%"], ["100% dogs"]),
        (["_"], ["under_score"]),
        (["STRASSE"], ["Straße"]),
        (["example.com/1"], ["blue CATS"]),
        (["nothing"], []),
        (["\\"], []),
    ],
)
async def test_history_is_searched_as_people_mean_it(database: SqlDatabase, words: list[str], titles: list[str]) -> None:
    account_id = await with_history(database)
    async with database.read() as transaction:
        entries, count = await transaction.history.page(account_id, words=words)
    assert [entry.title for entry in entries] == titles
    assert count == len(titles)


async def test_history_is_paged_and_of_one_account(database: SqlDatabase) -> None:
    account_id = await with_history(database)
    async with database.read() as transaction:
        entries, count = await transaction.history.page(account_id, skip=3, limit=1)
        others = await transaction.history.page(0)
    assert ([entry.title for entry in entries], count) == (["blue CATS"], 5)
    assert others == ([], 0)
