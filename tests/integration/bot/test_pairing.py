"""`/link` and deep links: whose account it is, is shown and asked; only [Join] joins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from sandbox.bot_api import User
from service.accounts import AccountChange
from service.model import Account, DownloadSession, Origin
from service.pairing import CODE_LIFE, PairingCode
from storage import tables
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, labels
from tests.support.people import OPERATOR

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_DELAY = timedelta(seconds=60)


async def an_account(house: ChatHouse, name: str) -> tuple[Account, PairingCode]:
    account = await house.town.account(name)
    return account, await house.town.pairing.code_for(account)


async def offered(house: ChatHouse, person: User, code: PairingCode) -> dict[str, Any]:
    await person.says(f"/link {code.code}")
    return await house.until_sent(person.id, "Join this account?")


async def account_of(house: ChatHouse, person: User) -> Account:
    async with house.database.read() as transaction:
        user = await transaction.telegram_users.get(person.id)
        assert user is not None
        account = await transaction.accounts.get(user.account_id)
    assert account is not None
    return account


async def told(house: ChatHouse, query: str) -> str:
    await house.api.until(lambda: query in house.api.answers)
    return str(house.api.answers[query].get("text", ""))


async def an_unowned_session(house: ChatHouse, username: str | None) -> UUID:
    """The folder, by which people name it; its id is another."""
    now = house.chat_clock.now()
    session = DownloadSession(
        id=uuid4(), folder=uuid4(), owner_id=None, created_by=Origin.API, requested_username=username, created_at=now, last_activity=now
    )
    async with house.database.write() as transaction:
        await transaction.download_sessions.add(session)
    return session.folder


# --- codes ------------------------------------------------------------------------------------------------------------


async def test_a_code_shows_name_masked_address_and_the_number_of_the_other_screen(house: ChatHouse, someone: Someone) -> None:
    account, code = await an_account(house, "elena")
    question = await offered(house, someone(), code)
    assert "elena (e…a@example.com)" in question["text"]
    assert account.email not in question["text"]
    assert f"shows: {code.number}" in question["text"]
    assert labels(question) == ["Join", "No"]


async def test_a_code_alone_joins_nothing(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    _, code = await an_account(house, "unasked")
    await offered(house, person, code)
    assert (await account_of(house, person)).username == f"tg-{person.id}"


async def test_a_deep_link_only_asks_too(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    _, code = await an_account(house, "deep")
    await person.opens_link(code.code)
    assert labels(await house.until_sent(person.id, "Join this account?")) == ["Join", "No"]
    assert (await account_of(house, person)).username == f"tg-{person.id}"


@pytest.mark.parametrize(
    "form",
    [
        "https://t.me/magpie_bot?start={code}",
        "http://www.t.me/Magpie_Bot/?start={code}",
        "t.me/magpie_bot?start={code}",
        "https://telegram.me/magpie_bot?start={code}",
        "tg://resolve?domain=magpie_bot&start={code}",
        "here it is: T.me/magpie_bot?start={code}.",
    ],
)
async def test_a_link_to_this_bot_is_the_code_in_it(house: ChatHouse, someone: Someone, form: str) -> None:
    person = someone()
    account, code = await an_account(house, f"linked{person.id}")
    await person.says(f"/link {form.format(code=code.code)}")
    assert account.username in (await house.until_sent(person.id, "Join this account?"))["text"]


async def test_a_link_to_this_bot_with_a_wrong_code_is_said_to_be_no_code(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says("/link https://t.me/magpie_bot?start=WRONGWRONG")
    assert await house.until_sent(person.id, "This code is not valid")


@pytest.mark.parametrize("address", ["https://t.me/other_bot?start={code}", "https://example.com/t.me/magpie_bot?start={code}"])
async def test_a_code_in_anothers_link_is_none(house: ChatHouse, someone: Someone, address: str) -> None:
    person = someone()
    _, code = await an_account(house, f"another{person.id}")
    await person.says(f"/link {address.format(code=code.code)}")
    await house.until_sent(person.id, "I watch")
    assert len(house.api.sent(person.id)) == 1


async def test_join_joins(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    account, code = await an_account(house, "joining")
    await person.presses(await offered(house, person, code), "Join")
    await house.until_sent(person.id, "paired with joining")
    assert (await account_of(house, person)).id == account.id


async def test_what_was_had_is_told_and_moves(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says(house.add("moving"))
    await person.presses(await house.until_sent(person.id, "Title moving"), "720p")
    await house.until_sent(person.id, kind="video")
    await house.settled()
    _, code = await an_account(house, "mover")
    question = await offered(house, person, code)
    assert "1 entries of history, 1 files" in question["text"]
    await person.presses(question, "Join")
    await house.until_sent(person.id, "paired with mover")
    await person.says("/history")
    assert "Title moving" in (await house.until_sent(person.id, "What you had"))["text"]


async def test_no_joins_nothing_and_the_code_stays_good(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    _, code = await an_account(house, "declined")
    await person.presses(await offered(house, person, code), "No")
    await house.until_sent(person.id, "Nothing was joined")
    assert (await account_of(house, person)).username == f"tg-{person.id}"
    assert await offered(house, person, code)


async def test_the_question_is_bound_to_who_asked(house: ChatHouse, someone: Someone) -> None:
    person, other = someone(), someone()
    _, code = await an_account(house, "bound")
    await offered(house, person, code)
    await other.says("/help")
    query = await other.presses(await house.until_sent(other.id, "What I can do"), data=f"pair|{person.id}|yes|{code.code}")
    assert "no longer leads anywhere" in await told(house, query)
    assert (await account_of(house, other)).username == f"tg-{other.id}"


async def test_a_second_press_joins_once_and_says_so(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    _, code = await an_account(house, "twice")
    question = await offered(house, person, code)
    data = question["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    queries = [await person.presses(question, data=data) for _ in range(2)]
    assert [await told(house, query) for query in queries] == ["", ""]
    await house.until_sent(person.id, "paired with twice")


async def test_nothing_of_it_happens_in_groups(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    group = house.api.group(-100_700, "Group")
    _, code = await an_account(house, "grouped")
    await person.says(f"/link@magpie_bot {code.code}", chat=group)
    await house.until_sent(group.id, "in a private chat only")
    assert await house.town.pairing.offer(await user_of(house, person), code.code), "nobody used it"


async def user_of(house: ChatHouse, person: User) -> Any:
    async with house.database.read() as transaction:
        return await transaction.telegram_users.get(person.id)


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["/link ABCDEFGHJK", "/link nonsense", "/start ABCDEFGHJK", "/link ' or 1=1", "/link " + "A-" * 200])
async def test_a_code_that_is_none_is_said_to_be_none(house: ChatHouse, someone: Someone, text: str) -> None:
    person = someone()
    await person.says(text)
    assert await house.until_sent(person.id, "This code is not valid")


async def test_a_code_is_void_after_ten_minutes_also_under_a_button(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    _, code = await an_account(house, "late")
    question = await offered(house, person, code)
    house.chat_clock.move(CODE_LIFE)
    assert "not valid" in await told(house, await person.presses(question, "Join"))
    assert (await account_of(house, person)).username == f"tg-{person.id}"


async def test_whoever_is_paired_already_is_told_how_to_part(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    _, first = await an_account(house, "firstone")
    _, second = await an_account(house, "secondone")
    await person.presses(await offered(house, person, first), "Join")
    await house.until_sent(person.id, "paired with firstone")
    await person.says(f"/link {second.code}")
    assert await house.until_sent(person.id, "paired with an account already; say /forget")


async def test_a_code_is_void_once_its_account_is_blocked(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    account, code = await an_account(house, "blocked1")
    await house.town.accounts.change(OPERATOR, account.id, AccountChange(is_active=False))
    await person.says(f"/link {code.code}")
    assert await house.until_sent(person.id, "This code is not valid")


async def test_too_many_tries_are_told_when_to_come_back(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    for _ in range(21):
        await person.says("/link WRONGWRONG")
    assert await house.until_sent(person.id, "too many tries. It opens again in 10 min")


async def test_the_last_superuser_cannot_join_an_account_without_rights(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    account, code = await an_account(house, "plainuser")
    await person.says("/help")
    await house.until_sent(person.id, "What I can do")
    own = await account_of(house, person)
    async with house.database.writer.begin() as connection:
        before = [row.id for row in await connection.execute(tables.accounts.select().where(tables.accounts.c.is_superuser))]
        await connection.execute(tables.accounts.update().values(is_superuser=tables.accounts.c.id == own.id))
    try:
        await person.says(f"/link {code.code}")
        assert await house.until_sent(person.id, "Nobody else could look after this bot")
    finally:
        async with house.database.writer.begin() as connection:
            await connection.execute(tables.accounts.update().values(is_superuser=tables.accounts.c.id.in_(before)))
    assert account.id


# --- without a code ---------------------------------------------------------------------------------------------------


async def test_without_a_code_it_tells_what_is_paired(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says("/link")
    assert f"tg-{person.id}" in (await house.until_sent(person.id, "an account of its own"))["text"]
    _, code = await an_account(house, "shown")
    await person.presses(await offered(house, person, code), "Join")
    await house.until_sent(person.id, "paired with shown")
    await person.says("/link")
    assert await house.until_sent(person.id, "paired with the account shown (s…n@example.com)")


async def test_unclaimed_downloads_that_name_the_account_can_be_claimed(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    folder = await an_unowned_session(house, f"tg-{person.id}")
    await an_unowned_session(house, "somebody-else")
    await person.says("/link")
    page = await house.until_sent(person.id, "Unclaimed downloads")
    assert labels(page) == ["📥 Claim A"]
    assert await told(house, await person.presses(page, "Claim A")) == "It is yours now."
    async with house.database.read() as transaction:
        session = await transaction.download_sessions.by_id_or_folder(folder)
    assert session is not None
    assert session.owner_id == (await account_of(house, person)).id


async def test_a_session_id_claims_what_names_the_account(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    folder = await an_unowned_session(house, f"tg-{person.id}")
    await person.says(f"/link {folder}")
    assert await house.until_sent(person.id, "It is yours now.")


@pytest.mark.parametrize("username", [None, "somebody-else"])
async def test_a_session_id_that_stands_in_every_link_claims_nothing_of_others(
    house: ChatHouse, someone: Someone, username: str | None
) -> None:
    person = someone()
    folder = await an_unowned_session(house, username)
    await person.says(f"/link {folder}")
    assert await house.until_sent(person.id, "no such download session")
    async with house.database.read() as transaction:
        session = await transaction.download_sessions.by_id_or_folder(folder)
    assert session is not None
    assert session.owner_id is None


async def test_an_address_is_watched(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says(f"/link {house.add('by-link')}")
    await house.until_sent(person.id, "I watch example.com/by-link now")


async def test_it_is_asked_in_the_persons_language(house: ChatHouse, someone: Someone) -> None:
    person = someone(language_code="de")
    _, code = await an_account(house, "deutsch")
    await person.says(f"/link {code.code}")
    assert labels(await house.until_sent(person.id, "Mit diesem Konto verbinden?")) == ["Verbinden", "Nein"]
