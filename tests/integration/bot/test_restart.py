"""Stopped and started again in each state, a card goes on in its old message."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from service.chat import CardState, DeliveryState
from storage import tables
from tests.support.chat_house import ALICE, ChatHouse, Picture, chatting, jpeg, labels

AT_ONCE = timedelta(0)


def called(house: ChatHouse, method: str) -> int:
    return len([call for call in house.api.calls if call.method == method])


async def in_state(house: ChatHouse, state: CardState) -> bool:
    return await house.count(tables.cards, tables.cards.c.state == state.value) == 1


async def test_while_it_looks(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.api.hold("sendChatAction")  # what comes before the look
        await house.api.user(ALICE).says("https://example.com/1")
        await house.api.until(lambda: house.api.held("sendChatAction"))
        assert await in_state(house, CardState.LOOKING)
        await house.stop()
        house.api.release()
        await house.start()
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert len(house.api.sent(ALICE)) == 1


async def test_while_the_clock_runs_it_still_starts_by_itself(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=1)) as house:
        await house.api.user(ALICE).says("https://example.com/1")
        card = await house.until_sent(ALICE, "Starts by itself")
        await house.until_known(card)
        await house.stop()
        assert house.web.fetched == []
        await house.start()
        file = await house.until_sent(ALICE, kind="video")
        assert file["message_id"] == card["message_id"]


async def test_a_card_that_waits_for_a_choice_goes_on_waiting(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        await alice.presses(await house.until_sent(ALICE, "Title 1"), "Let me choose")
        card = await house.until_sent(ALICE, "What would you like?")
        await house.restart()
        assert house.api.sent(ALICE) == [card]
        await alice.presses(card, "720p")
        assert (await house.until_sent(ALICE, kind="video"))["message_id"] == card["message_id"]


async def test_while_it_downloads_the_same_message_moves_on(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        await house.api.user(ALICE).says("https://example.com/1")
        card = await house.until_sent(ALICE, "Downloading")
        await house.restart()
        house.web.gate.set()
        file = await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert file["message_id"] == card["message_id"]
        assert len(house.api.sent(ALICE)) == 1


async def test_what_ended_while_the_bot_was_down_is_delivered_at_the_start(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        await house.api.user(ALICE).says("https://example.com/1")
        card = await house.until_sent(ALICE, "Downloading")
        await house.chat.stop()
        house.web.gate.set()
        await house.until(lambda: _all_jobs_done(house), "the job ends without the bot")
        house.chat = house._chat()
        await house.chat.start()
        file = await house.until_sent(ALICE, kind="video")
        assert file["message_id"] == card["message_id"]


async def _all_jobs_done(house: ChatHouse) -> bool:
    return await house.count(tables.jobs, tables.jobs.c.status != "completed") == 0


async def test_while_the_file_is_on_its_way_it_is_turned_into_the_card_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.api.hold("editMessageMedia")
        await house.api.user(ALICE).says("https://example.com/1")
        await house.api.until(lambda: house.api.held("editMessageMedia"))
        await house.stop()
        house.api.release()
        await house.start()
        await house.settled()
        assert called(house, "editMessageMedia") == 2, "nobody knew whether it had arrived"
        assert len(house.api.sent(ALICE)) == len(house.files(ALICE)) == 1


async def test_a_message_cut_short_by_two_stops_is_sent_twice_and_then_asked_about(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=60)) as house:
        house.web.lists["https://example.com/list"] = ["https://example.com/1"]
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/list")
        await alice.presses(await house.until_sent(ALICE, "1 items"), "Best video")
        for times in (1, 2):
            house.api.hold("sendVideo")
            if times == 2:
                await house.start()
            await house.api.until(lambda: house.api.held("sendVideo"))
            await house.stop()
            house.api.release()
        await house.start()
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert labels(told) == ["📨 Send again"]
        assert called(house, "sendVideo") == len(house.files(ALICE)) == 2


async def test_a_list_goes_on_with_what_has_not_arrived(tmp_path: Path) -> None:
    async with chatting(tmp_path, pages=range(1, 6)) as house:
        house.width, house.web.stops_after = 1, 2
        await house.restart()
        house.web.lists["https://example.com/list"] = [f"https://example.com/{number}" for number in range(1, 6)]
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/list")
        card = await house.until_sent(ALICE, "5 items")
        await alice.presses(card, "Best video")
        await house.until(lambda: _delivered(house, 2), "two have arrived, the third is held up")
        await house.restart()
        assert house.web.gate is not None
        house.web.gate.set()
        done = await house.until_sent(ALICE, "✅ 5 of 5")
        await house.settled()
        assert done["message_id"] == card["message_id"]
        assert sorted(file["caption"].split("\n")[0] for file in house.files(ALICE)) == [f"Title {number}" for number in range(1, 6)]


async def _delivered(house: ChatHouse, count: int) -> bool:
    arrived = await house.count(tables.deliveries, tables.deliveries.c.state == DeliveryState.DELIVERED.value)
    return arrived == count and house.web.gate is not None


async def test_an_album_goes_on_with_its_next_part(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        address = house.add_post("post", [Picture(content=jpeg(320 + number)) for number in range(14)])
        sizes: list[int] = []

        async def hold_the_second(method: str, arguments: dict[str, object]) -> None:
            if method == "sendMediaGroup":
                sizes.append(len(arguments["media"]))  # type: ignore[arg-type]
                if len(sizes) == 1:
                    house.api.before_answer = None
                    house.api.fail_next("sendMediaGroup", 500, "Internal Server Error", times=99)

        house.api.before_answer = hold_the_second
        await house.api.user(ALICE).says(address)
        await house.until(lambda: _parts(house, 10), "the first ten have arrived")
        await house.stop()
        house.api.clear_faults()
        await house.start()
        await house.until_sent(ALICE, "✅ Done")
        widths = [message["photo"][-1]["width"] for message in house.files(ALICE)]
        assert widths == [320 + number for number in range(14)]


async def _parts(house: ChatHouse, parts: int) -> bool:
    return await house.count(tables.deliveries, tables.deliveries.c.parts == parts) == 1


async def test_a_delivered_file_is_left_alone_by_a_restart(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        calls = len(house.api.calls)
        await house.restart()
        await house.settled()
        to_alice = [call for call in list(house.api.calls)[calls:] if call.args.get("chat_id") == ALICE]
        assert to_alice == []
