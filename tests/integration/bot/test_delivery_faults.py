"""Telegram answers late, wrongly or not at all: the file arrives, never twice on its card, and never a third time by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.connection import OWN_PACE
from service.chat import DeliveryState
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, Picture, chatting, jpeg, labels


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05, 0.05))


async def asked_for_a_list_of_one(house: ChatHouse) -> None:
    """What is in a list comes as a message, not on the card."""
    house.web.lists["https://example.com/list"] = ["https://example.com/1"]
    alice = house.api.user(ALICE)
    await alice.says("https://example.com/list")
    await alice.presses(await house.until_sent(ALICE, "1 items"), "Best video")


def called(house: ChatHouse, method: str) -> int:
    return len([call for call in house.api.calls if call.method == method])


# --- on the card ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_accepting", [False, True])
@pytest.mark.parametrize("times", [1, 4])
async def test_a_cut_connection_never_makes_two_of_a_card(tmp_path: Path, *, after_accepting: bool, times: int) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.cut_next("editMessageMedia", after_accepting=after_accepting, times=times)
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert called(house, "editMessageMedia") == times + 1
        assert len(house.api.sent(ALICE)) == 1


@pytest.mark.parametrize(("code", "words"), [(500, "Internal Server Error"), (502, "Bad Gateway"), (504, "Gateway Timeout")])
async def test_a_failure_on_telegrams_side_is_tried_again(tmp_path: Path, code: int, words: str) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.fail_next("editMessageMedia", code, words, times=2)
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        assert len(house.api.sent(ALICE)) == 1


async def test_who_is_asked_to_wait_waits_and_sends_it_once(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.fail_next("editMessageMedia", 429, "Too Many Requests: retry after 1", retry_after=1)
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert called(house, "editMessageMedia") == 2
        assert len(house.api.sent(ALICE)) == 1


async def test_while_telegram_is_out_of_reach_everything_waits_and_then_goes_on(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        await house.api.user(ALICE).says("https://example.com/1")
        card = await house.until_sent(ALICE, "Downloading")
        await house.api.stop()
        house.web.gate.set()
        deliveries = tables.deliveries
        await house.until(lambda: _is_true(house, tables.jobs, tables.jobs.c.status == "completed"), "the job is done")
        await house.api.start()
        file = await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert file["message_id"] == card["message_id"]
        assert await house.count(deliveries, deliveries.c.tries > 0) == 0


async def _is_true(house: ChatHouse, table: Any, condition: Any) -> bool:
    return await house.count(table, condition) > 0


async def test_a_first_card_without_an_answer_is_shown_again_and_the_file_comes_once(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.cut_next("sendMessage", after_accepting=True)
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert len(house.files(ALICE)) == 1


async def test_what_telegram_refuses_is_said_with_one_action_and_not_tried_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.fail_next("editMessageMedia", 400, "Bad Request: VIDEO_CONTENT_TYPE_INVALID", times=9)
        await house.api.user(ALICE).says("https://example.com/1")
        told = await house.until_sent(ALICE, "did not accept")
        await house.settled()
        assert labels(told) == ["🎚 Other formats"]
        assert called(house, "editMessageMedia") == 1


async def test_what_is_too_large_after_all_is_not_tried_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, api={"max_upload": 3000}) as house:
        await house.api.user(ALICE).says("https://example.com/1")
        assert await house.until_sent(ALICE, "did not accept the file")
        assert called(house, "editMessageMedia") == 1


# --- a file id that means nothing any more ----------------------------------------------------------------------------


async def test_a_refused_file_id_is_forgotten_and_the_file_uploaded_anew(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        async with house.database.writer.begin() as connection:
            await connection.execute(tables.telegram_copies.update().values(file_id="Video-1000000001-gone"))
        await house.api.user(BOB).says("https://example.com/1")
        file = await house.until_sent(BOB, kind="video")
        await house.settled()
        assert house.uploads() == ["Title 1.mp4"] * 2
        async with house.database.reader.connect() as connection:
            known = (await connection.execute(tables.telegram_copies.select())).all()
        assert [row.file_id for row in known] == [file["video"]["file_id"]]


async def test_a_refused_file_id_of_an_album_brings_the_whole_album(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        address = house.add_post("post", [Picture(content=jpeg(320 + number)) for number in range(3)])
        await house.api.user(ALICE).says(address)
        await house.until_sent(ALICE, "✅ Done")
        async with house.database.writer.begin() as connection:
            first = tables.telegram_copies.c.media_file_id == 2
            await connection.execute(tables.telegram_copies.update().where(first).values(file_id="Photo-1000000001-gone"))
        await house.api.user(BOB).says(address)
        await house.until_sent(BOB, "✅ Done")
        assert len(house.files(BOB)) == 3


# --- without a card ---------------------------------------------------------------------------------------------------


async def test_an_answer_that_never_came_is_sent_at_most_twice_and_then_asked_about(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.cut_next("sendVideo", after_accepting=True, times=9)
        await asked_for_a_list_of_one(house)
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert len(house.files(ALICE)) == 2
        assert labels(told) == ["📨 Send again"]
        house.api.clear_faults()
        await house.api.user(ALICE).presses(told, "Send again")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert called(house, "sendVideo") == len(house.files(ALICE)) == 3


async def test_one_answer_that_never_came_leaves_at_most_one_copy_too_many(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.cut_next("sendVideo", after_accepting=True)
        await asked_for_a_list_of_one(house)
        await house.api.until(lambda: len(house.files(ALICE)) == 2)
        await house.settled()
        assert called(house, "sendVideo") == 2


async def test_a_request_that_was_cut_before_telegram_took_it_is_made_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.cut_next("sendVideo", after_accepting=False)
        await asked_for_a_list_of_one(house)
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert len(house.files(ALICE)) == 1


async def test_tries_that_surely_did_not_reach_telegram_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.connection.OWN_PACE", replace(OWN_PACE, retries=0))
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.fail_next("sendVideo", 429, "Too Many Requests: retry after 1", times=3, retry_after=1)
        await asked_for_a_list_of_one(house)
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert called(house, "sendVideo") == 4
        assert len(house.files(ALICE)) == 1


async def test_who_blocks_the_bot_before_the_file_is_sent_leaves_nothing_to_try(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.fail_next("sendVideo", 403, "Forbidden: bot was blocked by the user")
        await asked_for_a_list_of_one(house)
        deliveries = tables.deliveries
        await house.until(lambda: _is_true(house, deliveries, deliveries.c.state == DeliveryState.FAILED.value), "it is given up")
        await house.settled()
        assert called(house, "sendVideo") == 1


async def test_of_an_album_what_has_arrived_is_not_sent_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        address = house.add_post("post", [Picture(content=jpeg(320 + number)) for number in range(12)])
        sent: list[int] = []

        async def cut_the_second(method: str, arguments: dict[str, Any]) -> None:
            if method == "sendMediaGroup":
                sent.append(len(arguments["media"]))
                if len(sent) == 1:
                    house.api.cut_next("sendMediaGroup", after_accepting=True, times=9)

        house.api.before_answer = cut_the_second
        await house.api.user(ALICE).says(address)
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert sent == [10, 2, 2]
        assert labels(told) == ["📨 Send again"]


# --- the message that notifies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["Bad Request: not so", "Internal Server Error"])
async def test_a_long_download_whose_notice_fails_stays_on_its_card(tmp_path: Path, words: str) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        await house.api.user(ALICE).says("https://example.com/1")
        card = await house.until_sent(ALICE, "Downloading")
        house.api.fail_next("sendVideo", 400 if "Bad" in words else 500, words, times=9)
        house.clock.move(timedelta(seconds=31))
        house.web.gate.set()
        file = await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert file["message_id"] == card["message_id"]
        assert called(house, "sendVideo") == 1
        assert house.api.sent(ALICE) == [file]
