"""Who may use the bot, and that what they have is theirs alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.errors import VideoPrivate
from service.members import Admission
from storage import tables
from tests.support.chat_house import ALICE, BOB, STRANGER, ChatHouse, chatting

GROUP = -100_400
NOBODY = Admission()


@asynccontextmanager
async def house_for(tmp_path: Path, admission: Admission, **more: Any) -> AsyncIterator[ChatHouse]:
    async with chatting(tmp_path, admission=admission, **more) as house:
        yield house


async def usernames(house: ChatHouse) -> list[str]:
    async with house.database.reader.connect() as connection:
        found = await connection.execute(sa.select(tables.accounts.c.username).order_by(tables.accounts.c.id))
        return [row.username for row in found]


def owner_token(house: ChatHouse) -> str:
    (line,) = house.said
    return str(line.partition("?start=")[2])


async def test_a_telegram_user_gets_an_account_at_first_contact(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = house.api.user(ALICE, first_name="Alice", username="alice", language_code="de")
        await alice.says("/start")
        assert "Hallo Alice" in (await house.until_sent(ALICE))["text"]
        await alice.says("/help")
        await house.until_sent(ALICE, "/history")
        assert await usernames(house) == ["local", f"tg-{ALICE}"]


async def test_many_messages_at_first_contact_make_one_account(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        group, alice = house.api.group(GROUP), house.api.user(ALICE)
        for _ in range(4):
            await alice.says("/help")
            await alice.says("/help@magpie_bot", chat=group)
        await house.api.until(lambda: len(house.api.sent(ALICE)) == len(house.api.sent(GROUP)) == 4)
        assert await usernames(house) == ["local", f"tg-{ALICE}"]


async def test_a_stranger_gets_one_line_with_their_id_in_private_once_and_no_account(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        stranger, alice = house.api.user(STRANGER, first_name="Eve"), house.api.user(ALICE)
        for text in ("https://example.com/1", "/start", "/history", "hello"):
            await stranger.says(text)
        await alice.says("/help")
        await house.until_sent(ALICE)
        await house.settled()
        (line,) = house.api.sent(STRANGER)
        assert str(STRANGER) in line["text"]
        assert "reply_markup" not in line
        assert await usernames(house) == ["local", f"tg-{ALICE}"]
        assert house.web.described == []


async def test_a_stranger_in_a_group_gets_silence(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        group, stranger, alice = house.api.group(GROUP), house.api.user(STRANGER), house.api.user(ALICE)
        for text in ("@magpie_bot https://example.com/1", "/dl@magpie_bot https://example.com/1", "/cancel@magpie_bot", "/help@magpie_bot"):
            await stranger.says(text, chat=group)
        await alice.says("/help")
        await house.until_sent(ALICE)
        await house.settled()
        assert house.api.sent(GROUP) == []
        assert house.api.reactions == {}


async def test_a_strangers_press_is_answered_with_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        group, stranger, alice = house.api.group(GROUP), house.api.user(STRANGER), house.api.user(ALICE)
        await alice.says("@magpie_bot https://example.com/1", chat=group)
        card = await house.until_sent(GROUP, "Title 1")
        data = card["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        query = await stranger.presses(card, data=data)
        await house.api.until(lambda: query in house.api.answers)
        assert "text" not in house.api.answers[query]


async def test_who_is_in_an_allowed_chat_may_use_the_bot_there(tmp_path: Path) -> None:
    async with house_for(tmp_path, Admission(chats=frozenset({GROUP}))) as house:
        group, stranger = house.api.group(GROUP), house.api.user(STRANGER)
        await stranger.says("@magpie_bot https://example.com/1", chat=group)
        assert await house.until_sent(GROUP, kind="video")
        await stranger.says("/help")
        assert "invited people only" in (await house.until_sent(STRANGER))["text"]


async def test_who_only_talks_in_an_allowed_chat_gets_no_account(tmp_path: Path) -> None:
    async with house_for(tmp_path, Admission(chats=frozenset({GROUP}))) as house:
        group, silent, asker = house.api.group(GROUP), house.api.user(STRANGER), house.api.user(BOB)
        await silent.says("nice weather, https://example.com/1", chat=group)
        await asker.says("/help@magpie_bot", chat=group)
        await house.until_sent(GROUP, "private chat")
        assert await usernames(house) == ["local", f"tg-{BOB}"]


async def test_a_blocked_account_is_told_so_and_gets_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        bob = house.api.user(BOB)
        await bob.says("/help")
        await house.until_sent(BOB)
        async with house.database.writer.begin() as connection:
            await connection.execute(tables.accounts.update().where(tables.accounts.c.username == f"tg-{BOB}").values(is_active=False))
        await bob.says("https://example.com/1")
        assert await house.until_sent(BOB, "Your account is blocked.")
        await house.settled()
        assert house.web.described == []


# --- the owner --------------------------------------------------------------------------------------------------------


async def test_who_opens_the_owner_link_first_owns_the_bot_and_the_second_is_refused(tmp_path: Path) -> None:
    async with house_for(tmp_path, NOBODY) as house:
        token = owner_token(house)
        alice, stranger = house.api.user(ALICE), house.api.user(STRANGER)
        await alice.opens_link(token)
        await house.until_sent(ALICE, "yours now")
        await stranger.opens_link(token)
        assert "has been used" in (await house.until_sent(STRANGER))["text"]
        await alice.says("https://example.com/1")
        assert await house.until_sent(ALICE, kind="video")
        await stranger.says("https://example.com/1")
        assert "invited people only" in (await house.until_sent(STRANGER, "invited"))["text"]


async def test_a_wrong_owner_link_leaves_the_right_one_good(tmp_path: Path) -> None:
    async with house_for(tmp_path, NOBODY) as house:
        alice = house.api.user(ALICE)
        await alice.opens_link("own_guessed")
        await house.until_sent(ALICE, "is not right")
        await alice.opens_link(owner_token(house))
        assert await house.until_sent(ALICE, "yours now")


async def test_the_owner_link_opened_in_a_group_does_nothing(tmp_path: Path) -> None:
    async with house_for(tmp_path, NOBODY) as house:
        group, alice = house.api.group(GROUP), house.api.user(ALICE)
        await alice.says(f"/start@magpie_bot {owner_token(house)}", chat=group)
        await house.settled()
        await alice.says("hello")
        assert "invited people only" in (await house.until_sent(ALICE))["text"]
        assert house.api.sent(GROUP) == []
        assert await usernames(house) == ["local"]


async def test_an_owner_stays_one_over_a_restart_and_no_new_link_is_told(tmp_path: Path) -> None:
    async with house_for(tmp_path, NOBODY) as house:
        alice = house.api.user(ALICE)
        await alice.opens_link(owner_token(house))
        await house.until_sent(ALICE, "yours now")
        await house.restart()
        await alice.says("/help")
        assert await house.until_sent(ALICE, "/history")
        assert len(house.said) == 1


async def test_an_owner_link_of_an_earlier_start_no_longer_works(tmp_path: Path) -> None:
    async with house_for(tmp_path, NOBODY) as house:
        old = owner_token(house)
        await house.restart()
        await house.api.user(STRANGER).opens_link(old)
        assert "is not right" in (await house.until_sent(STRANGER))["text"]


async def test_no_owner_link_is_told_where_somebody_is_allowed(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        assert house.said == []


# --- theirs alone -----------------------------------------------------------------------------------------------------


async def test_history_is_of_the_asker_alone(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await alice.says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await bob.says("/history")
        assert (await house.until_sent(BOB))["text"] == "Nothing yet. Send me a link."


async def test_anothers_history_entry_is_not_sent(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await alice.says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await alice.says("/history")
        page = await house.until_sent(ALICE, "What you had")
        data = page["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        told = await bob.says("/help")
        query = await bob.presses(told, data=data)
        await house.api.until(lambda: query in house.api.answers)
        await house.settled()
        assert house.api.answers[query]["text"] == "This file is no longer stored."
        assert house.files(BOB) == []


async def test_anothers_failed_entry_is_not_even_looked_at(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await alice.says("https://example.com/1")
        await house.until_sent(ALICE, "Starts by itself")
        house.web.failures["https://example.com/1"] = [VideoPrivate()]
        await house.until_sent(ALICE, "is private")
        async with house.database.reader.connect() as connection:
            (number,) = (await connection.execute(sa.select(tables.history_entries.c.id))).scalars().all()
        await bob.says("/help")
        query = await bob.presses(await house.until_sent(BOB), data=f"history|{number}|send")
        await house.api.until(lambda: query in house.api.answers)
        await house.settled()
        assert house.api.answers[query]["text"] == "This file is no longer stored."
        assert len(house.api.sent(BOB)) == 1


async def test_what_a_secret_address_leads_to_is_never_handed_to_another(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        address = house.add("hidden?token=s3cr3t")
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await alice.says(address)
        await house.until_sent(ALICE, kind="video")
        await bob.says(address)
        await house.until_sent(BOB, kind="video")
        assert house.web.fetched == [address, address]
