"""`/forget` of somebody who is paired with an account: only this Telegram identity, or all of the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sandbox.bot_api import User
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, chatting, labels
from tests.support.people import HERE, PASSWORD, actor


async def paired(house: ChatHouse, person: User, name: str) -> None:
    code = await house.town.pairing.code_for(await house.town.account(name))
    await person.says(f"/link {code.code}")
    await person.presses(await house.until_sent(person.id, "Join this account?"), "Join")
    await house.until_sent(person.id, f"paired with {name}")


async def had(house: ChatHouse, person: User, name: str = "1") -> None:
    await person.says(f"https://example.com/{name}")
    await house.until_sent(person.id, f"Title {name}", kind="video")
    await house.settled()


async def asked(house: ChatHouse, person: User, words: str = "Delete what?") -> dict[str, Any]:
    await person.says("/forget")
    return await house.until_sent(person.id, words)


async def all_rows(house: ChatHouse) -> str:
    async with house.database.reader.connect() as connection:
        found = [str((await connection.execute(sa.select(table))).all()) for table in tables.metadata.sorted_tables]
    return "\n".join(found)


async def answer(house: ChatHouse, query: str) -> str:
    await house.api.until(lambda: query in house.api.answers)
    return str(house.api.answers[query].get("text", ""))


async def test_whoever_is_paired_is_asked_which(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB)
        await paired(house, bob, "bobby")
        question = await asked(house, bob)
        assert "bobby" in question["text"]
        assert labels(question) == ["Only this chat", "🗑 The whole account", "Keep it"]


async def test_only_the_identity_goes_and_the_account_keeps_what_it_has(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB, first_name="Bobbert", username="bobs_own_name")
        await paired(house, bob, "bobby")
        await had(house, bob)
        await bob.presses(await asked(house, bob), "Only this chat")
        await house.until_sent(BOB, "The account has kept what was downloaded")
        await house.settled()
        rows = await all_rows(house)
        assert [word for word in ("Bobbert", "bobs_own_name") if word in rows] == []
        assert await house.count(tables.telegram_users) == await house.count(tables.cards) == 0
        assert await house.count(tables.history_entries) == len(house.stored()) == 1
        assert (await house.town.logins.log_in("bobby", PASSWORD, HERE)).account.username == "bobby"


async def test_whoever_parted_begins_anew(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB)
        await paired(house, bob, "bobby")
        await had(house, bob)
        await bob.presses(await asked(house, bob), "Only this chat")
        await house.until_sent(BOB, "no longer paired")
        await bob.says("/history")
        assert await house.until_sent(BOB, "Nothing yet")


async def test_the_whole_account_goes_with_all_it_has(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB, first_name="Bobbert", username="bobs_own_name")
        await paired(house, bob, "bobby")
        await had(house, bob)
        login = await house.town.logins.log_in("bobby", PASSWORD, HERE)
        await house.town.keys.create(actor(login.account), login.account, "a key of theirs")
        await house.town.pairing.code_for(login.account)
        await bob.presses(await asked(house, bob), "🗑 The whole account")
        await house.until_sent(BOB, "I have forgotten you")
        await house.settled()
        rows = await all_rows(house)
        words = ("Bobbert", "bobs_own_name", "bobby", "example.com/1", "a key of theirs", f"tg-{BOB}")
        assert [word for word in words if word in rows] == []
        assert house.stored() == []
        assert await house.town.logins.of_token(login.token) is None


async def test_keeping_it_keeps_all(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB)
        await paired(house, bob, "bobby")
        await bob.presses(await asked(house, bob), "Keep it")
        await house.until_sent(BOB, "Nothing was deleted")
        assert (await house.town.accounts.named("bobby")).username == "bobby"


async def test_a_question_of_before_the_pairing_does_not_delete_the_account(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB)
        question = await asked(house, bob, "Delete everything?")
        await paired(house, bob, "bobby")
        assert "no longer leads anywhere" in await answer(house, await bob.presses(question, "Delete everything"))
        assert (await house.town.accounts.named("bobby")).username == "bobby"


async def test_a_question_about_one_account_does_not_delete_another(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB)
        await paired(house, bob, "first-one")
        question = await asked(house, bob)
        await bob.presses(question["message_id"], "Only this chat", chat=BOB)
        await house.until_sent(BOB, "no longer paired")
        await paired(house, bob, "second-one")
        account = await house.town.accounts.named("first-one")
        assert "no longer leads anywhere" in await answer(house, await bob.presses(question, data=f"forget|{BOB}|all|{account.id}"))
        assert {(await house.town.accounts.named(name)).username for name in ("first-one", "second-one")} == {"first-one", "second-one"}


async def test_a_press_that_is_handled_again_says_that_all_is_gone(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        bob = house.api.user(BOB)
        await paired(house, bob, "bobby")
        question = await asked(house, bob)
        data = question["reply_markup"]["inline_keyboard"][1][0]["callback_data"]
        queries = [await bob.presses(question, data=data) for _ in range(2)]
        assert [await answer(house, query) for query in queries] == ["", ""]
        await house.until_sent(BOB, "I have forgotten you")


async def test_the_last_superuser_is_told_why_not(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice = house.api.user(ALICE)
        await paired(house, alice, "boss")
        question = await asked(house, alice)
        assert "Nobody else could look after this bot" in await answer(house, await alice.presses(question, "🗑 The whole account"))
        assert (await house.town.logins.log_in("boss", PASSWORD, HERE)).account.is_superuser


async def test_the_owner_of_the_bot_is_told_why_not(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice = house.api.user(ALICE)
        await alice.says("/help")
        await house.until_sent(ALICE, "What I can do")
        async with house.database.write() as transaction:
            own = await transaction.accounts.by_username(f"tg-{ALICE}")
            assert own is not None
            await transaction.accounts.make_superuser(own.id)
        assert labels(await asked(house, alice, "Nobody else could look after this bot")) == []


async def test_another_identity_of_the_account_stays_paired(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        account = await house.town.account("both")
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        for person in (alice, bob):
            code = await house.town.pairing.code_for(account)
            await person.says(f"/link {code.code}")
            await person.presses(await house.until_sent(person.id, "Join this account?"), "Join")
            await house.until_sent(person.id, "paired with both")
        await bob.presses(await asked(house, bob), "Only this chat")
        await house.until_sent(BOB, "no longer paired")
        assert [user.id for user in await house.town.pairing.of_account(account.id)] == [ALICE]
