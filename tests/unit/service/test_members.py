"""A Telegram identity gets an account at first contact, if it may use the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.chat import Place, Preferences
from service.errors import Blocked, NotInvited
from service.members import Admission, Members, Person
from service.model import LOCAL_ACCOUNT
from service.selection import Selection
from storage import tables
from storage.database import SqlDatabase
from storage.migrate import upgrade
from tests.support.fakes import CountingIds, FakeClock

ANN, BEN = Person(id=11, first_name="Ann", username="ann", language_code="de"), Person(id=12, first_name="Ben")
HERE, GROUP = Place(chat_id=11), Place(chat_id=-5)


@pytest.fixture
async def lite(tmp_path: Path) -> AsyncIterator[SqlDatabase]:
    url = f"sqlite:///{tmp_path}/magpie.db"
    await upgrade(url)
    database = SqlDatabase(url)
    yield database
    await database.close()


def members(database: SqlDatabase, **admission: object) -> Members:
    return Members(database=database, clock=FakeClock(), ids=CountingIds(), admission=Admission(**admission))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("admission", "place", "admitted"),
    [
        ({"admins": frozenset({11})}, HERE, True),
        ({"users": frozenset({11})}, HERE, True),
        ({"chats": frozenset({-5})}, GROUP, True),
        ({"chats": frozenset({-5})}, HERE, False),
        ({"open_to_all": True}, HERE, True),
        ({"local_user": 11}, HERE, True),
        ({"users": frozenset({12})}, HERE, False),
        ({}, HERE, False),
    ],
)
def test_who_is_admitted_where(admission: dict[str, object], place: Place, *, admitted: bool) -> None:
    assert Admission(**admission).admits(11, place) is admitted  # type: ignore[arg-type]


async def test_first_contact_makes_an_account_with_a_download_session_in_use(lite: SqlDatabase) -> None:
    member = await members(lite, open_to_all=True).welcome(ANN, HERE)
    async with lite.read() as transaction:
        session = await transaction.download_sessions.get(member.user.download_session_id)
    assert member.account.username == "tg-11"
    assert session is not None
    assert session.owner_id == member.account.id


async def test_two_messages_at_once_make_one_account(lite: SqlDatabase) -> None:
    room = members(lite, open_to_all=True)
    both = await asyncio.gather(*(room.welcome(ANN, HERE) for _ in range(5)))
    assert len({member.account.id for member in both}) == 1


async def test_a_new_name_is_kept(lite: SqlDatabase) -> None:
    room = members(lite, open_to_all=True)
    await room.welcome(ANN, HERE)
    await room.welcome(Person(id=11, first_name="Anna", language_code="en"), HERE)
    async with lite.read() as transaction:
        user = await transaction.telegram_users.get(11)
    assert user is not None
    assert (user.first_name, user.username, user.language_code) == ("Anna", None, "en")


async def test_a_stranger_leaves_no_row(lite: SqlDatabase) -> None:
    with pytest.raises(NotInvited):
        await members(lite, users=frozenset({99})).welcome(ANN, HERE)
    async with lite.read() as transaction:
        assert await transaction.telegram_users.get(11) is None
        assert await transaction.accounts.by_username("tg-11") is None


async def test_whoever_is_no_longer_allowed_is_turned_away(lite: SqlDatabase) -> None:
    await members(lite, users=frozenset({11})).welcome(ANN, HERE)
    with pytest.raises(NotInvited):
        await members(lite, users=frozenset({12})).welcome(ANN, HERE)


async def test_a_blocked_account_is_turned_away(lite: SqlDatabase) -> None:
    room = members(lite, open_to_all=True)
    await room.welcome(ANN, HERE)
    async with lite.writer.begin() as connection:
        await connection.execute(tables.accounts.update().values(is_active=False))
    with pytest.raises(Blocked):
        await room.welcome(ANN, HERE)


async def test_the_built_in_chats_user_is_the_built_in_account(lite: SqlDatabase) -> None:
    member = await members(lite, local_user=11).welcome(ANN, HERE)
    assert member.account.id == LOCAL_ACCOUNT


async def test_preferences_come_back(lite: SqlDatabase) -> None:
    room = members(lite, open_to_all=True)
    wanted = Preferences(selection=Selection.of("audio", "mp3"), starts_by_itself=False, language="de")
    await room.prefer(await room.welcome(ANN, HERE), wanted)
    member = await room.welcome(ANN, HERE)
    found = await room.of_account(member.account.id)
    assert found is not None
    assert member.preferences == found.preferences == wanted


# --- the owner --------------------------------------------------------------------------------------------------------


async def test_an_owner_token_works_once(lite: SqlDatabase) -> None:
    room = members(lite)
    token = await room.new_owner_token()
    assert token is not None
    owner = await room.own(ANN, token)
    assert owner.is_admin
    with pytest.raises(NotInvited):
        await room.own(BEN, token)


async def test_of_two_who_open_the_link_at_once_one_owns(lite: SqlDatabase) -> None:
    room = members(lite)
    token = await room.new_owner_token()
    assert token is not None
    outcomes = await asyncio.gather(*(room.own(person, token) for person in (ANN, BEN)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["Member", "NotInvited"]


async def test_the_token_itself_is_not_kept(lite: SqlDatabase) -> None:
    token = await members(lite).new_owner_token()
    async with lite.read() as transaction:
        assert await transaction.kept_values.get("owner_link") != token


async def test_the_owner_is_let_in_by_nobodys_list(lite: SqlDatabase) -> None:
    room = members(lite)
    token = await room.new_owner_token()
    assert token is not None
    await room.own(ANN, token)
    assert (await room.welcome(ANN, HERE)).is_admin
    assert await room.new_owner_token() is None


@pytest.mark.parametrize("admission", [{"users": frozenset({1})}, {"chats": frozenset({-1})}, {"open_to_all": True}, {"local_user": 1}])
async def test_there_is_no_owner_token_where_somebody_may_use_it(lite: SqlDatabase, admission: dict[str, object]) -> None:
    assert await members(lite, **admission).new_owner_token() is None
