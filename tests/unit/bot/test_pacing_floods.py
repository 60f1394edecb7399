"""What a 429 does."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from telegram.error import NetworkError, RetryAfter

from bot.lanes import Lane
from bot.pacing import SUPERSEDED
from tests.unit.bot.paced import Paced, flood
from tests.unit.bot.virtual_time import virtually


@virtually
async def test_a_refused_call_is_made_again_when_telegram_allows() -> None:
    paced = Paced(errors=[flood(10)])
    assert await paced.say("hello") == {"message_id": 2}
    assert paced.times == [0, 10.1]


@pytest.mark.parametrize("setting", ["0", "1"])
def test_the_wait_is_understood_with_both_settings_of_ptb_timedelta(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", setting)

    @virtually
    async def check() -> None:
        paced = Paced(errors=[flood(2.5)])
        await paced.say("hello")
        assert paced.times == [0, 2.6]

    check()


@virtually
async def test_a_refusal_pauses_its_chat_reactions_included() -> None:
    paced = Paced(errors=[flood(10)])
    first = paced.say("first")
    await asyncio.sleep(1)
    await asyncio.gather(first, paced.say("second"), paced.ask("setMessageReaction", chat_id=1, message_id=7))
    assert paced.times[1:] == [10.1, 10.1, 10.1]


@virtually
async def test_a_refusal_pauses_no_other_chat_and_no_button_answer() -> None:
    paced = Paced(errors=[flood(10)])
    first = paced.say("first")
    await asyncio.sleep(1)
    await asyncio.gather(paced.say("other", 2), paced.ask("answerCallbackQuery", callback_query_id="1"))
    assert asyncio.get_running_loop().time() == 1
    await first


@virtually
async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    paced = Paced(errors=[flood(10), flood(1)])
    await asyncio.gather(paced.say("a"), paced.say("b"))
    assert paced.times[2:] == [10.1, 10.1]


@virtually
async def test_a_refused_call_keeps_its_place() -> None:
    paced = Paced(errors=[flood(5)])
    await asyncio.gather(*(paced.say(text) for text in "abcde"))
    assert "".join(paced.texts) == "abcade"


@virtually
async def test_a_call_is_repeated_five_times_and_then_the_caller_is_told() -> None:
    paced = Paced(errors=[flood(1) for _ in range(6)])
    with pytest.raises(RetryAfter):
        await paced.say("hello")
    assert len(paced.sent) == 6


@virtually
async def test_a_call_refused_five_times_may_still_succeed() -> None:
    paced = Paced(errors=[flood(1) for _ in range(5)])
    assert await paced.say("hello") == {"message_id": 6}


@virtually
async def test_another_error_after_a_refusal_goes_to_the_caller() -> None:
    paced = Paced(errors=[flood(1), NetworkError("cut")])
    with pytest.raises(NetworkError):
        await paced.say("hello")
    assert len(paced.sent) == 2


@virtually
async def test_a_refused_progress_edit_is_dropped_and_pauses_its_chat() -> None:
    paced = Paced(errors=[flood(10)])
    assert await paced.progress("50 %") is SUPERSEDED
    await paced.say("text")
    assert paced.times == [0, 10.1]
    assert paced.texts == ["50 %", "text"]


@virtually
async def test_a_new_message_in_the_progress_lane_is_not_dropped() -> None:
    paced = Paced(errors=[flood(1)])
    assert await paced.say("hello", lane=Lane.PROGRESS) == {"message_id": 2}


@virtually
async def test_a_refusal_without_a_chat_pauses_only_its_endpoint() -> None:
    paced = Paced(errors=[flood(10)])
    first = paced.ask("answerCallbackQuery", callback_query_id="1")
    await asyncio.sleep(1)
    second = paced.ask("answerCallbackQuery", callback_query_id="2")
    await asyncio.gather(paced.say("text"), paced.ask("setMyCommands"))
    assert asyncio.get_running_loop().time() == 1
    await asyncio.gather(first, second)
    assert paced.times[-2:] == [10.1, 10.1]


@virtually
async def test_a_question_is_never_held_and_its_refusal_goes_to_the_caller() -> None:
    paced = Paced(errors=[flood(10)])
    paused = paced.say("hello")
    await asyncio.sleep(1)
    await paced.ask("getChat", chat_id=1)
    assert asyncio.get_running_loop().time() == 1
    await paused
    paced.errors.append(flood(10))
    with pytest.raises(RetryAfter):
        await paced.ask("getFile", file_id="1")


@virtually
async def test_a_refusal_that_comes_after_the_shutdown_is_not_repeated() -> None:
    paced = Paced(errors=[flood(10)], latency=1)
    under_way = paced.say("hello")
    await asyncio.sleep(0.5)
    await paced.pacing.shutdown()
    with pytest.raises(RetryAfter):
        await under_way
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtually
async def test_a_paused_chat_is_forgotten_only_after_its_pause() -> None:
    paced = Paced(errors=[flood(30)])
    await paced.progress("50 %")
    await asyncio.sleep(29)
    remembered: dict[Any, Any] = dict(paced.pacing._queues)
    await asyncio.sleep(2)
    assert (len(remembered), len(paced.pacing._queues)) == (1, 0)


def test_by_default_it_runs_on_real_time() -> None:
    from bot.pacing import Pacing

    pacing = Pacing()
    assert pacing._monotonic is time.monotonic
    assert pacing._sleep is asyncio.sleep
