"""Buttons pressed over a restart, of another bot, and where a bug is met."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from storage import tables
from tests.support.chat_house import ALICE, BOB, ChatHouse, chatting

GONE = "This button no longer leads anywhere. Send me the link again."
LONG = timedelta(seconds=60)


async def answer(house: ChatHouse, query: str) -> str:
    await house.api.until(lambda: query in house.api.answers)
    return str(house.api.answers[query].get("text", ""))


async def test_a_button_pressed_after_a_restart_works(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=LONG) as house:
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Title 1")
        await house.until_known(card)
        await house.restart()
        await alice.presses(card, "🎧 MP3")
        file = await house.until_sent(ALICE, kind="audio")
        assert file["message_id"] == card["message_id"]


async def test_a_button_pressed_while_the_bot_is_down_is_answered_later(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=LONG) as house:
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Title 1")
        await house.until_known(card)
        await house.stop()
        query = await alice.presses(card, "720p")
        await house.start()
        assert await answer(house, query) == "Here we go."


async def test_a_button_of_another_bots_card_leads_nowhere(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=LONG) as house:
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Title 1")
        async with house.database.writer.begin() as connection:
            await connection.execute(tables.cards.update().values(bot_id=77))
        query = await alice.presses(card, "720p")
        assert await answer(house, query) == GONE


async def test_a_press_that_meets_a_bug_is_answered_and_told_with_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path, start_delay=LONG) as house:
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        card = await house.until_sent(BOB, "Title 1")
        monkeypatch.setattr(house.chat._buttons, "_on_card", None)
        query = await bob.presses(card, "720p")
        assert await answer(house, query) == ""
        assert "Something went wrong on my side" in (await house.until_sent(BOB, "tell whoever"))["text"]
