"""Long poll and webhook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from telegram import Bot, Update
from telegram.error import Conflict
from telegram.ext import ApplicationBuilder, CallbackQueryHandler, ContextTypes, MessageHandler, filters

from sandbox.bot_api import BotApi, User
from tests.integration.bot_api.conftest import bot_for, refusal


async def test_application_of_python_telegram_bot_runs_unchanged(api: BotApi) -> None:
    builder = ApplicationBuilder().token(api.token).base_url(f"{api.base}/bot").base_file_url(f"{api.base}/file/bot")
    application = builder.job_queue(None).build()

    async def echo(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.effective_message is not None
        await update.effective_message.reply_html(f"<b>{update.effective_message.text}</b>")

    async def pressed(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer(f"you pressed {update.callback_query.data}")

    application.add_handler(MessageHandler(filters.TEXT, echo))
    application.add_handler(CallbackQueryHandler(pressed))
    alice = api.user(1001)
    async with application:
        assert application.updater is not None
        await application.start()
        await application.updater.start_polling()
        said = await alice.says("hello")
        await api.until(lambda: api.sent(alice.id))
        query = await alice.presses(said, data="button")
        await api.until(lambda: query in api.answers)
        await application.updater.stop()
        await application.stop()
    assert (api.sent(alice.id)[0]["text"], api.answers[query]["text"]) == ("hello", "you pressed button")


async def test_update_stays_until_it_is_confirmed(bot: Bot, alice: User) -> None:
    first = await bot.get_updates()
    again = await bot.get_updates()
    after = await bot.get_updates(offset=first[-1].update_id + 1)
    assert ([update.update_id for update in first], len(after)) == ([update.update_id for update in again], 0)


async def test_negative_offset_gives_the_last_and_forgets_the_rest(bot: Bot, alice: User) -> None:
    for text in "abc":
        await alice.says(text)
    last = await bot.get_updates(offset=-1)
    assert [update.message.text for update in last if update.message] == ["c"]
    assert len(await bot.get_updates()) == 1


async def test_no_more_than_the_limit_is_given(bot: Bot, alice: User) -> None:
    for text in "abc":
        await alice.says(text)
    assert len(await bot.get_updates(limit=2)) == 2


async def test_poll_ends_when_an_update_comes(bot: Bot, api: BotApi, alice: User) -> None:
    await bot.get_updates(offset=2)
    poll = asyncio.create_task(bot.get_updates(offset=2, timeout=40))
    await api.until(lambda: api.polling)
    await alice.says("wake up")
    assert [update.message.text for update in await poll if update.message] == ["wake up"]


async def test_second_poll_ends_the_first_with_a_conflict(bot: Bot, api: BotApi) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=40))
    await api.until(lambda: api.polling)
    async with bot_for(api) as other:
        second = asyncio.create_task(other.get_updates(timeout=40))
        with pytest.raises(Conflict, match="terminated by other getUpdates request"):
            await first
        await api.user(1).says("x")
        assert len(await second) == 1


async def test_only_wanted_updates_are_queued(bot: Bot, api: BotApi, alice: User) -> None:
    await bot.get_updates(offset=2, allowed_updates=["callback_query"])
    said = await alice.says("not wanted")
    await alice.presses(said, data="wanted")
    assert [update.callback_query is not None for update in await bot.get_updates()] == [True]


async def test_reactions_come_only_when_asked_for(bot: Bot, alice: User) -> None:
    said = await alice.says("x")
    await alice.reacts(said, "👍")
    assert [update for update in await bot.get_updates() if update.message_reaction] == []
    await bot.get_updates(allowed_updates=Update.ALL_TYPES)
    await alice.reacts(said, "👍")
    assert len([update for update in await bot.get_updates() if update.message_reaction]) == 1


class Receiver:
    """Takes updates at a webhook; answers with the statuses given, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.seen = list(statuses), list[dict[str, Any]]()
        self.secrets = list[str | None]()
        self.arrived = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        self.arrived.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.seen) < count:
                self.arrived.clear()
                await self.arrived.wait()

    @asynccontextmanager
    async def at_an_address(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/hook", self.receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        await runner.cleanup()


async def test_webhook_gets_updates_with_its_secret(bot: Bot, api: BotApi, alice: User) -> None:
    receiver = Receiver()
    async with receiver.at_an_address() as url:
        await bot.set_webhook(url, secret_token="s3cret", drop_pending_updates=True)
        await alice.says("hello")
        await receiver.until(1)
        await api.until(lambda: not api.pending_updates)
        await bot.delete_webhook()
    assert [update["message"]["text"] for update in receiver.seen] == ["hello"]
    assert receiver.secrets == ["s3cret"]


async def test_webhook_gets_an_update_again_until_it_answers_well(bot: Bot, api: BotApi, alice: User) -> None:
    receiver = Receiver(500, 302)
    async with receiver.at_an_address() as url:
        await bot.set_webhook(url)
        await receiver.until(3)
        await api.until(lambda: not api.pending_updates)
        info = await bot.get_webhook_info()
        await bot.delete_webhook()
    assert len({update["update_id"] for update in receiver.seen}) == 1
    assert (info.url, info.last_error_message) == (url, "Wrong response from the webhook: 302 Found")


async def test_no_poll_while_a_webhook_is_set(bot: Bot, api: BotApi) -> None:
    await bot.set_webhook("http://127.0.0.1:9/hook")
    with pytest.raises(Conflict, match="webhook is active"):
        await bot.get_updates()
    await bot.delete_webhook()
    assert await bot.get_updates() == ()


async def test_setting_a_webhook_ends_the_poll(bot: Bot, api: BotApi) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=40))
    await api.until(lambda: api.polling)
    async with bot_for(api) as other:
        await other.set_webhook("http://127.0.0.1:9/hook")
    with pytest.raises(Conflict):
        await poll


async def test_pending_updates_are_dropped_when_asked(bot: Bot, alice: User) -> None:
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == ()


async def test_wrong_secret_is_refused(bot: Bot) -> None:
    assert await refusal(bot.set_webhook("https://e.org", secret_token="no spaces")) == "Secret token contains unallowed characters"
