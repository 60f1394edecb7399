"""Whose turn it is: nobody is held up by somebody who talks a lot, by an answer that does not arrive, or by a stop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot import patience
from service.model import Phase, Progress
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, chatting
from tests.unit.bot.virtual_time import virtually

NEVER = 600.0
"""Seconds: longer than any test."""
MANY = 290
"""More than the updates that are handled at once."""
ADDRESS = "https://example.com/1"


async def waiting(house: ChatHouse) -> int:
    return await house.count(tables.telegram_updates, tables.telegram_updates.c.body.is_not(None))


def answers(house: ChatHouse, words: str) -> int:
    return len([message for message in house.api.sent(ALICE) if words in message.get("text", "")])


def refused(house: ChatHouse, method: str) -> int:
    return len([refusal for refusal in house.api.refusals if refusal.method == method])


# --- many talk --------------------------------------------------------------------------------------------------------


async def test_one_who_talks_a_lot_does_not_hold_up_another(tmp_path: Path) -> None:
    async with chatting(tmp_path, is_paced=True) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        for number in range(MANY):
            await alice.says(f"hello {number}")
        await bob.says("/help")
        await house.until_sent(BOB, "What I can do")
        assert len(house.api.sent(ALICE)) < MANY


# --- an answer that does not reach Telegram ---------------------------------------------------------------------------


async def an_answer_that_does_not_arrive(house: ChatHouse) -> None:
    """Telegram's servers are being restarted, and take the answer to /help neither the first nor the second time."""
    house.api.fail_next("sendMessage", 401, "Unauthorized", times=2)
    await house.api.user(ALICE).says("/help")
    await house.api.until(lambda: refused(house, "sendMessage") == 2)


async def test_an_answer_that_does_not_arrive_leaves_its_chat_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05,))
    monkeypatch.setattr("bot.inbox.POSTPONED", NEVER)
    async with chatting(tmp_path) as house:
        await an_answer_that_does_not_arrive(house)
        await house.api.user(ALICE).says("/privacy")
        await house.until_sent(ALICE, "What I keep")
        assert answers(house, "What I can do") == 0


async def test_what_could_not_be_answered_is_answered_later_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05,))
    monkeypatch.setattr("bot.inbox.POSTPONED", 0.2)
    async with chatting(tmp_path) as house:
        await an_answer_that_does_not_arrive(house)
        await house.until_sent(ALICE, "What I can do")
        await house.settled()
        assert answers(house, "What I can do") == 1


async def test_what_is_postponed_is_answered_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05,))
    monkeypatch.setattr("bot.inbox.POSTPONED", NEVER)
    async with chatting(tmp_path) as house:
        await an_answer_that_does_not_arrive(house)
        await house.restart()
        await house.until_sent(ALICE, "What I can do")
        await house.settled()
        assert answers(house, "What I can do") == 1


# --- a stop while many wait -------------------------------------------------------------------------------------------


async def stopped_while_many_wait(house: ChatHouse) -> list[int]:
    """Nothing of the stopped bot runs any more. The ids of what was said."""
    alice = house.api.user(ALICE)
    said = [(await alice.says(f"hello {number}"))["message_id"] for number in range(20)]
    await house.api.until(lambda: house.api.sent(ALICE))
    await house.stop()
    async with asyncio.timeout(20):
        while left := [task for task in asyncio.all_tasks() if "process_concurrent_update" in task.get_name()]:
            await asyncio.wait(left)
    return said


async def test_a_stop_leaves_what_waits_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("bot.application.STOP_WITHIN", 0.2)
    async with chatting(tmp_path, is_paced=True) as house:
        await stopped_while_many_wait(house)
        assert [record.getMessage() for record in caplog.records if record.exc_info] == []
        await house.start()


async def test_what_waited_at_a_stop_is_answered_after_the_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.application.STOP_WITHIN", 0.2)
    async with chatting(tmp_path, is_paced=True) as house:
        said = await stopped_while_many_wait(house)
        assert len(house.api.sent(ALICE)) < len(said)
        house.is_paced = False
        await house.start()
        await house.settled()
        assert {message["reply_to_message"]["message_id"] for message in house.api.sent(ALICE)} == set(said)


# --- patience ---------------------------------------------------------------------------------------------------------


async def shows_progress(house: ChatHouse, number: int) -> None:
    """The download goes on, and the card is asked to show it."""
    async with house.database.reader.connect() as connection:
        job_id = (await connection.execute(sa.select(tables.jobs.c.id))).scalar_one()
    job = await house.downloads.get(job_id)
    progress = Progress(phase=Phase.DOWNLOADING, downloaded=1000 + number * 500, total=4000, speed=10.0, eta=99.0)
    house.events.publish(replace(job, progress=progress, seq=job.seq + 100 + number))


async def test_lost_progress_edits_hold_no_card_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (NEVER,))
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        await house.api.user(ALICE).says(ADDRESS)
        await house.until_sent(ALICE, "Downloading")
        for number in range(3):
            tried = edits(house)
            house.api.cut_next("editMessageText", after_accepting=False)
            await shows_progress(house, number)
            await house.api.until(lambda: edits(house) > tried)  # noqa: B023 - over before the next round
        house.web.gate.set()
        assert await house.until_sent(ALICE, kind="video")


def edits(house: ChatHouse) -> int:
    return len([call for call in house.api.calls if call.method == "editMessageText"])


@virtually
async def test_pauses_grow_while_nothing_gets_through() -> None:
    assert await pauses_of(patience.Patience(), 0.0, 0.0, 0.0) == [1.0, 2.0, 5.0]


@virtually
async def test_a_quiet_time_makes_the_next_pause_the_first_again() -> None:
    quiet = patience.FORGIVEN_AFTER + 1
    assert await pauses_of(patience.Patience(), 0.0, quiet, quiet, 0.0) == [1.0, 1.0, 1.0, 2.0]


async def pauses_of(patient: patience.Patience, *quiet: float) -> list[float]:
    """How long it pauses after each of these times, in which all went well."""
    loop, pauses = asyncio.get_running_loop(), []
    for seconds in quiet:
        await asyncio.sleep(seconds)
        begun = loop.time()
        await patient.pause()
        pauses.append(loop.time() - begun)
    return pauses
