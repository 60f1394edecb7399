"""A blocked account: nothing new starts, nothing arrives, its cards say so. What runs goes on, and is there when it is let in again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.bot_api import User
from service.accounts import AccountChange
from service.chat import DeliveryState
from storage import tables
from tests.integration.bot.conftest import HeldStart
from tests.support.chat_house import AT_ONCE, BOB, ChatHouse, chatting, labels
from tests.support.people import OPERATOR

BLOCKED = "This account is blocked."
LATER = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))
    monkeypatch.setattr("bot.attendant.LOOK_AGAIN", 0.2)


async def blocks(house: ChatHouse, *, is_active: bool = False) -> None:
    bob = await house.town.accounts.named(f"tg-{BOB}")
    await house.town.accounts.change(OPERATOR, bob.id, AccountChange(is_active=is_active))


async def asked_for(house: ChatHouse, address: str, words: str) -> dict[str, Any]:
    await house.api.user(BOB).says(address)
    return await house.until_sent(BOB, words)


async def has_ended_well(house: ChatHouse) -> bool:
    return await house.count(tables.jobs, tables.jobs.c.status == "completed") == 1


async def a_list_of_three(house: ChatHouse) -> User:
    """One has arrived, the others are held up at their site."""
    house.web.lists["https://example.com/list"] = [f"https://example.com/{number}" for number in (1, 2, 3)]
    house.width, house.web.stops_after = 1, 1
    await house.restart()
    bob = house.api.user(BOB)
    await bob.says("https://example.com/list")
    await bob.presses(await house.until_sent(BOB, "3 items"), "Best video")
    deliveries = tables.deliveries

    async def is_under_way() -> bool:
        return await house.count(deliveries, deliveries.c.state == DeliveryState.DELIVERED) == 1 and house.web.gate is not None

    await house.until(is_under_way, "one has arrived, the others are held up")
    return bob


# --- before the start -------------------------------------------------------------------------------------------------


async def test_what_counts_down_does_not_start(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=3)) as house:
        card = await asked_for(house, "https://example.com/1", "Title 1")
        await blocks(house)
        told = await house.until_sent(BOB, BLOCKED)
        assert told["message_id"] == card["message_id"]
        assert await house.count(tables.jobs) == 0


async def test_a_block_in_the_very_moment_of_the_start_holds(tmp_path: Path, held_start: HeldStart) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await house.api.user(BOB).says("https://example.com/1")
        await asyncio.wait_for(held_start.reached.wait(), 20)
        await blocks(house)
        held_start.gate.set()
        await house.until_sent(BOB, BLOCKED)
        assert await house.count(tables.jobs) == 0


async def test_what_counted_down_before_a_restart_does_not_start_after_it(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=LATER) as house:
        await house.until_known(await asked_for(house, "https://example.com/1", "Title 1"))
        await blocks(house)
        house.chat_clock.move(LATER)
        await house.restart()
        await house.until_sent(BOB, BLOCKED)
        assert await house.count(tables.jobs) == 0


async def test_what_was_not_started_can_be_chosen_once_the_account_is_let_in_again(tmp_path: Path, held_start: HeldStart) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        await asyncio.wait_for(held_start.reached.wait(), 20)
        await blocks(house)
        held_start.gate.set()
        card = await house.until_sent(BOB, BLOCKED)
        await house.settled()
        await blocks(house, is_active=True)
        await bob.presses(card, "Try again")
        await bob.presses(await house.until_sent(BOB, "What would you like?"), "720p")
        assert await house.until_sent(BOB, "Title 1", kind="video")


# --- while it runs, and afterwards ------------------------------------------------------------------------------------


async def test_what_runs_goes_on_and_is_not_delivered(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        card = await asked_for(house, "https://example.com/1", "Downloading")
        await blocks(house)
        house.web.gate.set()
        await house.until(lambda: has_ended_well(house), "the job's end")
        told = await house.until_sent(BOB, BLOCKED)
        await house.settled()
        assert told["message_id"] == card["message_id"]
        assert house.files(BOB) == []


async def test_the_card_says_so_while_its_job_still_runs(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        await asked_for(house, "https://example.com/1", "Downloading")
        await blocks(house)
        await house.until_sent(BOB, BLOCKED)
        assert await house.count(tables.jobs, tables.jobs.c.status == "processing") == 1


@pytest.mark.parametrize("is_over", [True, False])
async def test_once_let_in_again_one_press_brings_it_without_a_second_download(tmp_path: Path, *, is_over: bool) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        await asked_for(house, "https://example.com/1", "Downloading")
        await blocks(house)
        card = await house.until_sent(BOB, BLOCKED)
        if is_over:
            house.web.gate.set()
            await house.until(lambda: has_ended_well(house), "the job's end")
        await blocks(house, is_active=True)
        await house.api.user(BOB).presses(card, "Try again")
        await house.until_sent(BOB, kind="video") if is_over else await house.until_sent(BOB, "Downloading")
        house.web.gate.set()
        await house.until_sent(BOB, "Title 1", kind="video")
        assert house.web.fetched == ["https://example.com/1"]


async def test_a_delivery_that_waits_for_telegram_is_given_up(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.fail_next("editMessageMedia", 502, "Bad Gateway", times=1_000_000)
        await house.api.user(BOB).says("https://example.com/1")
        await house.api.until(lambda: [call for call in house.api.calls if call.method == "editMessageMedia"])
        await blocks(house)
        await house.until_sent(BOB, BLOCKED)
        house.api.clear_faults()
        await house.settled()
        assert house.files(BOB) == []


async def test_a_list_that_waits_for_telegram_is_given_up(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.lists["https://example.com/list"] = ["https://example.com/1"]
        house.api.fail_next("sendVideo", 429, "Too Many Requests: retry after 1", retry_after=1, times=1_000_000)
        list_card = await asked_for(house, "https://example.com/list", "1 items")
        await house.api.user(BOB).presses(list_card, "Best video")
        await house.until(lambda: all_have_ended(house, 2), "the list's end")
        await house.api.until(lambda: [call for call in house.api.calls if call.method == "sendVideo"])
        await blocks(house)
        await house.until_sent(BOB, BLOCKED)
        house.api.clear_faults()
        await house.settled()
        assert house.files(BOB) == []


async def test_of_a_list_the_rest_does_not_arrive_until_the_account_is_let_in_again(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = await a_list_of_three(house)
        await blocks(house)
        assert house.web.gate is not None
        house.web.gate.set()
        card = await house.until_sent(BOB, BLOCKED)
        await house.until(lambda: all_have_ended(house, 4), "the list's end")
        assert len(house.files(BOB)) == 1
        await blocks(house, is_active=True)
        await bob.presses(card, "Try again")
        await house.api.until(lambda: len(house.files(BOB)) == 3)


async def all_have_ended(house: ChatHouse, count: int) -> bool:
    """The list itself among them."""
    return await house.count(tables.jobs, tables.jobs.c.status == "completed") == count


async def test_its_buttons_do_nothing_meanwhile(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=LATER) as house:
        card = await asked_for(house, "https://example.com/1", "Title 1")
        await blocks(house)
        query = await house.api.user(BOB).presses(card, labels(card)[0])
        await house.api.until(lambda: query in house.api.answers)
        assert await house.count(tables.jobs) == 0
