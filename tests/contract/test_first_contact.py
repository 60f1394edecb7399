"""Somebody who writes for the first time in several chats at once: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from service.chat import Member, Place
from service.members import Admission, Members, Person
from storage import tables
from storage.database import SqlDatabase
from storage.migrate import upgrade
from tests.support.database import postgres_database
from tests.support.fakes import FakeClock
from tests.support.house import RealIds

PEOPLE = range(2_000_000_001, 2_000_000_011)
"""So many that a race that is there is met."""


async def met_in_three_chats_at_once(database: SqlDatabase, telegram_id: int) -> list[Member]:
    """Who they are taken for in each of these chats."""
    members = Members(database=database, clock=FakeClock(), ids=RealIds(), admission=Admission(open_to_all=True))
    person = Person(id=telegram_id, first_name="Ann")
    return await asyncio.gather(*(members.welcome(person, Place(chat_id=chat)) for chat in (telegram_id, -5, -6)))


async def count(database: SqlDatabase, table: sa.Table) -> int:
    async with database.reader.connect() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_three_first_contacts_of_one_person_at_once_are_one_member(database: SqlDatabase) -> None:
    for person in PEOPLE:
        found = await met_in_three_chats_at_once(database, person)
        assert len({(member.account.id, member.user.download_session_id) for member in found}) == 1


async def test_three_first_contacts_of_one_person_at_once_make_one_account(database: SqlDatabase) -> None:
    before = await count(database, tables.accounts)
    for person in PEOPLE:
        await met_in_three_chats_at_once(database, person)
    assert await count(database, tables.accounts) == before + len(PEOPLE)


async def test_three_first_contacts_of_one_person_at_once_leave_one_download_session(database: SqlDatabase) -> None:
    before = await count(database, tables.download_sessions)
    for person in PEOPLE:
        await met_in_three_chats_at_once(database, person)
    assert await count(database, tables.download_sessions) == before + len(PEOPLE)


class Overtaken:
    """A database in which another first contact of the same person commits right after the first look of ours."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        self.read = database.read

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Any]:
        async with self._database.write() as transaction:
            users: Any = _OvertakenLook(transaction.telegram_users, self._database)
            transaction.telegram_users = users
            yield transaction


class _OvertakenLook:
    def __init__(self, users: Any, database: SqlDatabase) -> None:
        self._users, self._database = users, database
        self.add, self.save = users.add, users.save

    async def get(self, telegram_id: int) -> Any:
        found = await self._users.get(telegram_id)
        if found is None:
            await met(self._database, telegram_id)
        return found


async def met(database: Any, telegram_id: int) -> Member:
    members = Members(database=database, clock=FakeClock(), ids=RealIds(), admission=Admission(open_to_all=True))
    return await members.welcome(Person(id=telegram_id, first_name="Ann"), Place(chat_id=telegram_id))


async def test_a_first_contact_that_is_overtaken_after_its_look_is_the_other_ones_member(postgres: object) -> None:
    """On SQLite there is one writer: nobody can overtake."""
    for url in postgres_database(postgres):
        await upgrade(url)
        database = SqlDatabase(url)
        late = await met(Overtaken(database), PEOPLE[0])
        known = await met(database, PEOPLE[0])
        await database.close()
        assert late.user.download_session_id == known.user.download_session_id
