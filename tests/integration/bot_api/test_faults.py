"""What goes wrong on script, and the pace."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from telegram import Bot, InputMediaDocument
from telegram.error import BadRequest, NetworkError, RetryAfter, TimedOut

from sandbox.bot_api import BotApi, Json, Limits, User
from tests.integration.bot_api.conftest import bot_for


async def test_so_many_requests_fail_as_asked(bot: Bot, alice: User, api: BotApi) -> None:
    api.fail_next("sendMessage", 400, "Bad Request: no", times=2)
    for _ in range(2):
        with pytest.raises(BadRequest, match=r"[Nn]o"):
            await bot.send_message(alice.id, "x")
    assert await bot.send_message(alice.id, "x")
    assert [refusal.description for refusal in api.refusals] == ["Bad Request: no"] * 2


async def test_only_the_named_chat_fails(bot: Bot, alice: User, api: BotApi) -> None:
    bob = api.user(1002)
    await bob.says("/start")
    api.fail_next("*", 429, "Too Many Requests: retry after 7", chat_id=bob.id, retry_after=7)
    assert await bot.send_message(alice.id, "x")
    with pytest.raises(RetryAfter) as caught:
        await bot.send_message(bob.id, "x")
    assert caught.value.retry_after == timedelta(seconds=7)


async def test_connection_is_cut_before_anything_happened(bot: Bot, alice: User, api: BotApi) -> None:
    api.cut_next("sendMessage", after_accepting=False)
    with pytest.raises(NetworkError):
        await bot.send_message(alice.id, "x")
    assert api.sent(alice.id) == []


async def test_connection_is_cut_after_the_message_was_accepted(bot: Bot, alice: User, api: BotApi) -> None:
    api.cut_next("sendDocument", after_accepting=True)
    with pytest.raises(NetworkError):
        await bot.send_document(alice.id, b"x")
    assert len(api.sent(alice.id)) == 1


async def test_request_hangs_as_long_as_asked(api: BotApi, alice: User) -> None:
    api.hang_next("sendMessage", 30)
    async with bot_for(api, seconds=0.2) as bot:
        with pytest.raises(TimedOut):
            await bot.send_message(alice.id, "x")
        assert api.sent(alice.id) == []


async def test_answer_is_held_until_it_is_released(bot: Bot, alice: User, api: BotApi) -> None:
    api.hold("sendMessage")
    sending = asyncio.create_task(bot.send_message(alice.id, "x"))
    await api.until(lambda: api.held("sendMessage") == 1)
    assert (len(api.sent(alice.id)), sending.done()) == (1, False)
    api.release("sendMessage")
    assert (await sending).text == "x"
    assert api.held("sendMessage") == 0


async def test_hook_runs_between_acceptance_and_answer(bot: Bot, alice: User, api: BotApi) -> None:
    seen: list[tuple[str, int]] = []

    async def hook(method: str, arguments: Json) -> None:
        seen.append((method, len(api.sent(arguments["chat_id"]))))

    api.before_answer = hook
    await bot.send_message(alice.id, "x")
    assert seen == [("sendMessage", 1)]


async def test_server_comes_back_at_the_same_address(bot: Bot, alice: User, api: BotApi) -> None:
    base = api.base
    await api.stop()
    with pytest.raises(NetworkError):
        await bot.send_message(alice.id, "x")
    await api.start()
    assert api.base == base
    assert await bot.send_message(alice.id, "x")


async def test_stop_does_not_wait_for_what_is_held_or_polled(tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path) as api, bot_for(api) as bot:
        await api.user(1).says("/start")
        api.hold("sendMessage")
        async with bot_for(api) as poller:
            poll = asyncio.create_task(poller.get_updates(offset=2, timeout=40))
            sending = asyncio.create_task(bot.send_message(1, "x"))
            await api.until(lambda: api.polling and api.held("sendMessage"))
            async with asyncio.timeout(10):
                await api.stop()
            done = await asyncio.gather(poll, sending, return_exceptions=True)
    assert len(done) == 2


async def test_fourth_message_at_once_to_one_chat_is_too_many(tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path, limits=Limits.telegram()) as api, bot_for(api) as bot:
        await api.user(1).says("/start")
        for _ in range(3):
            await bot.send_message(1, "x")
        with pytest.raises(RetryAfter):
            await bot.send_message(1, "x")
        refusal = api.refusals[-1]
        assert (refusal.code, refusal.description, refusal.args["chat_id"]) == (429, "Too Many Requests: retry after 1", 1)


async def test_edits_count_in_a_group_and_albums_by_their_messages(tmp_path: Path) -> None:
    limits = Limits(group_per_minute=5)
    async with BotApi(directory=tmp_path, limits=limits) as api, bot_for(api) as bot:
        group = api.group(-1001)
        message = await bot.send_message(group.id, "0")
        await bot.edit_message_text("1", group.id, message.id)
        await bot.send_media_group(group.id, [InputMediaDocument(b"x"), InputMediaDocument(b"y"), InputMediaDocument(b"z")])
        with pytest.raises(RetryAfter):
            await bot.edit_message_text("2", group.id, message.id)


async def test_button_answers_are_not_paced(tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path, limits=Limits.telegram()) as api, bot_for(api) as bot:
        alice = api.user(1)
        await alice.says("/start")
        for _ in range(40):
            assert await bot.answer_callback_query(await alice.presses(1, data="x"))
