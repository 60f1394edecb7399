"""A Telegram that notes what reaches it and when, and a `Pacing` before it, in the running loop's time."""

from __future__ import annotations

import asyncio
import warnings
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter

from bot.lanes import Lane
from bot.pacing import Answer, Pace, Pacing

EXACT = Pace(chat_interval=1.0, group_period=60.0, overall_period=1.0)
"""Without the margin, so that tests can speak of whole seconds."""


def flood(seconds: float) -> RetryAfter:
    """Its constructor warns unless PTB_TIMEDELTA is set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RetryAfter(timedelta(seconds=seconds))


@dataclass
class Sent:
    at: float
    endpoint: str
    arguments: dict[str, Any]
    over: bool = False

    @property
    def text(self) -> str:
        return str(self.arguments.get("text", ""))


@dataclass
class Paced:
    """Calls take `latency` seconds, or until `held` is set; `errors` are raised one after the other."""

    pace: Pace = EXACT
    latency: float = 0.0
    errors: list[Exception] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    pacing: Pacing = field(init=False)
    held: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.pacing = Pacing(self.pace, monotonic=asyncio.get_running_loop().time)

    @property
    def times(self) -> list[float]:
        return [round(call.at, 3) for call in self.sent]

    @property
    def texts(self) -> list[str]:
        return [call.text for call in self.sent]

    async def receive(self, endpoint: str, arguments: dict[str, Any]) -> Answer:
        call = Sent(asyncio.get_running_loop().time(), endpoint, arguments)
        self.sent.append(call)
        if self.held is not None:
            await self.held.wait()
        await asyncio.sleep(self.latency)
        call.over = True
        if self.errors:
            raise self.errors.pop(0)
        return {"message_id": len(self.sent)}

    async def request(self, endpoint: str, lane: Lane | None = None, **arguments: Any) -> Answer:
        return await self.pacing.process_request(self.receive, (endpoint, arguments), {}, endpoint, arguments, lane)

    def ask(self, endpoint: str, lane: Lane | None = None, **arguments: Any) -> asyncio.Task[Answer]:
        """Ask, and do not wait for it. Asked in the order of these calls."""
        return asyncio.create_task(self.request(endpoint, lane, **arguments))

    def say(self, text: str, chat_id: int | str = 1, lane: Lane | None = None) -> asyncio.Task[Answer]:
        return self.ask("sendMessage", lane, chat_id=chat_id, text=text)

    def progress(self, text: str, chat_id: int | str = 1, message_id: int = 7) -> asyncio.Task[Answer]:
        return self.ask("editMessageText", Lane.PROGRESS, chat_id=chat_id, message_id=message_id, text=text)

    def edit(self, text: str, chat_id: int | str = 1, message_id: int = 7) -> asyncio.Task[Answer]:
        return self.ask("editMessageText", chat_id=chat_id, message_id=message_id, text=text)

    async def fill(self, chat_id: int | str = 1) -> None:
        """Use up what the chat may have at once."""
        for _ in range(3):
            await self.request("sendMessage", chat_id=chat_id, text="fill")
        self.sent.clear()
