"""What was promised of lists and of links sent twice: what is stopped stops, what has arrived stays single, what is missing is said."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox.bot_api import User
from service.chat import DeliveryState
from service.errors import FetchFailed, Unsupported, fetch_failure
from service.model import JobStatus
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, ChatHouse, chatting, labels

LIST = "https://example.com/list"
NEVER = 600.0
"""Seconds that a request is left lying: longer than any test."""


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))


async def asked_for_a_list(house: ChatHouse, count: int) -> User:
    house.web.lists[LIST] = [house.add(number) for number in range(1, count + 1)]
    alice = house.api.user(ALICE)
    await alice.says(LIST)
    await alice.presses(await house.until_sent(ALICE, f"{count} items"), "Best video")
    return alice


def titles(house: ChatHouse) -> list[str]:
    """Of all files in the chat, as often as they are there."""
    return sorted(file["caption"].split("\n")[0] for file in house.files(ALICE))


def called(house: ChatHouse, method: str) -> int:
    return len([call for call in house.api.calls if call.method == method])


def open_gate(house: ChatHouse) -> None:
    assert house.web.gate is not None
    house.web.gate.set()


# --- a list that is stopped -------------------------------------------------------------------------------------------


async def a_list_under_way(house: ChatHouse) -> User:
    """Two of five have arrived, the third is held up at its site."""
    house.width, house.web.stops_after = 1, 2
    await house.restart()
    alice = await asked_for_a_list(house, 5)
    await house.until(lambda: _two_arrived(house), "two have arrived, the third is held up")
    return alice


async def _two_arrived(house: ChatHouse) -> bool:
    arrived = await house.count(tables.deliveries, tables.deliveries.c.state == DeliveryState.DELIVERED.value)
    return arrived == 2 and house.web.gate is not None


async def test_a_list_that_is_stopped_sends_nothing_more(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = await a_list_under_way(house)
        await alice.presses(await house.until_sent(ALICE, "of 5 done"), "Cancel")
        stopped = await house.until_sent(ALICE, "Stopped.")
        house.web.stops_after = None
        open_gate(house)
        await house.settled()
        assert labels(stopped) == ["▶ Start again"]
        assert len(house.files(ALICE)) == called(house, "sendVideo") == 2


async def test_a_stopped_list_that_starts_again_sends_only_what_has_not_arrived(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = await a_list_under_way(house)
        await alice.presses(await house.until_sent(ALICE, "of 5 done"), "Cancel")
        stopped = await house.until_sent(ALICE, "Stopped.")
        house.web.stops_after = None
        open_gate(house)
        house.web.gate = None
        await house.settled()
        await alice.presses(stopped, "Start again")
        await house.until_sent(ALICE, "✅ 5 of 5")
        await house.settled()
        assert titles(house) == [f"Title {number}" for number in range(1, 6)]


async def a_list_half_sent(house: ChatHouse) -> User:
    """All three are stored; the first has arrived, the second lies at Telegram and is not taken."""

    async def lie_from_the_second(method: str, arguments: dict[str, Any]) -> None:
        del arguments
        if method == "sendVideo":
            house.api.before_answer = None
            house.api.hang_next("sendVideo", NEVER)

    house.web.gate = asyncio.Event()
    house.api.before_answer = lie_from_the_second
    alice = await asked_for_a_list(house, 3)
    await house.until(lambda: _all_fetched(house), "all three are at their sites")
    open_gate(house)
    await house.api.until(lambda: called(house, "sendVideo") == 2)
    await house.until(lambda: _all_stored(house), "all three are stored")
    return alice


async def _all_fetched(house: ChatHouse) -> bool:
    return len(house.web.fetched) == 3


async def _all_stored(house: ChatHouse) -> bool:
    return await house.count(tables.jobs, tables.jobs.c.status == JobStatus.COMPLETED.value) == 4


async def test_a_delivery_of_a_stored_list_that_is_stopped_sends_nothing_more(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = await a_list_half_sent(house)
        await alice.presses(await house.until_sent(ALICE, "of 3 done"), "Cancel")
        await house.until_sent(ALICE, "Stopped.")
        await house.settled()
        assert called(house, "sendVideo") == 2
        assert len(house.files(ALICE)) == 1


async def test_a_stopped_delivery_of_a_stored_list_starts_again_with_what_has_not_arrived(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = await a_list_half_sent(house)
        await alice.presses(await house.until_sent(ALICE, "of 3 done"), "Cancel")
        stopped = await house.until_sent(ALICE, "Stopped.")
        await house.settled()
        await alice.presses(stopped, "Start again")
        await house.until_sent(ALICE, "✅ 3 of 3")
        await house.settled()
        assert titles(house) == ["Title 1", "Title 2", "Title 3"]


# --- one link, two cards ----------------------------------------------------------------------------------------------


async def a_link_sent_twice(house: ChatHouse) -> list[dict[str, Any]]:
    """Two cards of one job that is under way, oldest first."""
    house.web.gate = asyncio.Event()
    alice = house.api.user(ALICE)
    for count in (1, 2):
        await alice.says("https://example.com/1")
        await house.api.until(partial(_are_shown, house, "Downloading", count))
    cards = house.api.sent(ALICE)
    for card in cards:
        await house.until_known(card)
    return cards


def _are_shown(house: ChatHouse, words: str, count: int) -> bool:
    return len([message for message in house.api.sent(ALICE) if words in message.get("text", "")]) == count


@pytest.mark.parametrize("stopped", [0, 1], ids=["the-first", "the-second"])
async def test_of_a_link_sent_twice_one_card_is_stopped_and_the_other_gets_its_file(tmp_path: Path, stopped: int) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        cards = await a_link_sent_twice(house)
        assert await house.count(tables.jobs) == 1
        await house.api.user(ALICE).presses(cards[stopped], "Cancel")
        await house.until_sent(ALICE, "Stopped.")
        open_gate(house)
        file = await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert [one["message_id"] for one in house.files(ALICE)] == [cards[1 - stopped]["message_id"]] == [file["message_id"]]


async def test_of_a_link_sent_twice_a_stopped_card_starts_again_while_the_other_goes_on(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        cards = await a_link_sent_twice(house)
        await house.api.user(ALICE).presses(cards[0], "Cancel")
        await house.api.user(ALICE).presses(await house.until_sent(ALICE, "Stopped."), "Start again")
        await house.api.until(partial(_are_shown, house, "Stopped.", 0))
        open_gate(house)
        await house.api.until(lambda: len(house.files(ALICE)) == 2)
        await house.settled()
        assert [one["message_id"] for one in house.api.sent(ALICE)] == [card["message_id"] for card in cards]


async def test_of_a_link_sent_twice_both_cards_stopped_stop_the_job(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        for card in await a_link_sent_twice(house):
            await house.api.user(ALICE).presses(card, "Cancel")
        await house.api.until(partial(_are_shown, house, "Stopped.", 2))
        await house.settled()
        assert house.web.cancelled == 1


async def test_a_link_sent_twice_is_fetched_and_uploaded_once_and_comes_on_both_cards(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        cards = await a_link_sent_twice(house)
        open_gate(house)
        await house.api.until(lambda: len(house.files(ALICE)) == 2)
        await house.settled()
        assert [one["message_id"] for one in house.api.sent(ALICE)] == [card["message_id"] for card in cards]
        assert (house.web.fetched, house.uploads()) == (["https://example.com/1"], ["Title 1.mp4"])


# --- items that are refused -------------------------------------------------------------------------------------------


def refused(code: str) -> list[FetchFailed]:
    """As often as it is tried."""
    return [fetch_failure(code, "no")] * 3


@pytest.mark.parametrize("code", ["unsupported", "address_not_allowed", "private", "network"])
async def test_of_a_list_with_a_refused_item_the_others_come_and_the_card_says_that_one_is_missing(tmp_path: Path, code: str) -> None:
    async with chatting(tmp_path) as house:
        house.web.failures["https://example.com/2"] = refused(code)
        await asked_for_a_list(house, 3)
        told = await house.until_sent(ALICE, "✅ 2 of 3")
        await house.settled()
        assert titles(house) == ["Title 1", "Title 3"]
        assert labels(told) == ["🔁 Try again"]


async def test_try_again_brings_the_refused_item_and_nothing_else(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.web.failures["https://example.com/2"] = [Unsupported()]
        alice = await asked_for_a_list(house, 3)
        told = await house.until_sent(ALICE, "✅ 2 of 3")
        await house.settled()
        await alice.presses(told, "Try again")
        await house.until_sent(ALICE, "✅ 3 of 3")
        await house.settled()
        assert titles(house) == ["Title 1", "Title 2", "Title 3"]


async def test_while_a_list_goes_on_a_refused_item_is_counted(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.web.failures["https://example.com/1"] = [Unsupported()]
        house.web.gate = asyncio.Event()
        await asked_for_a_list(house, 2)
        assert await house.until_sent(ALICE, "0 of 2 done, 1 failed")
        open_gate(house)
        await house.settled()


async def test_a_list_of_which_nothing_came_is_a_failure_with_one_action(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        for number in (1, 2):
            house.web.failures[f"https://example.com/{number}"] = [Unsupported()]
        await asked_for_a_list(house, 2)
        told = await house.until_sent(ALICE, "There is nothing at this address")
        assert labels(told) == ["🔁 Try again"]
