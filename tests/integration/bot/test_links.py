"""Watched links in the chat: what is new comes once, also over a restart; a large channel asks; what is wrong is said once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.bot_api import User
from service.audit import Actor
from service.chat import DeliveryState
from service.errors import Throttled
from service.selection import MediaType
from service.watched import Link, Telling
from storage import tables
from tests.support.chat_house import ALICE, BOB, ChatHouse, chatting, labels

CHANNEL = "https://example.com/channel"
HOUR = timedelta(minutes=61)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.link_news.SECONDS", 0.05)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[ChatHouse]:
    async with chatting(tmp_path) as house:
        yield house


def publishes(house: ChatHouse, *numbers: int) -> None:
    known = house.web.channels.setdefault(CHANNEL, [])
    for number in numbers:
        known.insert(0, house.add(number))


async def watches(house: ChatHouse, *numbers: int) -> User:
    """Alice watches a channel with these items; nobody has looked yet."""
    publishes(house, *numbers)
    alice = house.api.user(ALICE)
    await alice.says(f"/link {CHANNEL}")
    await house.until_sent(ALICE, "I watch example.com/channel now")
    return alice


async def looked(house: ChatHouse, *, after: timedelta = timedelta(0)) -> None:
    house.chat_clock.move(after)
    await house.watched.due.tick()


async def link_of(house: ChatHouse) -> Link:
    async with house.database.read() as transaction:
        return (await transaction.links.all())[0]


async def until_there(house: ChatHouse, count: int, chat_id: int = ALICE) -> list[str]:
    """So many files are in the chat, and nothing more comes: their names."""

    async def are_there() -> bool:
        return len(house.files(chat_id)) >= count

    await house.until(are_there, f"{count} files")
    await house.settled()
    return sorted(file["caption"].split("\n")[0] for file in house.files(chat_id))


async def test_what_is_there_comes_and_then_what_is_new(house: ChatHouse) -> None:
    await watches(house, 1, 2)
    await looked(house)
    assert await until_there(house, 2) == ["Title 1", "Title 2"]
    publishes(house, 3)
    await looked(house, after=HOUR)
    assert await until_there(house, 3) == ["Title 1", "Title 2", "Title 3"]


async def test_over_a_restart_each_item_comes_once(house: ChatHouse) -> None:
    await watches(house, 1, 2, 3)
    house.web.stops_after = 1
    await looked(house)

    async def one_arrived() -> bool:
        deliveries = tables.deliveries
        arrived = await house.count(deliveries, deliveries.c.state == DeliveryState.DELIVERED.value)
        return arrived == 1 and house.web.gate is not None

    await house.until(one_arrived, "one has arrived, the others are held up")
    house.web.stops_after = None
    await house.restart()
    assert house.web.gate is not None
    house.web.gate.set()
    assert await until_there(house, 3) == ["Title 1", "Title 2", "Title 3"]


async def test_a_large_channel_asks_and_the_newest_few_come(house: ChatHouse) -> None:
    alice = await watches(house, *range(100, 140))
    await looked(house)
    question = await house.until_sent(ALICE, "There are 40 items")
    assert labels(question) == ["Newest 5", "Newest 20", "All 40", "Only what is new"]
    await alice.presses(question, "Newest 5")
    assert await until_there(house, 5) == [f"Title {number}" for number in range(135, 140)]


async def test_of_a_large_channel_only_what_is_new_may_be_wanted(house: ChatHouse) -> None:
    alice = await watches(house, *range(100, 140))
    await looked(house)
    await alice.presses(await house.until_sent(ALICE, "There are 40 items"), "Only what is new")
    publishes(house, 140)
    await looked(house, after=HOUR)
    assert await until_there(house, 1) == ["Title 140"]


async def test_a_question_is_asked_once_over_a_restart(house: ChatHouse) -> None:
    await watches(house, *range(100, 140))
    await looked(house)
    await house.until_sent(ALICE, "There are 40 items")
    await house.restart()
    await looked(house, after=HOUR)
    await house.settled()
    assert len([one for one in house.api.sent(ALICE) if "There are 40 items" in one.get("text", "")]) == 1


async def test_a_throttled_link_says_so_once(house: ChatHouse) -> None:
    await watches(house, 1)
    house.web.failures[CHANNEL] = [Throttled(), Throttled()]
    await looked(house)
    await house.until_sent(ALICE, "I could not look at example.com/channel")
    await looked(house, after=timedelta(hours=2))

    async def failed_twice() -> bool:
        return (await link_of(house)).failures == 2

    await house.until(failed_twice, "the second failure")
    await looked(house, after=timedelta(hours=8))
    assert await until_there(house, 1) == ["Title 1"]
    assert len([one for one in house.api.sent(ALICE) if "I could not look" in one.get("text", "")]) == 1


async def test_how_one_hears_of_new_items_and_what_they_are_had_as_is_chosen_in_chat(house: ChatHouse) -> None:
    alice = await watches(house, 1)
    await alice.says("/links")
    await alice.presses(await house.until_sent(ALICE, "What I watch for you"), "👁 1")
    shown = await house.until_sent(ALICE, "Not looked at yet")
    await alice.presses(shown, "🗞 Once a day")
    await alice.presses(shown, "🎧 Audio")

    async def is_so() -> bool:
        link = await link_of(house)
        return (link.telling, link.selection.media_type) == (Telling.DIGEST, MediaType.AUDIO)

    await house.until(is_so, "both are chosen")


async def test_a_choice_that_no_button_has_changes_nothing(house: ChatHouse) -> None:
    alice = await watches(house, 1)
    link = await link_of(house)
    await alice.says("/links")
    page = await house.until_sent(ALICE, "What I watch for you")
    for choice in ("tell|shout", "tell", "as|picture", "as"):
        await alice.presses(page, data=f"links|{link.id}|{choice}")
    await house.settled()
    assert await link_of(house) == link


async def test_the_list_opens_a_link_to_pause_go_on_and_delete(house: ChatHouse) -> None:
    alice = await watches(house, 1)
    await alice.says("/links")
    page = await house.until_sent(ALICE, "What I watch for you")
    await alice.presses(page, "👁 1")
    shown = await house.until_sent(ALICE, "Not looked at yet")
    await alice.presses(shown, "⏸ Pause")
    await alice.presses(await house.until_sent(ALICE, "⏸ example.com/channel"), "▶ Go on")
    await alice.presses(await house.until_sent(ALICE, "👁 example.com/channel"), "🗑 Delete")
    await alice.presses(await house.until_sent(ALICE, "no longer?"), "Yes, stop watching")
    await house.until_sent(ALICE, "I watch nothing for you yet")


async def test_look_now_looks_now(house: ChatHouse) -> None:
    alice = await watches(house, 1)
    await alice.says("/links")
    await alice.presses(await house.until_sent(ALICE, "What I watch for you"), "👁 1")
    await alice.presses(await house.until_sent(ALICE, "Not looked at yet"), "🔄 Look now")
    assert await until_there(house, 1) == ["Title 1"]


async def test_the_same_link_twice_is_said_to_be_there(house: ChatHouse) -> None:
    alice = await watches(house, 1)
    await alice.says(f"/link {CHANNEL}")
    await house.until_sent(ALICE, "I watch this for you already")


async def test_a_list_offers_to_be_watched(house: ChatHouse) -> None:
    publishes(house, 1, 2)
    house.web.lists[CHANNEL] = house.web.channels[CHANNEL]
    alice = house.api.user(ALICE)
    await alice.says(CHANNEL)
    await alice.presses(await house.until_sent(ALICE, "2 items"), "👁 Watch this")
    await house.until_sent(ALICE, "I watch List channel now")
    assert (await link_of(house)).url.text == CHANNEL


async def test_somebody_elses_link_cannot_be_touched_by_its_number(house: ChatHouse) -> None:
    await watches(house, 1)
    link = await link_of(house)
    bob = house.api.user(BOB)
    await bob.says("/links")
    page = await house.until_sent(BOB, "I watch nothing for you yet")
    for verb in ("now", "off", "ask", "delete", "take|5", "tell|nothing", "as|audio", "open"):
        await bob.presses(page, data=f"links|{link.id}|{verb}")
    await house.settled()
    assert await link_of(house) == link


async def change(house: ChatHouse, **fields: Any) -> None:
    link = await link_of(house)
    async with house.database.read() as transaction:
        account = await transaction.accounts.get(link.account_id)
    assert account is not None
    await house.watched.change(Actor(account_id=account.id), link.id, fields)


async def test_what_is_only_announced_is_named_and_not_sent(house: ChatHouse) -> None:
    await watches(house, 1, 2)
    await change(house, telling=Telling.ANNOUNCE)
    await looked(house)
    said = await house.until_sent(ALICE, "New in List channel:")
    assert "· Title 2" in said["text"]
    await house.settled()
    assert house.files(ALICE) == []


async def test_a_digest_comes_once_a_day(house: ChatHouse) -> None:
    await watches(house, 1)
    await change(house, telling=Telling.DIGEST)
    await looked(house)
    await house.until_sent(ALICE, "Title 1")
    publishes(house, 2)
    await looked(house, after=HOUR)
    publishes(house, 3)
    await looked(house, after=HOUR)
    await looked(house, after=timedelta(hours=24))
    said = await house.until_sent(ALICE, "Title 3")
    assert "Title 2" in said["text"]
    assert len([one for one in house.api.sent(ALICE) if "since the last time" in one.get("text", "")]) == 2


async def test_a_group_gets_what_is_new_where_its_owner_is_an_administrator(house: ChatHouse) -> None:
    await watches(house, 1)
    group = house.api.group(-100500)
    await group.appoints(ALICE, "administrator")
    await change(house, chat_id=group.id)
    await looked(house)
    assert await until_there(house, 1, group.id) == ["Title 1"]
    assert house.files(ALICE) == []


async def test_whoever_is_no_administrator_of_a_group_gets_it_themselves(house: ChatHouse) -> None:
    await watches(house, 1)
    group = house.api.group(-100500)
    await change(house, chat_id=group.id)
    await looked(house)
    await house.until_sent(ALICE, "I cannot send what is new")
    assert await until_there(house, 1) == ["Title 1"]
    assert house.files(group.id) == []
