"""Which account was made for a Telegram identity, and when the identity may leave it: on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from service.accounts import AccountChange
from service.chat import Card, Member, Place
from service.credentials import Scope
from service.errors import AlreadyPaired, NameTaken, NotPaired
from service.media_url import MediaUrl
from service.members import Admission, Members, Person
from service.model import Account
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock
from tests.support.house import RealIds
from tests.support.people import OPERATOR, OTHER_PASSWORD, Town, actor

ELENA, BRUNO = 4711, 4712


@pytest.fixture
def town(database: SqlDatabase, clock: FakeClock) -> Town:
    return Town(database, clock)


async def writes(town: Town, telegram_id: int = ELENA) -> Member:
    """Who they are by now."""
    members = Members(database=town.database, clock=town.clock, ids=RealIds(), admission=Admission(open_to_all=True))
    return await members.welcome(Person(id=telegram_id, first_name="Elena"), Place(chat_id=telegram_id))


async def joins(town: Town, telegram_id: int, account: Account) -> None:
    user = (await writes(town, telegram_id)).user
    await town.pairing.join(user, (await town.pairing.code_for(account)).code)


async def leaves(town: Town, telegram_id: int, account: Account) -> None:
    await town.pairing.unpair(actor(account), account.id, telegram_id)


async def with_password(town: Town, telegram_id: int = ELENA) -> Account:
    """The identity's own account, into which one can log in by now."""
    own = (await writes(town, telegram_id)).account
    return await town.accounts.change(OPERATOR, own.id, AccountChange(email="elena@example.com", password=OTHER_PASSWORD))


async def test_who_has_left_an_account_that_was_made_for_them_does_not_come_back_into_it(town: Town) -> None:
    account = await with_password(town)
    await leaves(town, ELENA, account)
    assert (await writes(town)).account.id != account.id


async def test_who_comes_back_gets_a_name_that_nobody_has(town: Town) -> None:
    await leaves(town, ELENA, await with_password(town))
    assert (await writes(town)).account.username == f"tg-{ELENA}-2"


async def test_nobody_takes_a_name_that_the_chat_gives(town: Town) -> None:
    with pytest.raises(NameTaken):
        await town.account(f"tg-{ELENA}-2")


async def test_a_renamed_account_is_still_the_one_that_was_made_for_somebody(town: Town) -> None:
    own = (await writes(town)).account
    await town.accounts.change(OPERATOR, own.id, AccountChange(username="elena"))
    with pytest.raises(NotPaired):
        await leaves(town, ELENA, own)


async def test_an_account_that_nobody_could_get_into_is_not_left(town: Town) -> None:
    own = (await writes(town)).account
    with pytest.raises(NotPaired):
        await leaves(town, ELENA, own)
    assert (await writes(town)).account.id == own.id


async def test_somebody_who_joined_anothers_chat_account_can_leave_it(town: Town) -> None:
    elenas = (await writes(town)).account
    await joins(town, BRUNO, elenas)
    await leaves(town, BRUNO, elenas)
    assert (await writes(town, BRUNO)).account.id != elenas.id


async def test_of_two_who_leave_an_account_without_a_password_at_once_one_stays(town: Town) -> None:
    elenas = (await writes(town)).account
    await joins(town, BRUNO, elenas)
    ends = await asyncio.gather(leaves(town, ELENA, elenas), leaves(town, BRUNO, elenas), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "NotPaired"]


async def test_an_account_that_others_have_joined_does_not_join_a_third(town: Town) -> None:
    elenas = (await writes(town)).account
    await joins(town, BRUNO, elenas)
    with pytest.raises(AlreadyPaired):
        await joins(town, ELENA, await town.account("ann"))
    assert (await writes(town, BRUNO)).account.id == elenas.id


async def test_an_account_with_a_password_does_not_vanish_into_another(town: Town) -> None:
    await with_password(town)
    with pytest.raises(AlreadyPaired):
        await joins(town, ELENA, await town.account("ann"))


async def test_keys_of_the_chats_account_do_not_get_the_rights_of_the_one_it_joins(town: Town) -> None:
    own = (await writes(town)).account
    _, secret = await town.keys.create(actor(own), own, "mine", Scope.ALL)
    ann = await town.account("ann", is_superuser=True)
    offer = await town.pairing.offer((await writes(town)).user, (await town.pairing.code_for(ann)).code)
    await joins(town, ELENA, ann)
    assert (offer.moves.keys, await town.keys.owner_of(secret)) == (1, None)


async def test_cards_in_groups_go_with_whoever_asked_for_them(town: Town) -> None:
    elenas = (await writes(town)).account
    await joins(town, BRUNO, elenas)
    async with town.database.write() as transaction:
        for asker, number in ((ELENA, 1), (BRUNO, 2)):
            await transaction.cards.add(a_card(elenas.id, asker, number))
    await leaves(town, BRUNO, elenas)
    async with town.database.read() as transaction:
        assert [card.asker_id for card in await transaction.cards.of_account(elenas.id)] == [ELENA]


def a_card(account_id: int, asker_id: int, number: int) -> Card:
    """In a group."""
    return Card(
        id=f"card{number}",
        bot_id=1,
        account_id=account_id,
        asker_id=asker_id,
        place=Place(chat_id=-100),
        request_id=number,
        url=MediaUrl.parse("https://example.com/a"),
        created_at=FakeClock().now(),
    )
