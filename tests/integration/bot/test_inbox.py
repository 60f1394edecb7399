"""What Telegram tells is written down before it is confirmed, handled once, in each chat in order."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox.bot_api import BotApi
from storage import tables
from tests.support.chat_house import ALICE, BOB, ChatHouse, chatting


async def waiting(house: ChatHouse) -> int:
    return await house.count(tables.telegram_updates, tables.telegram_updates.c.body.is_not(None))


def answers(house: ChatHouse, person: int, words: str) -> int:
    return len([message for message in house.api.sent(person) if words in message.get("text", "")])


async def test_what_was_taken_and_not_handled_is_handled_after_a_restart(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.api.hold("setMessageReaction")  # the first thing that the handler does
        await house.api.user(ALICE).says("https://example.com/1")
        await house.api.until(lambda: house.api.held("setMessageReaction") and not house.api.pending_updates)
        assert await waiting(house) == 1
        assert await house.count(tables.cards) == 0
        await killed(house)
        house.api.release()
        await house.start()
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert len(house.api.sent(ALICE)) == 1


async def killed(house: ChatHouse) -> None:
    """As by a kill: no handler ends, nothing is written down any more."""
    tasks = [task for task in asyncio.all_tasks() if "process_concurrent_update" in task.get_name()]
    assert tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await house.stop()


async def test_what_was_handled_is_not_handled_again(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await house.api.user(ALICE).says("/help")
        await house.until_sent(ALICE)
        await house.settled()
        await house.restart()
        await house.api.user(ALICE).says("/privacy")
        await house.until_sent(ALICE, "What I keep")
        assert answers(house, ALICE, "What I can do") == 1


async def test_bodies_do_not_stay_once_they_are_handled(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await house.api.user(ALICE).says("/help")
        await house.until_sent(ALICE)
        await house.settled()
        assert await house.count(tables.telegram_updates) == 1
        assert await waiting(house) == 0


async def test_a_database_that_fails_during_the_commit_has_telegram_tell_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path) as house:
        inbox = house.chat._inbox
        commit, failed = inbox.commit, asyncio.Event()

        async def fails_once(updates: Any) -> None:
            if not failed.is_set():
                failed.set()
                raise sa.exc.OperationalError("insert", {}, Exception("disk full"))
            await commit(updates)

        monkeypatch.setattr(inbox, "commit", fails_once)
        await house.api.user(ALICE).says("/help")
        await house.until_sent(ALICE, "What I can do")
        await house.settled()
        assert failed.is_set()
        assert answers(house, ALICE, "What I can do") == 1


async def test_a_database_that_fails_when_it_is_done_leaves_it_to_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path) as house:
        write, failures = house.database.write, [sa.exc.OperationalError("update", {}, Exception("disk full"))]

        def fails_once() -> Any:
            if failures:
                raise failures.pop()
            return write()

        await house.api.user(ALICE).says("/help")
        await house.until_sent(ALICE)
        await house.settled()
        monkeypatch.setattr(house.chat._inbox, "_database", _Failing(house.database, fails_once))
        house.chat._inbox.done(10_000)
        await house.until(lambda: _is_empty(failures), "the first write failed")
        await house.chat._inbox.flush()
        house.chat._inbox.done(10_001)
        await house.chat._inbox.flush()
        assert house.chat._inbox._done == []


class _Failing:
    def __init__(self, database: Any, write: Any) -> None:
        self.read, self.write = database.read, write


async def _is_empty(left: list[Any]) -> bool:
    return not left


async def test_one_that_meets_a_bug_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path) as house:
        monkeypatch.setattr(house.chat._commands, "privacy", None)
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await alice.says("/privacy")
        await alice.says("/help")
        await bob.says("/help")
        await house.until_sent(ALICE, "Something went wrong on my side")
        await house.until_sent(ALICE, "What I can do")
        await house.until_sent(BOB, "What I can do")
        await house.settled()
        await house.restart()
        await house.settled()
        assert answers(house, ALICE, "Something went wrong") == 1, "it is not handled for ever"


async def test_a_chat_is_answered_in_order_and_holds_up_no_other(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        house.api.hold("setMessageReaction")
        await alice.says("https://example.com/1")
        await house.api.until(lambda: house.api.held("setMessageReaction"))
        await alice.says("/help")
        await bob.says("/help")
        await house.until_sent(BOB, "What I can do")
        assert house.api.sent(ALICE) == [], "her second message waits for her first"
        house.api.release()
        await house.until_sent(ALICE, "What I can do")
        assert await house.count(tables.cards) == 1


async def test_an_answer_that_did_not_reach_telegram_is_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05, 0.05))
    async with chatting(tmp_path) as house:
        house.api.hold("setMessageReaction")
        await house.api.user(ALICE).says("https://example.com/no/1")
        await house.api.until(lambda: house.api.held("setMessageReaction"))
        house.api.release()
        assert await house.until_sent(ALICE, "no such video")


# --- the webhook ------------------------------------------------------------------------------------------------------


def update(number: int, text: str) -> dict[str, Any]:
    user = {"id": ALICE, "is_bot": False, "first_name": "Alice", "language_code": "en"}
    chat = {"id": ALICE, "type": "private", "first_name": "Alice"}
    command = [{"type": "bot_command", "offset": 0, "length": len(text)}]
    message = {"message_id": 900 + number, "date": int(time.time()), "chat": chat, "from": user, "text": text, "entities": command}
    return {"update_id": number, "message": message}


async def test_what_comes_by_webhook_is_written_down_when_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path) as house:
        await greeted(house.api)
        await house.settled()
        before = await house.count(tables.telegram_updates)
        await house.chat.take(update(5_000, "/privacy"))
        assert await house.count(tables.telegram_updates) == before + 1
        assert await house.until_sent(ALICE, "What I keep")


async def test_what_comes_by_webhook_twice_is_handled_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await greeted(house.api)
        for _ in range(3):
            await house.chat.take(update(5_000, "/privacy"))
        await house.chat.take(update(5_001, "/settings"))
        await house.until_sent(ALICE, "Settings")
        assert answers(house, ALICE, "What I keep") == 1


async def greeted(api: BotApi) -> None:
    """A bot may write to whoever has written to it."""
    await api.user(ALICE).says("/start")
    await api.until(lambda: api.sent(ALICE))
