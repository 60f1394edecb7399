"""Several Telegram identities of one account: each card is its asker's, also when they join the account or leave it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sandbox.bot_api import User
from service.chat import Preferences, TelegramUser
from service.model import Account
from service.selection import Selection
from storage import tables
from storage.merges import SqlMerges
from tests.integration.bot.conftest import HeldStart
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, chatting, labels
from tests.support.people import actor

LATER = timedelta(hours=1)
GROUP = -100_800


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))
    monkeypatch.setattr("bot.attendant.LOOK_AGAIN", 0.2)


async def joins(house: ChatHouse, person: User, account: Account) -> None:
    code = await house.town.pairing.code_for(account)
    await person.says(f"/link {code.code}")
    question = await house.until_sent(person.id, account.username)
    await person.presses(question, labels(question)[0])

    async def has_joined() -> bool:
        return (await identity(house, person)).account_id == account.id

    await house.until(has_joined, "the identity is the account's")
    await house.settled()


async def identity(house: ChatHouse, person: User) -> TelegramUser:
    async with house.database.read() as transaction:
        user = await transaction.telegram_users.get(person.id)
    assert user is not None
    return user


async def a_family(house: ChatHouse) -> tuple[Account, User, User]:
    """Alice, who was first and speaks English, and Bob, who speaks German."""
    await house.town.account("boss")
    account = await house.town.account("family")
    alice, bob = house.api.user(ALICE), house.api.user(BOB, language_code="de")
    await joins(house, alice, account)
    await joins(house, bob, account)
    return account, alice, bob


def said(message: dict[str, Any]) -> str:
    return str(message.get("text") or message["caption"])


async def sessions_of_jobs(house: ChatHouse) -> list[UUID]:
    async with house.database.reader.connect() as connection:
        return list((await connection.execute(tables.jobs.select())).scalars("download_session_id"))


async def in_progress(house: ChatHouse, person: User, address: str, words: str = "Downloading", **where: Any) -> dict[str, Any]:
    house.web.gate = house.web.gate or asyncio.Event()
    await person.says(address, **where)
    return await house.until_sent(GROUP if where else person.id, words)


async def unpaired(house: ChatHouse, account: Account, person: User) -> None:
    """As over HTTP."""
    await house.chat.part_from_identity(account.id, person.id)
    await house.town.pairing.unpair(actor(account), account.id, person.id)


# --- whose a card is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chat", [None, GROUP])
async def test_a_card_speaks_its_askers_language(tmp_path: Path, chat: int | None) -> None:
    async with chatting(tmp_path, start_delay=LATER) as house:
        _, _, bob = await a_family(house)
        house.api.group(GROUP)
        await bob.says("@magpie_bot https://example.com/1", chat=chat)
        card = await house.until_sent(chat or BOB, "Title 1")
        assert "Startet gleich von selbst" in said(card)
        assert "✖ Abbrechen" in labels(card)


async def test_the_first_identitys_card_speaks_that_ones(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=LATER) as house:
        _, alice, _ = await a_family(house)
        await alice.says("https://example.com/1")
        assert "Starts by itself" in said(await house.until_sent(ALICE, "Title 1"))


@pytest.mark.parametrize("chat", [None, GROUP])
async def test_what_starts_by_itself_goes_where_its_asker_keeps_things(tmp_path: Path, chat: int | None) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        _, _, bob = await a_family(house)
        house.api.group(GROUP)
        await bob.says("@magpie_bot https://example.com/1", chat=chat)
        await house.until_sent(chat or BOB, kind="video")
        assert await sessions_of_jobs(house) == [(await identity(house, bob)).download_session_id]


async def test_a_restart_does_not_forget_who_asked(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=LATER) as house:
        _, _, bob = await a_family(house)
        house.api.group(GROUP)
        await bob.says("@magpie_bot https://example.com/1", chat=GROUP)
        await house.until_known(await house.until_sent(GROUP, "Title 1"))
        house.chat_clock.move(LATER)
        await house.restart()
        file = await house.until_sent(GROUP, kind="video")
        assert labels(file) == ["🎚 Andere Formate"]
        assert await sessions_of_jobs(house) == [(await identity(house, bob)).download_session_id]


# --- joining while something is under way -----------------------------------------------------------------------------


async def test_who_joins_while_a_card_counts_down_gets_its_file(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=3)) as house:
        await house.town.account("boss")
        account, bob = await house.town.account("bobby"), house.api.user(BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, "Title 1")
        await joins(house, bob, account)
        await house.until_sent(BOB, "Title 1", kind="video")
        assert await house.count(tables.jobs, tables.jobs.c.account_id == account.id) == 1


async def test_what_the_account_prefers_by_now_counts_when_the_time_is_over(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=2)) as house:
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, "Title 1")
        async with house.database.write() as transaction:
            wanted = Preferences(selection=Selection.of("audio", "mp3"))
            await transaction.preferences.put((await identity(house, bob)).account_id, wanted)
        assert await house.until_sent(BOB, "Title 1", kind="audio")


async def test_who_joins_in_the_very_moment_of_the_start_gets_its_file(tmp_path: Path, held_start: HeldStart) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        account, bob = await house.town.account("bobby"), house.api.user(BOB)
        await bob.says("https://example.com/1")
        await asyncio.wait_for(held_start.reached.wait(), 20)
        code = await house.town.pairing.code_for(account)
        await house.town.pairing.join(await identity(house, bob), code.code)
        held_start.gate.set()
        await house.until_sent(BOB, "Title 1", kind="video")
        assert await house.count(tables.jobs, tables.jobs.c.account_id == account.id) == 1


async def test_a_start_that_waits_for_a_join_to_be_written_starts_in_the_joined_account(
    tmp_path: Path, held_start: HeldStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    merging, go_on, merge = asyncio.Event(), asyncio.Event(), SqlMerges.merge

    async def merge_slowly(merges: SqlMerges, source: int, target: int) -> None:
        merging.set()
        await go_on.wait()
        await merge(merges, source, target)

    monkeypatch.setattr(SqlMerges, "merge", merge_slowly)
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.town.account("boss")
        account, bob = await house.town.account("bobby"), house.api.user(BOB)
        await bob.says("https://example.com/1")
        await asyncio.wait_for(held_start.reached.wait(), 20)
        code = await house.town.pairing.code_for(account)
        joining = asyncio.create_task(house.town.pairing.join(await identity(house, bob), code.code))
        await asyncio.wait_for(merging.wait(), 20)
        held_start.gate.set()
        asyncio.get_running_loop().call_later(0.3, go_on.set)
        await joining
        await house.until_sent(BOB, "Title 1", kind="video")
        assert await house.count(tables.jobs, tables.jobs.c.account_id == account.id) == 1


# --- leaving while something is under way -----------------------------------------------------------------------------


async def test_who_is_unpaired_over_http_is_left_no_dead_card(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        account, _, bob = await a_family(house)
        card = await in_progress(house, bob, "https://example.com/1", "Wird heruntergeladen")
        await unpaired(house, account, bob)
        assert house.api.message(BOB, card["message_id"]) is None


async def test_what_was_under_way_is_the_accounts(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        account, _, bob = await a_family(house)
        await in_progress(house, bob, "https://example.com/1", "Wird heruntergeladen")
        await unpaired(house, account, bob)
        assert house.web.gate is not None
        house.web.gate.set()
        ended = tables.history_entries
        await house.until(lambda: has_one(house, ended, ended.c.account_id == account.id, ended.c.outcome == "success"), "the job's end")
        assert house.files(BOB) == []


async def has_one(house: ChatHouse, table: Any, *conditions: Any) -> bool:
    return await house.count(table, *conditions) == 1


async def test_what_was_asked_for_in_a_group_goes_too(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        account, _, bob = await a_family(house)
        house.api.group(GROUP)
        card = await in_progress(house, bob, "@magpie_bot https://example.com/1", "Wird heruntergeladen", chat=GROUP)
        await unpaired(house, account, bob)
        assert house.api.message(GROUP, card["message_id"]) is None


async def test_another_identitys_cards_stay(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        account, alice, bob = await a_family(house)
        await in_progress(house, alice, "https://example.com/1")
        await unpaired(house, account, bob)
        assert house.web.gate is not None
        house.web.gate.set()
        assert await house.until_sent(ALICE, "Title 1", kind="video")


async def test_an_identity_that_cannot_be_unpaired_keeps_its_cards(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = house.api.user(BOB)
        card = await in_progress(house, bob, "https://example.com/1")
        await house.chat.part_from_identity((await identity(house, bob)).account_id, BOB)
        assert house.api.message(BOB, card["message_id"]) is not None


async def test_nobody_parts_with_an_identity_of_another_account(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        _, alice, _ = await a_family(house)
        stranger = await house.town.account("stranger")
        card = await in_progress(house, alice, "https://example.com/1")
        await house.chat.part_from_identity(stranger.id, ALICE)
        assert house.api.message(ALICE, card["message_id"]) is not None


async def test_a_card_that_came_while_its_asker_was_unpaired_goes_too(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        account, _, bob = await a_family(house)
        await house.chat.part_from_identity(account.id, BOB)
        card = await in_progress(house, bob, "https://example.com/1", "Wird heruntergeladen")
        await house.town.pairing.unpair(actor(account), account.id, BOB)
        await house.api.until(lambda: house.api.message(BOB, card["message_id"]) is None)
