"""A vault chat: uploaded there once, handed on from there, also by a bot with another token."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sandbox.bot_api import BotApi
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, chatting, prepare

VAULT = -100_900
NEW_TOKEN = "2000000002:another-token"


async def asked(house: ChatHouse, person: int) -> dict[str, Any]:
    await house.api.user(person).says("https://example.com/1")
    file = await house.until_sent(person, kind="video")
    await house.settled()
    return file


async def test_a_file_is_uploaded_to_the_vault_and_handed_on(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        first, second = await asked(house, ALICE), await asked(house, BOB)
        (kept,) = house.api.sent(VAULT)
        assert house.uploads() == ["Title 1.mp4"]
        assert first["video"]["file_id"] == second["video"]["file_id"] == kept["video"]["file_id"]


async def test_a_vault_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="left")
        await asked(house, ALICE)
        await asked(house, BOB)
        assert len([name for name in house.uploads() if name == "Title 1.mp4"]) <= 2
        assert house.files(VAULT) == []


async def with_new_token(tmp_path: Path, first: ChatHouse, api: BotApi) -> ChatHouse:
    """The same service with another bot, as after a change of token."""
    house = ChatHouse(url=first.url, root=first.root, api=api, web=first.web, vault_chat=first.vault_chat, token=NEW_TOKEN)
    await prepare(house)
    return house


async def test_the_vault_survives_a_change_of_token_without_a_second_upload(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT, api={"keep": True}) as first:
        first.api.channel(VAULT, bot="administrator")
        await asked(first, ALICE)
    async with BotApi(directory=tmp_path / "api", token=NEW_TOKEN, keep=True) as api:
        house = await with_new_token(tmp_path, first, api)
        await house.start()
        try:
            file = await asked(house, BOB)
            assert file["video"]["file_id"].split("-")[1] == "2000000002"
            assert house.uploads() == []
            assert len(api.messages(VAULT)) == 1, "the look into the vault leaves nothing there"
            again = await asked(house, ALICE)
            assert again["video"]["file_id"] == file["video"]["file_id"]
            assert len([call for call in api.calls if call.method == "forwardMessage"]) == 1
        finally:
            await house.stop()


async def test_what_was_deleted_from_the_vault_is_uploaded_anew_by_another_bot(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT, api={"keep": True}) as first:
        channel = first.api.channel(VAULT, bot="administrator")
        await asked(first, ALICE)
        first.api.scene.world.remove(first.api.scene.world.chats[channel.id], first.api.sent(VAULT)[0]["message_id"])
    async with BotApi(directory=tmp_path / "api", token=NEW_TOKEN, keep=True) as api:
        house = await with_new_token(tmp_path, first, api)
        await house.start()
        try:
            await asked(house, BOB)
            assert house.uploads() == ["Title 1.mp4"]
        finally:
            await house.stop()


async def test_two_who_ask_at_once_share_the_upload_to_the_vault(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        house.web.gate = asyncio.Event()
        for person in (ALICE, BOB):
            await house.api.user(person).says("https://example.com/1")
        await house.until(lambda: _two_jobs(house), "both have ordered")
        house.web.gate.set()
        for person in (ALICE, BOB):
            await house.until_sent(person, kind="video")
        assert house.uploads() == ["Title 1.mp4"]


async def _two_jobs(house: ChatHouse) -> bool:
    return await house.count(tables.jobs) == 2


async def test_what_only_the_forgotten_had_goes_from_the_vault_and_what_others_have_stays(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        for person, number in ((BOB, 1), (BOB, 2), (ALICE, 2)):
            await house.api.user(person).says(f"https://example.com/{number}")
            await house.until_sent(person, f"Title {number}", kind="video")
            await house.settled()
        assert len(house.api.sent(VAULT)) == 2
        bob = house.api.user(BOB)
        await bob.says("/forget")
        await bob.presses(await house.until_sent(BOB, "Delete everything?"), "Delete everything")
        await house.until_sent(BOB, "I have forgotten you")
        assert [message["caption"] for message in house.api.sent(VAULT)] == ["Title 2"]
