"""How a delivery ends: with a message, on the card, as a link, or not at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from tests.support.chat_house import ALICE, BOB, chatting, labels


async def test_a_long_download_ends_with_a_new_message_that_notifies_and_the_card_goes(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(0)) as house:
        house.web.gate = asyncio.Event()
        await house.api.user(ALICE).says("https://example.com/1")
        card = await house.until_sent(ALICE, "Downloading")
        house.clock.move(timedelta(seconds=31))
        house.web.gate.set()
        await house.api.until(lambda: house.api.message(ALICE, card["message_id"]) is None)
        (file,) = house.files(ALICE)
        assert file["message_id"] > card["message_id"]
        assert [call.args.get("disable_notification", False) for call in house.api.calls if call.method == "sendVideo"] == [False]
        assert house.uploads() == ["Title 1.mp4"]


async def test_a_short_download_ends_quietly_on_its_card(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert [call.method for call in house.api.calls if call.method == "sendVideo"] == []
        assert len(house.api.sent(ALICE)) == 1


async def test_a_file_over_the_limit_is_a_link_that_says_how_long_it_works(tmp_path: Path) -> None:
    async with chatting(tmp_path, upload_limit=3000, public_url="https://magpie.example.org") as house:
        await house.api.user(ALICE).says("https://example.com/1")
        told = await house.until_sent(ALICE, "Here is a link instead")
        (button,) = told["reply_markup"]["inline_keyboard"][0]
        assert "works for 24:00:00" in told["text"]
        assert button["url"].startswith("https://magpie.example.org/downloads/")
        assert house.uploads() == []


async def test_a_file_over_the_limit_without_an_address_of_ours_says_how_to_set_it(tmp_path: Path) -> None:
    async with chatting(tmp_path, upload_limit=3000) as house:
        await house.api.user(ALICE).says("https://example.com/1")
        told = await house.until_sent(ALICE, "MAGPIE_PUBLIC_URL")
        assert "It is stored" in told["text"]
        assert labels(told) == []


async def test_the_default_takes_the_best_that_fits_telegrams_limit(tmp_path: Path) -> None:
    async with chatting(tmp_path, upload_limit=3000) as house:
        house.web.pages["https://example.com/1"] = bytes(4000)
        await house.api.user(ALICE).says("https://example.com/1")
        assert "720p · 2 KB" in (await house.until_sent(ALICE, "Starts by itself"))["text"]


async def test_a_blocked_bot_ends_the_delivery_and_the_file_stays_in_the_history(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(0)) as house:
        house.web.gate = asyncio.Event()
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, "Downloading")
        await bob.blocks_bot()
        house.web.gate.set()
        await house.settled()
        calls = len(house.api.calls)
        await house.restart()
        await house.settled()
        tried_again = [call for call in list(house.api.calls)[calls:] if call.args.get("chat_id") == BOB]
        assert tried_again == []
        await bob.unblocks_bot()
        await bob.says("/history")
        page = await house.until_sent(BOB, "What you had")
        await bob.presses(page, "📨 1")
        assert await house.until_sent(BOB, kind="video")


async def test_a_bot_blocked_before_anything_was_ordered_tries_nothing_at_the_next_start(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=1)) as house:
        bob = house.api.user(BOB)
        house.api.hold("setMessageReaction")
        await bob.says("https://example.com/1")
        await house.api.until(lambda: house.api.held("setMessageReaction"))
        await bob.blocks_bot()
        house.api.release()
        await house.settled()
        calls = len(house.api.calls)
        await house.restart()
        await house.settled()
        assert [call for call in list(house.api.calls)[calls:] if call.args.get("chat_id") == BOB] == []
        assert house.web.fetched == []


async def test_a_deleted_progress_message_brings_the_file_as_a_message(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(0)) as house:
        house.web.gate = asyncio.Event()
        alice = house.api.user(ALICE)
        asked = await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Downloading")
        await alice.deletes(card)
        house.web.gate.set()
        file = await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert file["reply_to_message"]["message_id"] == asked["message_id"]
        assert house.api.sent(ALICE) == [file]


async def test_a_stored_file_whose_card_was_deleted_comes_as_a_message(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=60)) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await alice.says("https://example.com/1")
        await bob.says("https://example.com/1")
        card = await house.until_sent(BOB, "Title 1")
        await alice.presses(await house.until_sent(ALICE, "Title 1"), "1080p")
        await house.until_sent(ALICE, kind="video")
        await bob.deletes(card)
        await bob.presses(card["message_id"], data=card["reply_markup"]["inline_keyboard"][0][0]["callback_data"], chat=BOB)
        await house.until_sent(BOB, kind="video")
        await house.settled()
        assert len(house.api.sent(BOB)) == 1
        assert house.uploads() == ["Title 1.mp4"]
