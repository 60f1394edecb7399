"""Refused polls, bounded stops, restarts: the chat says how it is, ends in time, and handles what it was told once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from bot.application import ChatState
from magpie.checks import make_checks
from service.health import Condition, Finding
from storage import tables
from tests.support.chat_house import ALICE, ChatHouse, chatting

HANG = 25
"""Seconds: a guard, less than what a request to Telegram may take by itself."""
FOR_EVER = 120.0
REFUSALS = [
    pytest.param(401, "Unauthorized", ChatState.REFUSED, id="401"),
    pytest.param(404, "Not Found", ChatState.REFUSED, id="404"),
    pytest.param(409, "Conflict: terminated by other getUpdates request", ChatState.SHARED, id="409"),
]
LINK, OTHER_LINK = "https://example.com/1", "https://example.com/2"


def answers(house: ChatHouse, words: str) -> int:
    return len([message for message in house.api.sent(ALICE) if words in message.get("text", "")])


async def waiting(house: ChatHouse) -> int:
    """How many updates are written down and not done."""
    return await house.count(tables.telegram_updates, tables.telegram_updates.c.body.is_not(None))


async def is_all_done(house: ChatHouse) -> bool:
    return await waiting(house) == 0


# --- refused polls ----------------------------------------------------------------------------------------------------


async def refuse_polls(house: ChatHouse, code: int, words: str) -> None:
    """Until the faults are cleared; returns when the chat has noticed."""
    await house.api.until(lambda: house.api.polling)
    house.api.fail_next("getUpdates", code, words, times=99)
    house.api.scene.updates.end_polls()

    async def is_noticed() -> bool:
        return house.chat.state is not ChatState.RUNNING

    await house.until(is_noticed, "the chat notices that its polls are refused")


async def finding(house: ChatHouse) -> Finding:
    """What `/api/health` has to say of Telegram."""
    checks = make_checks(
        database=house.database, media=house.media, fetcher=cast("Any", house.web), min_free_disk=0, chat=lambda: house.chat.state
    )
    return await next(check for check in checks if check.name == "telegram").look()


@pytest.mark.parametrize(("code", "words", "state"), REFUSALS)
async def test_a_refused_poll_is_the_chats_state(tmp_path: Path, code: int, words: str, state: ChatState) -> None:
    async with chatting(tmp_path) as house:
        await refuse_polls(house, code, words)
        assert house.chat.state is state


@pytest.mark.parametrize(("code", "words", "cause"), [(401, "Unauthorized", "does not know"), (409, "Conflict: x", "Another program uses")])
async def test_health_says_why_there_are_no_updates(tmp_path: Path, code: int, words: str, cause: str) -> None:
    async with chatting(tmp_path) as house:
        await refuse_polls(house, code, words)
        found = await finding(house)
        assert found.condition is Condition.DEGRADED
        assert cause in str(found.cause)


@pytest.mark.parametrize(("code", "words", "state"), REFUSALS)
async def test_a_link_sent_while_polls_are_refused_is_answered_when_they_are_not(
    tmp_path: Path, code: int, words: str, state: ChatState
) -> None:
    async with chatting(tmp_path) as house:
        await refuse_polls(house, code, words)
        await house.api.user(ALICE).says(LINK)
        assert house.chat.state is state
        house.api.clear_faults()
        assert await house.until_sent(ALICE, kind="video")


@pytest.mark.parametrize(("code", "words", "state"), REFUSALS)
async def test_the_chat_runs_again_when_polls_are_refused_no_longer(tmp_path: Path, code: int, words: str, state: ChatState) -> None:
    async with chatting(tmp_path) as house:
        await refuse_polls(house, code, words)
        assert house.chat.state is state
        house.api.clear_faults()
        await house.running()
        assert await finding(house) == Finding()


# --- a stop is bounded ------------------------------------------------------------------------------------------------


async def hang_polls(house: ChatHouse) -> None:
    """The one that is waiting still brings what comes; the next ones are never answered."""
    await house.api.until(lambda: house.api.polling)
    house.api.hang_next("getUpdates", FOR_EVER, times=99)


async def test_a_stop_does_not_wait_for_a_poll_that_hangs(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await hang_polls(house)
        house.api.scene.updates.end_polls()
        async with asyncio.timeout(HANG):
            await house.chat.stop()


async def test_a_stop_between_two_tries_to_poll_does_not_wait_for_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.application.POLL_STOPS_WITHIN", 0.2)  # less than the second between two tries
    async with chatting(tmp_path) as house:
        await refuse_polls(house, 401, "Unauthorized")
        house.api.clear_faults()
        house.api.hang_next("getUpdates", FOR_EVER, times=99)
        async with asyncio.timeout(HANG):
            await house.chat.stop()


@pytest.mark.parametrize("method", ["getMe", "deleteWebhook"])
async def test_a_stop_while_it_connects_does_not_wait_for_telegram(tmp_path: Path, method: str) -> None:
    async with chatting(tmp_path) as house:
        await house.chat.stop()
        house.api.hold(method)
        house.chat = house._chat()
        await house.chat.start()
        await house.api.until(lambda: house.api.held(method))
        async with asyncio.timeout(HANG):
            await house.chat.stop()


class Stuck:
    """A handler that never ends."""

    def __init__(self) -> None:
        self.reached, self._never = asyncio.Event(), asyncio.Event()

    async def __call__(self, *_: object) -> None:
        self.reached.set()
        await self._never.wait()


async def stuck_with_help(house: ChatHouse, monkeypatch: pytest.MonkeyPatch) -> Stuck:
    """Alice has asked for help and gets none in this life; kept, so that what waits is not collected."""
    stuck = Stuck()
    monkeypatch.setattr(house.chat._commands, "help", stuck)
    await house.api.user(ALICE).says("/help")
    async with asyncio.timeout(HANG):
        await stuck.reached.wait()
    return stuck


async def test_a_stop_does_not_wait_for_a_handler_that_hangs_and_its_update_is_handled_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting(tmp_path) as house:
        stuck = await stuck_with_help(house, monkeypatch)
        async with asyncio.timeout(HANG):
            await house.stop()
        assert house.api.sent(ALICE) == []
        await house.start()
        await house.until_sent(ALICE, "What I can do")
        await house.until(lambda: is_all_done(house), "its update is done")
        assert answers(house, "What I can do") == 1
        assert stuck.reached.is_set()


# --- told twice -------------------------------------------------------------------------------------------------------


async def test_what_was_handled_and_not_confirmed_before_a_stop_is_told_again_and_handled_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await hang_polls(house)
        await house.api.user(ALICE).says("/help")
        await house.until_sent(ALICE, "What I can do")
        await house.until(lambda: is_all_done(house), "its update is done")
        await house.stop()
        house.api.clear_faults()
        assert len(house.api.pending_updates) == 1, "Telegram has not heard that it was taken"
        await house.start()
        await house.api.until(lambda: not house.api.pending_updates)
        await house.settled()
        assert answers(house, "What I can do") == 1


async def told(house: ChatHouse, text: str) -> dict[str, Any]:
    """What Alice says, as a webhook brings it: no poll does."""
    await house.api.user(ALICE).says(text)
    (update,) = house.api.pending_updates
    house.api.scene.updates.drop_all()
    return dict(update)


async def connecting(house: ChatHouse) -> None:
    """Started anew, and not told yet who it is."""
    await house.chat.stop()
    house.api.hold("getMe")
    house.chat = house._chat()
    await house.chat.start()
    await house.api.until(lambda: house.api.held("getMe"))


async def connected(house: ChatHouse) -> None:
    house.api.release()
    await house.running()


async def test_an_update_by_webhook_while_the_bot_connects_is_handled_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await connecting(house)
        await house.chat.take(await told(house, "/help"))
        await connected(house)
        await house.until_sent(ALICE, "What I can do")
        await house.until(lambda: is_all_done(house), "its update is done")
        assert answers(house, "What I can do") == 1


async def test_an_update_by_webhook_twice_while_the_bot_connects_is_handled_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await connecting(house)
        update = await told(house, "/help")
        await asyncio.gather(*(house.chat.take(update) for _ in range(3)))
        await connected(house)
        await house.chat.take(update)
        await house.chat.take(await told(house, "/privacy"))
        await house.until_sent(ALICE, "What I keep")
        assert answers(house, "What I can do") == 1


async def test_an_update_whose_commit_ends_as_the_bot_is_connected_is_handled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path) as house:
        await connecting(house)
        commit = house.chat._inbox.commit

        async def commits_slowly(updates: Any) -> None:
            await commit(updates)
            await house.running()

        monkeypatch.setattr(house.chat._inbox, "commit", commits_slowly)
        taking = asyncio.create_task(house.chat.take(await told(house, "/help")))
        await house.until(lambda: is_written(house), "it is written down")
        await connected(house)
        await taking
        await house.chat.take(await told(house, "/privacy"))
        await house.until_sent(ALICE, "What I keep")
        assert answers(house, "What I can do") == 1


async def is_written(house: ChatHouse) -> bool:
    return await waiting(house) == 1


async def test_an_update_by_webhook_to_a_bot_that_never_connected_is_handled_at_the_next_start(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await connecting(house)
        await house.chat.take(await told(house, "/help"))
        await house.stop()
        house.api.release()
        await house.start()
        await house.until_sent(ALICE, "What I can do")
        await house.until(lambda: is_all_done(house), "its update is done")
        assert answers(house, "What I can do") == 1


# --- a card whose message is not known --------------------------------------------------------------------------------


async def stopped_before_it_knows_its_message(house: ChatHouse, words: str) -> None:
    """Telegram shows the card, and the bot is stopped before it hears of it."""
    house.api.hold("sendMessage")
    await house.api.user(ALICE).says(LINK)
    await house.until_sent(ALICE, words)
    await house.api.until(lambda: house.api.held("sendMessage"))
    assert await house.count(tables.cards, tables.cards.c.message_id.is_not(None)) == 0
    await house.stop()
    house.api.release()


async def test_a_card_whose_message_was_not_written_down_is_shown_again_and_one_file_comes(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await stopped_before_it_knows_its_message(house, "Starts by itself")
        await house.start()
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert [message["message_id"] for message in house.files(ALICE)] == [house.api.sent(ALICE)[-1]["message_id"]]
        assert len(house.api.sent(ALICE)) == 2, "the card that nobody knew of, and the one that became the file"
        assert house.web.fetched == [LINK]


async def test_a_card_that_waits_for_a_choice_is_shown_again_and_brings_its_file_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.web.lists[LINK] = [OTHER_LINK]
        await stopped_before_it_knows_its_message(house, "1 items")
        await house.start()
        await house.api.until(lambda: len(house.api.sent(ALICE)) == 2)
        await house.api.user(ALICE).presses(await house.until_sent(ALICE, "1 items"), "Best video")
        await house.until_sent(ALICE, "✅ 1 of 1")
        await house.settled()
        assert len(house.files(ALICE)) == 1
