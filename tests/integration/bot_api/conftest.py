"""python-telegram-bot, unchanged, against the sandbox's Bot API over real HTTP."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from telegram import Bot
from telegram.error import BadRequest, Forbidden, TelegramError
from telegram.request import HTTPXRequest

from sandbox.bot_api import BotApi, User


@pytest.fixture(autouse=True)
def _new_style_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this `RetryAfter` warns from its own constructor."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


def bot_for(api: BotApi, *, token: str | None = None, seconds: float = 20) -> Bot:
    """A bot of python-telegram-bot; `seconds` is how long it waits for an answer."""
    request = HTTPXRequest(read_timeout=seconds, write_timeout=seconds, media_write_timeout=seconds)
    return Bot(token or api.token, base_url=f"{api.base}/bot", base_file_url=f"{api.base}/file/bot", request=request)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[BotApi]:
    async with BotApi(directory=tmp_path / "api", max_upload=3_000_000, max_download=2_000_000) as api:
        yield api


@pytest.fixture
async def bot(api: BotApi) -> AsyncIterator[Bot]:
    async with bot_for(api) as bot:
        yield bot


@pytest.fixture
async def alice(api: BotApi) -> User:
    """Somebody who has started the bot."""
    alice = api.user(1001, first_name="Alice")
    await alice.says("/start")
    return alice


def png(width: int = 2, height: int = 2) -> bytes:
    """A picture, as small as they come."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int = 320, height: int = 180, *, padding: int = 0) -> bytes:
    """The head of a JPEG, which is all that is looked at."""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + frame + bytes(padding) + b"\xff\xd9"


async def refusal(doing: object) -> str:
    """What Telegram says to this, which it must refuse."""
    with pytest.raises((BadRequest, Forbidden, TelegramError)) as caught:
        await doing  # type: ignore[misc]
    return caught.value.message


async def until(predicate: Callable[[], bool]) -> None:
    """Look until this is true, for things that tell nobody when they change."""
    async with asyncio.timeout(20):
        while not predicate():
            await asyncio.sleep(0.01)
