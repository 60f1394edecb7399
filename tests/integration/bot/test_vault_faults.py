"""A vault chat that is slow, deaf or full of old messages: no delivery waits for it or counts it as a try, and it is emptied still."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.bot_api import User
from sandbox.bot_api.values import Json
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, chatting

VAULT = -100_900
ADDRESS, LIST = "https://example.com/1", "https://example.com/list"
FORGETS = "Delete everything"
THREE_DAYS = 3 * 24 * 3600


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))


def calls_to_vault(house: ChatHouse, method: str) -> int:
    return len([call for call in house.api.calls if call.method == method and call.args.get("chat_id") == VAULT])


async def bob_had_a_file(house: ChatHouse) -> User:
    """It lies in the vault, and nobody else has it."""
    bob = house.api.user(BOB)
    await bob.says(ADDRESS)
    await house.until_sent(BOB, kind="video")
    await house.settled()
    assert len(house.api.sent(VAULT)) == 1
    return bob


async def asked_to_be_forgotten(house: ChatHouse, person: User) -> None:
    await person.says("/forget")
    await person.presses(await house.until_sent(person.id, f"{FORGETS}?"), FORGETS)


# --- on the way in ----------------------------------------------------------------------------------------------------


async def test_a_file_whose_vault_answers_are_lost_comes_exactly_once(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        house.api.cut_next("sendVideo", after_accepting=True, times=2, chat_id=VAULT)
        await house.api.user(ALICE).says(ADDRESS)
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert len(house.api.sent(ALICE)) == 1
        assert len(house.api.sent(VAULT)) == 1, "the vault is not asked again for this file"


async def test_vault_answers_that_are_lost_are_no_tries_of_a_lists_item(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        house.api.cut_next("sendVideo", after_accepting=True, times=2, chat_id=VAULT)
        house.web.lists[LIST] = [ADDRESS]
        alice = house.api.user(ALICE)
        await alice.says(LIST)
        await alice.presses(await house.until_sent(ALICE, "1 items"), "720p")
        assert await house.until_sent(ALICE, "✅ 1 of 1")
        await house.settled()
        assert len(house.files(ALICE)) == 1


async def test_a_vault_that_has_to_wait_holds_no_delivery_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.attachments.VAULT_PATIENCE", 0.2)
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        house.api.fail_next("sendVideo", 429, "Too Many Requests: retry after 12", chat_id=VAULT, retry_after=12)
        await house.api.user(ALICE).says(ADDRESS)
        await house.until_sent(ALICE, kind="video")
        assert calls_to_vault(house, "sendVideo") == 1, "it is still asked to wait"
        assert house.api.sent(VAULT) == []


# --- on the way out ---------------------------------------------------------------------------------------------------


async def test_a_cut_connection_while_the_vault_is_emptied_is_tried_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        bob = await bob_had_a_file(house)
        house.api.cut_next("deleteMessage", after_accepting=False, chat_id=VAULT)
        await asked_to_be_forgotten(house, bob)
        await house.until_sent(BOB, "I have forgotten you")
        assert (house.api.sent(VAULT), calls_to_vault(house, "deleteMessage")) == ([], 2)


async def test_a_lost_answer_while_the_vault_is_emptied_is_no_failure(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        bob = await bob_had_a_file(house)
        house.api.cut_next("deleteMessage", after_accepting=True, chat_id=VAULT)
        await asked_to_be_forgotten(house, bob)
        await house.until_sent(BOB, "I have forgotten you")
        assert house.api.sent(VAULT) == []


def grows_old(house: ChatHouse, message: Json) -> None:
    """It was written three days ago: no bot may delete it any more."""
    world = house.api.scene.world
    world.replace(world.chats[VAULT], {**message, "date": int(time.time()) - THREE_DAYS})


async def test_an_old_file_in_the_vault_becomes_an_empty_note(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        bob = await bob_had_a_file(house)
        grows_old(house, house.api.sent(VAULT)[0])
        await asked_to_be_forgotten(house, bob)
        await house.until_sent(BOB, "I have forgotten you")
        (note,) = house.api.sent(VAULT)
        assert kind_and_words(note) == ("document", "")
        assert house.api.file_bytes(note["document"]["file_id"]) == b"deleted\n"


def kind_and_words(message: dict[str, Any]) -> tuple[str, str]:
    """What it holds, and what stands under it."""
    (kind,) = {"video", "audio", "photo", "document"} & set(message)
    return kind, message.get("caption", "")


# --- posts ------------------------------------------------------------------------------------------------------------


async def test_a_post_whose_file_telegram_gives_only_later_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05,))
    async with chatting(tmp_path) as house:
        channel = house.api.channel(-100_777)
        house.api.fail_next("getFile", 429, "Too Many Requests: retry after 1", retry_after=1)
        await house.api.user(ALICE).forwards_post(channel, kind="document", content=b"x", name="x.bin")
        await house.until_sent(ALICE, "Saved")
        await house.settled()
        assert len(house.api.sent(ALICE)) == 1
