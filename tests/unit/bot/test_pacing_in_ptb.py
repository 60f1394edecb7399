"""The limiter where it lives: in python-telegram-bot's `ExtBot`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from telegram import Message
from telegram.error import RetryAfter
from telegram.ext import ExtBot
from telegram.request import BaseRequest, RequestData

from bot.lanes import Lane, Within
from bot.pacing import SUPERSEDED, Pacing
from tests.unit.bot.virtual_time import virtually

MESSAGE = {"message_id": 7, "date": 0, "chat": {"id": 1, "type": "private"}}
FLOOD = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 4", "parameters": {"retry_after": 4}}


class Wire(BaseRequest):
    """Answers every request with the message, except what is scripted."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, str]] = []
        self.scripted: list[tuple[int, dict[str, Any]]] = []

    @property
    def read_timeout(self) -> float | None:
        return None

    async def initialize(self) -> None: ...

    async def shutdown(self) -> None: ...

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *args: Any, **kwargs: Any
    ) -> tuple[int, bytes]:
        del method, request_data, args, kwargs
        self.requests.append((round(asyncio.get_running_loop().time(), 3), url.rsplit("/", 1)[1]))
        code, body = self.scripted.pop(0) if self.scripted else (200, {"ok": True, "result": MESSAGE})
        return code, json.dumps(body).encode()


def bot_on(wire: Wire) -> ExtBot[Lane | Within]:
    pacing = Pacing(monotonic=asyncio.get_running_loop().time)
    return ExtBot("1:token", request=wire, get_updates_request=wire, rate_limiter=pacing)


@virtually
async def test_a_progress_edit_asked_for_through_the_bot_is_coalesced() -> None:
    wire = Wire()
    bot = bot_on(wire)
    edits = [bot.edit_message_text(f"{n} %", chat_id=1, message_id=7, rate_limit_args=Lane.PROGRESS) for n in range(3)]
    first, second, third = await asyncio.gather(*edits)
    assert (isinstance(first, Message), second, isinstance(third, Message)) == (True, SUPERSEDED, True)
    assert wire.requests == [(0, "editMessageText"), (3, "editMessageText")]


@virtually
async def test_the_bot_repeats_what_telegram_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    wire = Wire()
    wire.scripted.append((429, FLOOD))
    message = await bot_on(wire).send_message(1, "hello")
    assert message.message_id == 7
    assert wire.requests == [(0, "sendMessage"), (4.1, "sendMessage")]


@virtually
async def test_get_updates_is_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    wire = Wire()
    wire.scripted.append((429, FLOOD))
    with pytest.raises(RetryAfter):
        await bot_on(wire).get_updates()
    assert len(wire.requests) == 1
