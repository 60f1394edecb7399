"""How much, and in what order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from telegram.error import NetworkError

from bot.lanes import Lane
from bot.pacing import Answer
from tests.unit.bot.paced import Paced
from tests.unit.bot.virtual_time import virtually


@virtually
async def test_a_private_chat_gets_three_messages_at_once_and_then_one_a_second() -> None:
    paced = Paced()
    await asyncio.gather(*(paced.say("hello") for _ in range(6)))
    assert paced.times == [0, 0, 0, 1, 2, 3]


@virtually
async def test_edits_count_as_messages() -> None:
    paced = Paced()
    await asyncio.gather(*(paced.edit("hello", message_id=n) for n in range(5)))
    assert paced.times == [0, 0, 0, 1, 2]


@virtually
async def test_an_album_counts_as_many_messages_as_it_has() -> None:
    paced = Paced()
    await paced.request("sendMediaGroup", chat_id=1, media=[object()] * 5)
    await paced.request("sendMessage", chat_id=1)
    assert paced.times == [0, 3]


@virtually
async def test_a_group_gets_at_most_five_messages_in_five_seconds_and_twenty_in_a_minute() -> None:
    paced = Paced()
    await asyncio.gather(*(paced.say("hello", -100) for _ in range(45)))
    times = paced.times
    assert times[:6] == [0, 0, 0, 1, 2, 5]
    assert all(later - earlier >= 5 for earlier, later in zip(times, times[5:], strict=False))
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[20:], strict=False))
    assert times[20] == 60


@virtually
async def test_a_chat_known_by_name_has_the_pace_of_a_group() -> None:
    paced = Paced()
    await asyncio.gather(*(paced.say("hello", "@News") for _ in range(11)), *(paced.say("hello", "@news ") for _ in range(10)))
    assert paced.times[20] == 60


@virtually
async def test_a_chat_id_written_as_text_is_the_same_chat() -> None:
    paced = Paced()
    await asyncio.gather(paced.say("a", 5), paced.say("b", "5"), paced.say("c", 5), paced.say("d", "5"))
    assert paced.times == [0, 0, 0, 1]


@virtually
async def test_at_most_28_messages_a_second_leave_for_all_chats_together() -> None:
    paced = Paced()
    await asyncio.gather(*(paced.say("hello", chat) for chat in range(1, 61)))
    assert paced.times == [0] * 28 + [1] * 28 + [2] * 4


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        ("answerCallbackQuery", {"callback_query_id": "1"}),
        ("setMessageReaction", {"chat_id": 1, "message_id": 7}),
        ("sendChatAction", {"chat_id": 1}),
        ("deleteMessage", {"chat_id": 1, "message_id": 7}),
        ("getFile", {"file_id": "1"}),
    ],
)
def test_what_is_no_message_needs_no_room_and_takes_none(endpoint: str, arguments: dict[str, Any]) -> None:
    @virtually
    async def check() -> None:
        paced = Paced()
        await paced.fill()
        await asyncio.gather(*(paced.ask(endpoint, **arguments) for _ in range(50)))
        await paced.say("hello")
        assert paced.times == [0] * 50 + [1]

    check()


@virtually
async def test_a_reaction_does_not_wait_for_the_messages_before_it() -> None:
    paced = Paced()
    await paced.fill()
    message, reaction = paced.say("hello"), paced.ask("setMessageReaction", chat_id=1, message_id=7)
    await reaction
    assert not message.done()
    await message


@virtually
async def test_the_best_lane_goes_first() -> None:
    paced = Paced()
    await paced.fill()
    waiting = [paced.progress("progress"), paced.say("text"), paced.ask("sendVideo", chat_id=1, text="video")]
    await asyncio.gather(*waiting)
    assert paced.texts == ["video", "text", "progress"]


@virtually
async def test_a_caller_may_ask_for_another_lane() -> None:
    paced = Paced()
    await paced.fill()
    await asyncio.gather(paced.say("text"), paced.say("urgent", lane=Lane.ANSWER))
    assert paced.texts == ["urgent", "text"]
    assert paced.times == [1, 2]


@virtually
async def test_first_in_is_first_out_within_a_lane() -> None:
    paced = Paced()
    await asyncio.gather(*(paced.say(str(number)) for number in range(8)))
    assert paced.texts == [str(number) for number in range(8)]


@virtually
async def test_a_delete_waits_for_the_text_that_was_asked_for_before_it() -> None:
    paced = Paced()
    await paced.fill()
    await asyncio.gather(paced.say("text"), paced.ask("deleteMessage", chat_id=1, message_id=7))
    assert [call.endpoint for call in paced.sent] == ["sendMessage", "deleteMessage"]


@virtually
async def test_an_album_is_not_overtaken_for_ever_by_texts_that_need_less_room() -> None:
    paced = Paced()
    await paced.fill()
    album = paced.ask("sendMediaGroup", chat_id=1, media=[object()] * 3, text="album")
    await asyncio.gather(album, *(paced.say("text") for _ in range(5)))
    assert paced.texts[0] == "album"


@virtually
async def test_a_chat_that_waits_holds_up_no_other() -> None:
    paced = Paced()
    many = [paced.say("many", 1) for _ in range(10)]
    await paced.say("one", 2)
    assert asyncio.get_running_loop().time() == 0
    await asyncio.gather(*many)


@virtually
async def test_chats_take_turns_where_the_room_of_all_is_short() -> None:
    paced = Paced()
    for chat in range(100, 128):
        await paced.say("fill", chat)
    paced.sent.clear()
    waiting = [paced.say(str(chat), chat) for chat in range(1, 15) for _ in range(3)]
    await asyncio.gather(*waiting)
    first_second = [call.text for call in paced.sent if call.at == 1]
    assert sorted(first_second) == sorted([str(chat) for chat in range(1, 15)] * 2)


@virtually
async def test_where_the_room_of_all_is_short_a_delivery_goes_before_texts_of_other_chats() -> None:
    paced = Paced()
    for chat in range(100, 128):
        await paced.say("fill", chat)
    paced.sent.clear()
    await asyncio.gather(*(paced.say("text", chat) for chat in range(1, 10)), paced.ask("sendVideo", chat_id=50, text="video"))
    assert paced.texts[0] == "video"


@virtually
async def test_a_call_that_was_cancelled_while_it_waited_is_not_made() -> None:
    paced = Paced()
    await paced.fill()
    first, second = paced.say("first"), paced.say("second")
    await asyncio.sleep(0.5)
    first.cancel()
    await second
    assert paced.texts == ["second"]
    assert paced.times == [1]


@virtually
async def test_a_call_cancelled_in_the_moment_of_its_turn_is_not_made_and_leaves_its_message_free() -> None:
    paced, loop = Paced(), asyncio.get_running_loop()
    await paced.fill()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        loop.call_soon(edit.cancel)  # comes after the turn was given, and before its task runs

    paced.pacing._sleep = sleep
    edit = paced.edit("cancelled")
    await asyncio.wait([edit])
    paced.pacing._sleep = asyncio.sleep
    await paced.edit("other")
    assert paced.texts == ["other"]
    assert paced.times == [2]


@virtually
async def test_a_chat_whose_next_call_is_cancelled_in_the_moment_of_its_turn_gets_no_other_turn_for_it() -> None:
    paced, victims = Paced(), list[asyncio.Task[Answer]]()
    paced.pacing._sleep = _then_cancel(victims)
    await paced.edit("fill", 50)
    for chat in range(100, 127):
        await paced.say("fill", chat)
    paced.sent.clear()
    victims.append(paced.say("cancelled", 50))
    await paced.progress("1 %", 50, message_id=8)
    assert paced.times == [3]


@virtually
async def test_a_chat_whose_delivery_is_cancelled_in_the_moment_of_its_turn_waits_behind_other_deliveries() -> None:
    paced, victims = Paced(), list[asyncio.Task[Answer]]()
    paced.pacing._sleep = _then_cancel(victims)
    for chat in range(100, 128):
        await paced.say("fill", chat)
    paced.sent.clear()
    victims.append(paced.ask("sendVideo", chat_id=1))
    await asyncio.gather(paced.say("text", 1), paced.ask("sendVideo", chat_id=2, text="video"))
    assert paced.texts == ["video", "text"]


@virtually
async def test_a_network_error_goes_to_the_caller_and_nothing_is_repeated() -> None:
    paced = Paced(errors=[NetworkError("cut")])
    with pytest.raises(NetworkError):
        await paced.say("hello")
    assert len(paced.sent) == 1


@virtually
async def test_a_shutdown_cancels_what_waits() -> None:
    paced = Paced()
    await paced.fill()
    waiting = [paced.say("hello"), paced.progress("progress")]
    await asyncio.sleep(0)
    await paced.pacing.shutdown()
    await asyncio.wait(waiting)
    assert asyncio.get_running_loop().time() == 0
    assert [task.cancelled() for task in waiting] == [True, True]
    assert paced.sent == []


@virtually
async def test_after_a_shutdown_nothing_is_sent_until_it_is_started_again() -> None:
    paced = Paced()
    await paced.pacing.shutdown()
    late = paced.say("late")
    await asyncio.wait([late])
    await paced.pacing.initialize()
    await paced.say("again")
    assert late.cancelled()
    assert paced.texts == ["again"]


@virtually
async def test_when_all_is_quiet_no_task_is_left_and_no_chat_is_remembered() -> None:
    paced = Paced()
    await asyncio.gather(*(paced.say("hello", chat) for chat in (1, 2, -100, "@news")), paced.progress("progress", 5))
    await asyncio.sleep(61)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not paced.pacing._queues
    assert not paced.pacing._due


@virtually
async def test_a_chat_is_remembered_until_its_room_is_whole_again() -> None:
    paced = Paced()
    await paced.say("hello", -100)
    await asyncio.sleep(59)
    assert list(paced.pacing._queues) == [-100]


@virtually
async def test_one_task_sleeps_for_any_number_of_waiting_chats() -> None:
    paced = Paced()
    waiting = [paced.say("hello", chat) for chat in range(1, 6) for _ in range(6)]
    await asyncio.sleep(0.5)
    unfinished = [task for task in waiting if not task.done()]
    assert len(asyncio.all_tasks()) == len(unfinished) + 2
    await asyncio.gather(*waiting)


@virtually
async def test_waiting_does_not_keep_the_loop_busy() -> None:
    sleeps: list[float] = []
    paced = Paced()

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        await asyncio.sleep(seconds)

    paced.pacing._sleep = sleep
    await asyncio.gather(*(paced.say("hello") for _ in range(10)))
    assert len(sleeps) <= 10


def _then_cancel(victims: list[asyncio.Task[Answer]]) -> Callable[[float], Awaitable[None]]:
    """A sleep at whose end these are cancelled, before anything else runs."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        for victim in victims:
            victim.cancel()

    return sleep
