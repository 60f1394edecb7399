"""A link becomes a card, the card becomes the file."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from service.errors import VideoPrivate
from service.model import JobStatus
from tests.support.chat_house import ALICE, chatting, labels


async def test_a_link_gets_eyes_a_card_with_sizes_and_then_the_file(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = house.api.user(ALICE, first_name="Alice")
        asked = await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Title 1")
        assert house.api.reactions[ALICE, asked["message_id"]] == ["👀"]
        assert labels(card)[:3] == ["1080p · 4 KB", "720p · 2 KB", "🎧 MP3 · ≈ 1 KB"]
        file = await house.until_sent(ALICE, kind="video")
        assert file["message_id"] == card["message_id"], "the card itself becomes the file"
        assert "Artist" in file["caption"]
        assert house.api.file_bytes(file["video"]["file_id"]) == house.web.pages["https://example.com/1"]


async def test_a_button_is_quicker_than_the_clock_and_is_remembered(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=60)) as house:
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Title 1")
        await alice.presses(card, "🎧 MP3 · ≈ 1 KB")
        await house.until_sent(ALICE, kind="audio")
        await alice.says("https://example.com/2")
        second = await house.until_sent(ALICE, "Title 2")
        assert "🎧 MP3" in second["caption" if "caption" in second else "text"]


async def test_stored_media_comes_back_by_its_file_id(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        first = await house.until_sent(ALICE, kind="video")
        asked = await alice.says("https://example.com/1")
        again = await house.api.until(
            lambda: [m for m in house.api.sent(ALICE) if "video" in m and m["message_id"] > asked["message_id"]], timeout=20
        )
        assert again[0]["video"]["file_id"] == first["video"]["file_id"]
        assert house.web.fetched == ["https://example.com/1"]


async def test_a_failure_is_one_sentence_one_action_and_a_job_id(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.web.failures["https://example.com/1"] = [VideoPrivate("secret /path token")]
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        told = await house.until_sent(ALICE, "private")
        assert "This video is private." in told["text"]
        assert "Job " in told["text"]
        assert labels(told) == ["🔁 Try again"]
        assert "secret" not in told["text"]
        await alice.presses(told, "🔁 Try again")
        assert await house.until_sent(ALICE, kind="video")


async def test_a_second_press_changes_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=60)) as house:
        house.web.gate = asyncio.Event()
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Title 1")
        first = await alice.presses(card, "720p · 2 KB")
        second = await alice.presses(card, data=card["reply_markup"]["inline_keyboard"][0][1]["callback_data"])
        await house.api.until(lambda: first in house.api.answers and second in house.api.answers, timeout=10)
        assert house.api.answers[second]["text"] == "That is under way already."
        async with house.database.read() as transaction:
            assert len(await transaction.jobs.live()) == 1


async def test_cancel_stops_the_job_and_says_so(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(0)) as house:
        house.web.gate = asyncio.Event()
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        card = await house.until_sent(ALICE, "Downloading")
        assert labels(card) == ["✖ Cancel"]
        await alice.presses(card, "✖ Cancel")
        stopped = await house.until_sent(ALICE, "Stopped.")
        assert labels(stopped) == ["▶ Start again"]
        assert house.web.cancelled == 1
        assert [job.status for job in house.seen][-1] is JobStatus.CANCELLED


async def test_a_list_is_offered_with_a_range_and_comes_file_by_file(tmp_path: Path) -> None:
    async with chatting(tmp_path, pages=range(1, 8)) as house:
        house.web.lists["https://example.com/list"] = [f"https://example.com/{number}" for number in range(1, 8)]
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/list")
        card = await house.until_sent(ALICE, "7 items")
        await alice.says("2-4", reply_to=card)
        await house.until_sent(ALICE, "Chosen: 2\u20134")
        await alice.presses(card["message_id"], "🎬 Best video")
        await house.until_sent(ALICE, "✅ 3 of 3")
        files = [message for message in house.api.sent(ALICE) if "video" in message]
        assert sorted(message["caption"].split("\n")[0] for message in files) == ["Title 2", "Title 3", "Title 4"]
