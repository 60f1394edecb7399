"""Ends that are heard, seen after a restart, and shown even where Telegram refuses: of lists, albums, links and failures."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.errors import VideoPrivate
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, ChatHouse, Picture, chatting, jpeg, labels

LONG, SHORT = timedelta(seconds=31), timedelta(seconds=29)
ADDRESS = "https://example.com/1"


def heard(house: ChatHouse, *methods: str) -> list[bool]:
    """Of each call to one of these: whether it notified."""
    return [not call.args.get("disable_notification", False) for call in house.api.calls if call.method in methods]


async def after(house: ChatHouse, time: timedelta, address: str = ADDRESS, choice: str | None = None) -> dict[str, Any]:
    """Ask for it, and let it take so long. The card while it was under way."""
    house.web.gate = asyncio.Event()
    alice = house.api.user(ALICE)
    await alice.says(address)
    if choice is not None:
        await alice.presses(await house.until_sent(ALICE, "items"), choice)
    async with asyncio.timeout(20):
        await house.web.reached.wait()
    card = await house.until_sent(ALICE)
    await house.until_known(card)
    house.clock.move(time)
    return card


def open_gate(house: ChatHouse) -> None:
    assert house.web.gate is not None
    house.web.gate.set()


@pytest.mark.parametrize(("time", "is_heard"), [(LONG, True), (SHORT, False)])
async def test_a_failure_is_heard_after_a_long_time_only(tmp_path: Path, time: timedelta, is_heard: bool) -> None:  # noqa: FBT001 - parametrized
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        card = await after(house, time)
        house.web.breaks.append(VideoPrivate())
        open_gate(house)
        await house.until_sent(ALICE, "⚠️")
        await house.settled()
        told = await house.until_sent(ALICE, "⚠️")
        assert (told["message_id"] > card["message_id"]) is is_heard
        assert [message["message_id"] for message in house.api.sent(ALICE)] == [told["message_id"]]
        assert labels(told) == ["🔁 Try again"]


@pytest.mark.parametrize(("time", "is_heard"), [(LONG, True), (SHORT, False)])
async def test_a_lists_end_is_heard_after_a_long_time_only(tmp_path: Path, time: timedelta, is_heard: bool) -> None:  # noqa: FBT001 - parametrized
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.lists["https://example.com/list"] = ["https://example.com/1", "https://example.com/2"]
        card = await after(house, time, "https://example.com/list", "720p")
        open_gate(house)
        await house.until_sent(ALICE, "✅ 2 of 2")
        await house.settled()
        told = await house.until_sent(ALICE, "✅ 2 of 2")
        assert (told["message_id"] > card["message_id"]) is is_heard
        assert len(house.files(ALICE)) == 2
        assert len(house.api.sent(ALICE)) == 3
        assert heard(house, "sendVideo") == [False, False]


@pytest.mark.parametrize(("time", "is_heard"), [(LONG, True), (SHORT, False)])
async def test_an_album_is_heard_after_a_long_time_only(tmp_path: Path, time: timedelta, is_heard: bool) -> None:  # noqa: FBT001 - parametrized
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await after(house, time, house.add_post("post", [Picture(content=jpeg(320 + number)) for number in range(3)]))
        open_gate(house)
        await house.until_sent(ALICE, "✅ Done")
        await house.settled()
        assert heard(house, "sendMediaGroup") == [is_heard]


@pytest.mark.parametrize(("time", "is_heard"), [(LONG, True), (SHORT, False)])
async def test_a_link_is_heard_after_a_long_time_only(tmp_path: Path, time: timedelta, is_heard: bool) -> None:  # noqa: FBT001 - parametrized
    async with chatting(tmp_path, start_delay=AT_ONCE, upload_limit=3000, public_url="https://magpie.example.org") as house:
        card = await after(house, time)
        open_gate(house)
        told = await house.until_sent(ALICE, "Here is a link instead")
        await house.settled()
        assert (told["message_id"] > card["message_id"]) is is_heard
        assert house.api.sent(ALICE) == [told]


async def test_a_link_whose_answers_are_lost_is_sent_at_most_twice(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, upload_limit=3000, public_url="https://magpie.example.org") as house:
        await after(house, LONG)
        house.api.cut_next("sendMessage", after_accepting=True, times=2)
        open_gate(house)
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert len([one for one in house.api.sent(ALICE) if "Here is a link" in one["text"]]) == 2
        assert labels(told) == ["📨 Send again"]


async def test_an_albums_large_file_whose_answer_is_lost_is_not_said_a_third_time(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, upload_limit=3000, public_url="https://magpie.example.org") as house:
        large = Picture(content=jpeg(640) + bytes(4000))
        address = house.add_post("post", [Picture(content=jpeg(320)), large, Picture(content=jpeg(321))])

        async def cut_links(method: str, arguments: dict[str, Any]) -> None:
            del arguments
            if method == "sendMediaGroup":
                house.api.cut_next("sendMessage", after_accepting=True, times=9)

        house.api.before_answer = cut_links
        await house.api.user(ALICE).says(address)
        await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert len([one for one in house.api.sent(ALICE) if "Here is a link" in one.get("text", "")]) == 2
        assert len(house.files(ALICE)) == 2


async def test_a_card_whose_looks_are_refused_is_shown_plainly_and_still_works(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=60)) as house:
        house.api.fail_next("sendMessage", 400, "Bad Request: can't parse entities")
        alice = house.api.user(ALICE)
        await alice.says(ADDRESS)
        card = await house.until_sent(ALICE)
        assert card["text"].startswith("Title 1\n")
        assert "entities" not in card
        await house.until_known(card)
        await alice.presses(card, "720p")
        assert (await house.until_sent(ALICE, kind="video"))["message_id"] == card["message_id"]


async def test_a_first_card_whose_answers_are_lost_is_sent_at_most_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))
    async with chatting(tmp_path, start_delay=timedelta(seconds=1)) as house:
        house.api.cut_next("sendMessage", after_accepting=True, times=6)
        await house.api.user(ALICE).says(ADDRESS)
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert len([one for one in house.api.sent(ALICE) if "Starts by itself" in one.get("text", "")]) == 2
        assert len(house.files(ALICE)) == 1


async def test_an_end_that_the_chat_did_not_see_is_shown_after_a_restart(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        card = await after(house, SHORT)
        house.web.breaks.append(VideoPrivate())
        house.api.cut_next("editMessageText", after_accepting=False, times=99)
        open_gate(house)
        failed = tables.cards.c.state == "failed"
        await house.until(lambda: _one(house, failed), "the card has failed")
        await house.stop()
        assert "⚠️" not in house.api.sent(ALICE)[0]["text"]
        house.api.clear_faults()
        await house.start()
        told = await house.until_sent(ALICE, "⚠️")
        assert told["message_id"] == card["message_id"]
        await house.settled()


async def _one(house: ChatHouse, condition: Any) -> bool:
    return await house.count(tables.cards, condition) == 1


async def test_an_end_that_was_seen_is_not_shown_again_at_each_start(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await after(house, SHORT)
        house.web.breaks.append(VideoPrivate())
        open_gate(house)
        await house.until_sent(ALICE, "⚠️")
        await house.settled()
        before = len(house.api.calls)
        await house.restart()
        await house.settled()
        assert [call.method for call in list(house.api.calls)[before:] if call.method.startswith(("edit", "send"))] == []
