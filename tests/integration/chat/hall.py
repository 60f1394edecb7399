"""What the tests of the page share: its server, and the bot's side of the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from telegram import Bot, CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup

from magpie.local_chat import LocalChat
from sandbox.media_files import MediaFiles
from service.health import ServiceState, Stage
from tests.support.browser import OpenPage, an_open_page
from tests.unit.webapi.toy import trusting
from webapi.chat import ChatPage
from webapi.contract import Api
from webapi.server import HttpServer, build_app

HANG = 30
AT_BOTTOM = "() => { const one = document.querySelector('#scroller'); return one.scrollHeight - one.scrollTop - one.clientHeight < 2; }"


def keys(*rows: list[InlineKeyboardButton]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(rows)


def key(text: str, data: str) -> InlineKeyboardButton:
    return InlineKeyboardButton(text, callback_data=data)


@dataclass
class Hall:
    """The page's server, which can be ended and started again on the same port."""

    room: LocalChat
    port: int = 0

    async def start(self, stage: Stage = Stage.READY) -> None:
        api, self.state = Api(title="Magpie", version="0"), ServiceState(stage)
        ChatPage(self.room, state=self.state).register(api)
        self.server = HttpServer(build_app(api, authenticator=trusting(), state=self.state), hosts=("127.0.0.1",), port=self.port)
        await self.server.start()
        self.port = self.server.port

    async def stop(self) -> None:
        self.state.move_to(Stage.STOPPING)
        await self.server.close()


@asynccontextmanager
async def opened(browser: Any, hall: Hall, **about: str) -> AsyncIterator[OpenPage]:
    async with an_open_page(browser, f"http://127.0.0.1:{hall.port}", **about) as page:
        yield page
        assert page.complaints == []


async def medium(directory: Path, name: str) -> bytes:
    return (await MediaFiles(directory, imageio_ffmpeg.get_ffmpeg_exe()).find(name)).read_bytes()


async def pressed(bot: Bot) -> CallbackQuery:
    async with asyncio.timeout(HANG):
        while True:
            for update in await bot.get_updates(timeout=5, allowed_updates=["callback_query"]):
                if update.callback_query:
                    return update.callback_query
