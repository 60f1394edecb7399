"""The one-time link to the bot's ownership: good for one person, once, and only while nobody owns or may use the bot."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from service.members import Admission
from storage import tables
from tests.support.chat_house import ALICE, BOB, STRANGER, ChatHouse, RunningClock, chatting

NOBODY = Admission()
SOMEBODY = (Admission(admins=frozenset({BOB})), Admission(users=frozenset({BOB})))


def owner_token(house: ChatHouse) -> str:
    """As it was told last."""
    return str(house.said[-1].partition("?start=")[2])


async def superusers(house: ChatHouse) -> list[str]:
    async with house.database.reader.connect() as connection:
        people = tables.accounts.c.is_superuser & (tables.accounts.c.username != "local")
        found = await connection.execute(sa.select(tables.accounts.c.username).where(people))
        return [row.username for row in found]


async def accounts(house: ChatHouse) -> int:
    return await house.count(tables.accounts, tables.accounts.c.username != "local")


async def make_superuser(house: ChatHouse) -> None:
    """As another way in would."""
    async with house.database.write() as transaction:
        account = await transaction.accounts.add("root", RunningClock().now())
        await transaction.accounts.make_superuser(account.id)


@pytest.mark.parametrize("admission", SOMEBODY, ids=["ADMINS", "ALLOWED_USERS"])
async def test_a_link_is_void_after_a_restart_with_somebody_named(tmp_path: Path, admission: Admission) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        token = owner_token(house)
        house.admission = admission
        await house.restart()
        await house.api.user(STRANGER).opens_link(token)
        assert "has been used, or is not right" in (await house.until_sent(STRANGER))["text"]
        assert await superusers(house) == []


@pytest.mark.parametrize("admission", SOMEBODY, ids=["ADMINS", "ALLOWED_USERS"])
async def test_a_link_that_is_void_is_not_kept(tmp_path: Path, admission: Admission) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        assert await house.count(tables.kept_values) == 1
        house.admission = admission
        await house.restart()
        assert await house.count(tables.kept_values) == 0


async def test_a_link_that_was_void_stays_so_when_nobody_is_named_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        token = owner_token(house)
        for admission in (Admission(users=frozenset({BOB})), NOBODY):
            house.admission = admission
            await house.restart()
        assert owner_token(house) != token
        await house.api.user(STRANGER).opens_link(token)
        assert "has been used, or is not right" in (await house.until_sent(STRANGER))["text"]


async def test_a_link_is_void_as_soon_as_there_is_a_superuser(tmp_path: Path) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        await make_superuser(house)
        await house.api.user(STRANGER).opens_link(owner_token(house))
        assert "has been used, or is not right" in (await house.until_sent(STRANGER))["text"]
        assert await superusers(house) == ["root"]


async def test_a_superuser_made_while_the_link_was_out_has_no_other_told_at_the_next_start(tmp_path: Path) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        await make_superuser(house)
        await house.restart()
        assert len(house.said) == 1
        assert await house.count(tables.kept_values) == 0


async def test_a_second_opener_gets_neither_an_account_nor_any_right(tmp_path: Path) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        token = owner_token(house)
        await house.api.user(ALICE).opens_link(token)
        await house.until_sent(ALICE, "yours now")
        await house.api.user(STRANGER).opens_link(token)
        await house.until_sent(STRANGER, "has been used")
        await house.settled()
        assert await superusers(house) == [f"tg-{ALICE}"]
        assert await accounts(house) == 1


async def test_the_owner_gains_nothing_by_opening_it_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        token = owner_token(house)
        alice = house.api.user(ALICE)
        await alice.opens_link(token)
        await house.until_sent(ALICE, "yours now")
        await alice.opens_link(token)
        await house.until_sent(ALICE, "has been used")
        await alice.says("/history")
        assert await house.until_sent(ALICE, "Nothing yet"), "she owns it still"


async def test_of_two_who_open_it_at_once_one_owns_the_bot(tmp_path: Path) -> None:
    async with chatting(tmp_path, admission=NOBODY) as house:
        token = owner_token(house)
        people = [house.api.user(person) for person in (ALICE, STRANGER)]
        for person in people:
            await person.opens_link(token)
        await house.api.until(lambda: all(house.api.sent(person.id) for person in people))
        await house.settled()
        assert len(await superusers(house)) == 1
