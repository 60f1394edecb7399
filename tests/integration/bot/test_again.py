"""Once more: what was stopped or has failed can be finished, and a press that comes twice happens once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox.bot_api import User
from service.chat import DeliveryState
from service.descriptions import Description
from service.errors import LimitReached, VideoPrivate
from service.limits import NoQuota
from service.media_url import MediaUrl
from service.model import Job, JobStatus, Phase, Progress
from service.ports import Transaction
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, chatting, labels

ADDRESS, LIST = "https://example.com/1", "https://example.com/list"
LONG = timedelta(seconds=31)
NEVER = 600.0
"""Seconds: longer than any test."""


@dataclass
class Quota(NoQuota):
    """Nothing is left of it while it is full."""

    is_full: bool = False

    async def admit(self, transaction: Transaction, job: Job) -> None:
        del transaction, job
        if self.is_full:
            raise LimitReached


async def answer(house: ChatHouse, query: str) -> str:
    await house.api.until(lambda: query in house.api.answers)
    return str(house.api.answers[query].get("text", ""))


def titles(house: ChatHouse) -> list[str]:
    """Of all files in the chat, as often as they are there."""
    return sorted(file["caption"].split("\n")[0] for file in house.files(ALICE))


def called(house: ChatHouse, method: str) -> int:
    return len([call for call in house.api.calls if call.method == method])


async def in_state(house: ChatHouse, state: str, count: int) -> bool:
    return await house.count(tables.cards, tables.cards.c.state == state) == count


async def under_way(house: ChatHouse) -> dict[str, Any]:
    """Alice's card of a download that waits at its site."""
    house.web.gate = asyncio.Event()
    await house.api.user(ALICE).says(ADDRESS)
    card = await house.until_sent(ALICE, "Downloading")
    await house.until_known(card)
    return card


def open_gate(house: ChatHouse) -> None:
    assert house.web.gate is not None
    house.web.gate.set()


async def has_failed(house: ChatHouse) -> dict[str, Any]:
    """Alice's card of a download that broke in its middle."""
    house.web.breaks.append(VideoPrivate())
    await house.api.user(ALICE).says(ADDRESS)
    await house.until_sent(ALICE, "⚠️")
    await house.settled()
    return await house.until_sent(ALICE, "⚠️")


async def had(house: ChatHouse) -> User:
    alice = house.api.user(ALICE)
    await alice.says(ADDRESS)
    await house.until_sent(ALICE, kind="video")
    await house.settled()
    return alice


# --- start again ------------------------------------------------------------------------------------------------------


async def stopped_while_its_files_go_out(house: ChatHouse) -> dict[str, Any]:
    """All three are stored, the first has arrived, the second lies at Telegram and was not taken. The stopped card."""

    async def lie_from_the_second(method: str, arguments: dict[str, Any]) -> None:
        del arguments
        if method == "sendVideo":
            house.api.before_answer = None
            house.api.hang_next("sendVideo", NEVER)

    house.api.before_answer = lie_from_the_second
    house.web.lists[LIST] = [house.add(number) for number in (1, 2, 3)]
    alice = house.api.user(ALICE)
    await alice.says(LIST)
    await alice.presses(await house.until_sent(ALICE, "3 items"), "720p")
    await house.api.until(lambda: called(house, "sendVideo") == 2)
    await house.until(partial(_all_stored, house), "all three are stored, one has arrived")
    await alice.presses(house.api.sent(ALICE)[0], "Cancel")
    stopped = await house.until_sent(ALICE, "Stopped.")
    await house.settled()
    return stopped


async def _all_stored(house: ChatHouse) -> bool:
    arrived = await house.count(tables.deliveries, tables.deliveries.c.state == DeliveryState.DELIVERED.value)
    return arrived == 1 and await house.count(tables.jobs, tables.jobs.c.status == JobStatus.COMPLETED.value) == 4


async def test_a_list_stopped_while_its_files_go_out_can_be_finished_and_sends_nothing_twice(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        stopped = await stopped_while_its_files_go_out(house)
        await house.api.user(ALICE).presses(stopped, "Start again")
        await house.until_sent(ALICE, "✅ 3 of 3")
        await house.settled()
        assert titles(house) == ["Title 1", "Title 2", "Title 3"]


async def test_a_stopped_card_that_starts_again_joins_the_job_that_another_card_waits_for(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice, first = house.api.user(ALICE), await under_way(house)
        await alice.says(ADDRESS)
        await house.until(partial(in_state, house, "ordered", 2), "both cards wait for the job")
        await alice.presses(first, "Cancel")
        query = await alice.presses(await house.until_sent(ALICE, "Stopped."), "Start again")
        assert await answer(house, query) == "Here we go."
        await house.until(partial(in_state, house, "ordered", 2), "both cards wait for the job again")
        open_gate(house)
        await house.api.until(lambda: len(house.files(ALICE)) == 2)
        await house.settled()
        assert (house.web.fetched, await house.count(tables.jobs)) == ([ADDRESS], 1)


# --- try again --------------------------------------------------------------------------------------------------------


async def test_a_try_again_that_a_limit_refuses_leaves_the_card_as_it_was(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, quota=(quota := Quota())) as house:
        failed = await has_failed(house)
        quota.is_full = True
        query = await house.api.user(ALICE).presses(failed, "Try again")
        assert "You have reached your limit" in await answer(house, query)
        await house.settled()
        assert house.api.message(ALICE, failed["message_id"]) == failed
        assert await in_state(house, "failed", 1)


async def test_a_try_again_after_one_that_a_limit_refused_brings_the_file(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, quota=(quota := Quota())) as house:
        failed, alice = await has_failed(house), house.api.user(ALICE)
        quota.is_full = True
        await answer(house, await alice.presses(failed, "Try again"))
        quota.is_full = False
        await alice.presses(failed, "Try again")
        assert await house.until_sent(ALICE, kind="video")


async def test_a_try_again_after_a_failed_look_shows_that_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.failures[ADDRESS] = [VideoPrivate()]
        await house.api.user(ALICE).says(ADDRESS)
        failed = await house.until_sent(ALICE, "⚠️")
        await house.settled()
        may_look, look = asyncio.Event(), house.web.describe

        async def slow(url: MediaUrl, trust_class: str = "public") -> Description:
            await may_look.wait()
            return await look(url, trust_class)

        monkeypatch.setattr(house.web, "describe", slow)
        await house.api.user(ALICE).presses(failed, "Try again")
        looking = await house.until_sent(ALICE, "Looking")
        may_look.set()
        assert looking["message_id"] == failed["message_id"]


# --- who is told aloud ------------------------------------------------------------------------------------------------


async def test_an_own_cancel_during_the_upload_of_a_long_job_does_not_notify(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        card = await under_way(house)
        house.clock.move(LONG)
        house.api.hang_next("editMessageMedia", NEVER)
        open_gate(house)
        shown = await house.until_sent(ALICE, "Uploading")
        await house.api.until(lambda: called(house, "editMessageMedia"))
        await house.api.user(ALICE).presses(shown, "Cancel")
        await house.until_sent(ALICE, "Stopped.")
        await house.settled()
        assert [one["message_id"] for one in house.api.sent(ALICE)] == [card["message_id"]]


async def test_a_list_tried_again_that_is_quick_ends_quietly(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.lists[LIST] = [house.add(1), house.add(2)]
        house.web.failures["https://example.com/2"] = [VideoPrivate()]
        alice = house.api.user(ALICE)
        await alice.says(LIST)
        await alice.presses(await house.until_sent(ALICE, "2 items"), "720p")
        card = await house.until_sent(ALICE, "✅ 1 of 2")
        await house.settled()
        house.clock.move(timedelta(hours=5))
        await alice.presses(card, "Try again")
        await house.until_sent(ALICE, "✅ 2 of 2")
        await house.settled()
        assert (await house.until_sent(ALICE, "✅ 2 of 2"))["message_id"] == card["message_id"]


async def test_a_job_that_waited_long_for_anothers_fetch_ends_loudly(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await under_way(house)
        await house.api.user(BOB).says(ADDRESS)
        card = await house.until_sent(BOB, "The same file is being fetched already")
        await house.until_known(card)
        house.clock.move(LONG)
        open_gate(house)
        await house.until_sent(BOB, kind="video")
        await house.settled()
        assert (await house.until_sent(BOB, kind="video"))["message_id"] > card["message_id"]


# --- presses that come twice ------------------------------------------------------------------------------------------


async def test_a_file_from_the_history_whose_press_is_handled_twice_is_sent_once_more_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice = await had(house)
        await alice.says("/history")
        history = await house.until_sent(ALICE, "What you had")
        await house.settled()
        monkeypatch.setattr(house.chat._inbox, "done", lambda update_id: None)  # as by a kill before it is written down
        await alice.presses(history, "📨 1")
        await house.api.until(lambda: len(house.files(ALICE)) == 2)
        await house.until(partial(in_state, house, "delivered", 2), "it is known to have arrived")
        await house.restart()
        await house.settled()
        assert len(house.files(ALICE)) == 2


async def double_click(house: ChatHouse, message: dict[str, Any], button: str) -> list[str]:
    """What the two clicks are answered with."""
    alice = house.api.user(ALICE)
    queries = [await alice.presses(message, button) for _ in range(2)]
    answers = [await answer(house, query) for query in queries]
    await house.settled()
    return answers


@pytest.fixture
def _long_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clicks are a double one on a slow machine too."""
    monkeypatch.setattr("bot.presses.A_MOMENT", NEVER)


@pytest.mark.usefixtures("_long_moment")
async def test_a_double_click_on_other_formats_makes_one_card(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        await had(house)
        answers = await double_click(house, house.files(ALICE)[0], "Other formats")
        await house.until_sent(ALICE, "What would you like?")
        assert await house.count(tables.cards) == 2
        assert answers == ["", "That is under way already."]


@pytest.mark.usefixtures("_long_moment")
async def test_a_double_click_on_an_entry_of_the_history_sends_it_once(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice = await had(house)
        await alice.says("/history")
        answers = await double_click(house, await house.until_sent(ALICE, "What you had"), "📨 1")
        assert len(house.files(ALICE)) == 2
        assert answers == ["Here we go.", "That is under way already."]


# --- what is no wish to have it again ---------------------------------------------------------------------------------


async def test_thanks_for_a_file_in_a_group_downloads_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        group = house.api.group(-100_555)
        await house.api.user(ALICE).says(f"@magpie_bot {ADDRESS}", chat=group)
        file = await house.until_sent(group.id, kind="video")
        await house.settled()
        await house.api.user(BOB).says("thanks!", chat=group, reply_to=file)
        told = await house.until_sent(group.id, "I do that in a private chat only.")
        await house.settled()
        assert labels(told) == ["Open the chat"]
        assert await house.count(tables.cards) == len(house.files(group.id)) == 1


# --- a card that is gone, or never came -------------------------------------------------------------------------------


async def test_a_first_card_that_was_lost_is_sent_anew_and_shows_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.cut_next("sendMessage", after_accepting=False)
        card = await under_way(house)
        await is_at_three_quarters(house)
        assert (await house.until_sent(ALICE, "75 %"))["message_id"] == card["message_id"]


async def test_progress_is_shown_on_the_card_that_took_the_place_of_a_deleted_one(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=60)) as house:
        house.web.gate = asyncio.Event()
        alice = house.api.user(ALICE)
        await alice.says(ADDRESS)
        deleted = await house.until_sent(ALICE, "Starts by itself")
        await house.until_known(deleted)
        choice = next(one for row in deleted["reply_markup"]["inline_keyboard"] for one in row if one["text"].startswith("720p"))
        await alice.deletes(deleted)
        await alice.presses(deleted["message_id"], data=choice["callback_data"], chat=ALICE)
        instead = await house.until_sent(ALICE, "50 %")
        await is_at_three_quarters(house)
        later = await house.until_sent(ALICE, "75 %")
        assert later["message_id"] == instead["message_id"] != deleted["message_id"]


async def is_at_three_quarters(house: ChatHouse) -> None:
    """The only download there is."""
    async with house.database.reader.connect() as connection:
        job_id = (await connection.execute(sa.select(tables.jobs.c.id))).scalar_one()
    job = await house.downloads.get(job_id)
    progress = Progress(phase=Phase.DOWNLOADING, downloaded=1500, total=2000)
    house.events.publish(replace(job, progress=progress, seq=job.seq + 100))
