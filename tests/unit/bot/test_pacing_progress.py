"""Progress edits: seldom, the newest only, and never after something better."""

from __future__ import annotations

import asyncio

import pytest

from bot.lanes import Lane
from bot.pacing import SUPERSEDED, Pace
from tests.unit.bot.paced import Paced
from tests.unit.bot.virtual_time import virtually


@pytest.mark.parametrize(("chat_id", "gap"), [(1, 3), (-100, 6), ("@news", 6)])
def test_progress_edits_keep_their_distance(chat_id: int | str, gap: int) -> None:
    @virtually
    async def check() -> None:
        paced = Paced()
        await asyncio.gather(*(paced.progress("50 %", chat_id, message) for message in range(4)))
        assert paced.times == [0, gap, 2 * gap, 3 * gap]

    check()


@virtually
async def test_the_distance_can_be_set() -> None:
    paced = Paced(pace=Pace(progress_gap=10))
    await asyncio.gather(paced.progress("a", message_id=1), paced.progress("b", message_id=2))
    assert paced.times == [0, 10]


@virtually
async def test_the_distance_counts_from_the_end_of_the_last_edit_of_any_lane() -> None:
    paced = Paced(latency=2)
    await asyncio.gather(paced.edit("text"), paced.progress("50 %", message_id=8))
    assert paced.times == [0, 5]


@virtually
async def test_the_newest_of_the_waiting_edits_of_a_message_is_the_one_made() -> None:
    paced = Paced()
    edits = [paced.progress(f"{percent} %") for percent in range(10)]
    answers = await asyncio.gather(*edits)
    assert paced.texts == ["0 %", "9 %"]
    assert answers == [{"message_id": 1}, *[SUPERSEDED] * 8, {"message_id": 2}]


@virtually
async def test_a_superseded_call_returns_at_once() -> None:
    paced = Paced()
    await paced.progress("0 %")
    older, newer = paced.progress("1 %"), paced.progress("2 %")
    await older
    assert asyncio.get_running_loop().time() == 0
    await newer


@virtually
async def test_edits_of_different_messages_do_not_replace_each_other() -> None:
    paced = Paced()
    await asyncio.gather(paced.progress("a", message_id=1), paced.progress("b", message_id=2), paced.progress("c", 2, message_id=1))
    assert sorted(paced.texts) == ["a", "b", "c"]


@virtually
async def test_a_newer_edit_takes_the_place_of_the_older_so_that_each_message_has_its_turn() -> None:
    paced = Paced()
    await paced.progress("0", message_id=9)
    waiting = [paced.progress("a1", message_id=1), paced.progress("b", message_id=2), paced.progress("a2", message_id=1)]
    await asyncio.gather(*waiting)
    assert paced.texts == ["0", "a2", "b"]


@virtually
async def test_progress_holds_up_neither_texts_nor_deliveries_nor_answers() -> None:
    paced = Paced()
    waiting = [paced.progress("50 %", message_id=message) for message in range(20)]
    await asyncio.gather(
        paced.say("text"), paced.ask("sendVideo", chat_id=1), paced.ask("answerCallbackQuery"), paced.ask("sendChatAction", chat_id=1)
    )
    assert asyncio.get_running_loop().time() == 0
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("endpoint", ["editMessageText", "editMessageMedia", "editMessageReplyMarkup", "deleteMessage"])
def test_a_better_call_for_the_message_drops_the_waiting_progress(endpoint: str) -> None:
    @virtually
    async def check() -> None:
        paced = Paced()
        await paced.progress("0 %")
        progress, better = paced.progress("1 %"), paced.ask(endpoint, chat_id=1, message_id=7, text="done")
        assert await progress is SUPERSEDED
        await better
        assert paced.texts == ["0 %", "done"]

    check()


@virtually
async def test_the_better_call_waits_for_the_progress_edit_that_is_under_way() -> None:
    paced = Paced(latency=5)
    progress = paced.progress("1 %")
    await asyncio.sleep(1)
    await paced.edit("done")
    assert progress.done()
    assert paced.times == [0, 5]


@virtually
async def test_other_messages_need_not_wait_for_the_one_that_is_being_edited() -> None:
    paced = Paced(latency=5)
    slow = [paced.progress("1 %"), paced.edit("done")]
    await asyncio.sleep(1)
    other = [paced.edit("other", message_id=8), paced.say("text")]
    await asyncio.gather(*slow, *other)
    assert sorted(zip(paced.texts, paced.times, strict=True)) == [("1 %", 0), ("done", 5), ("other", 1), ("text", 1)]


@virtually
async def test_progress_asked_for_while_a_better_edit_of_the_message_is_under_way_is_dropped() -> None:
    paced = Paced(latency=5)
    final = paced.edit("done")
    await asyncio.sleep(1)
    assert await paced.progress("99 %") is SUPERSEDED
    await final
    assert paced.texts == ["done"]


@virtually
async def test_progress_asked_for_while_a_better_edit_of_the_message_waits_is_dropped() -> None:
    paced = Paced()
    await paced.fill()
    final = paced.edit("done")
    assert await paced.progress("99 %") is SUPERSEDED
    await final
    await asyncio.sleep(30)
    assert paced.texts == ["done"]


@virtually
async def test_progress_goes_on_after_an_edit_that_is_over() -> None:
    paced = Paced()
    await paced.edit("queued")
    await paced.progress("1 %")
    assert paced.texts == ["queued", "1 %"]


@virtually
async def test_progress_goes_on_after_a_better_edit_that_was_cancelled() -> None:
    paced = Paced()
    await paced.fill()
    final = paced.edit("done")
    await asyncio.sleep(0)
    final.cancel()
    await paced.progress("1 %")
    assert paced.texts == ["1 %"]


@virtually
async def test_calls_on_one_message_are_never_under_way_together() -> None:
    paced = Paced(latency=0.7)
    lanes = [Lane.TEXT, Lane.PROGRESS, Lane.DELIVERY, Lane.PROGRESS, Lane.TEXT, Lane.DELIVERY]
    await asyncio.gather(*(paced.ask("editMessageText", lane, chat_id=1, message_id=7) for lane in lanes))
    assert all(later - earlier >= 0.7 for earlier, later in zip(paced.times, paced.times[1:], strict=False))
    assert len(paced.sent) == 4
