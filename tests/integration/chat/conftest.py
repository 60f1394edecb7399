"""The local chat with python-telegram-bot at its other end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from magpie.local_chat import LocalChat

SECONDS = 30


def bot_for(chat: LocalChat) -> Bot:
    """A bot that talks in this chat, as the product's does."""
    request = HTTPXRequest(read_timeout=SECONDS, write_timeout=SECONDS, media_write_timeout=SECONDS)
    return Bot(chat.token, base_url=f"{chat.api_url}/bot", base_file_url=f"{chat.api_url}/file/bot", request=request)


@pytest.fixture(autouse=True)
def _new_style_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this `RetryAfter` warns from its own constructor."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[LocalChat]:
    chat = LocalChat(tmp_path / "chat")
    await chat.start()
    yield chat
    await chat.stop()


@pytest.fixture
async def bot(chat: LocalChat) -> AsyncIterator[Bot]:
    async with bot_for(chat) as bot:
        yield bot
