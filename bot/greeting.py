"""👀 before anything else: as soon as an update is here, beside writing it down.

It says "seen", not "done": should the service die before the update is written down, Telegram tells it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from telegram import Message, Update

from bot.addresses import finds_in
from bot.identity import place_of
from bot.outbox import Outbox

REMEMBERED = 2000
PATIENCE = 2.0
"""Seconds that other work lets reactions go first."""


class Greeter:
    """Greets where it is sure to be right: somebody who may use the bot, in private, with a link."""

    def __init__(self, *, outbox: Outbox, admits: Callable[[Update, Message], bool]) -> None:
        self._outbox, self._admits = outbox, admits
        self._greetings: dict[int, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._under_way = 0

    def greet(self, updates: Sequence[Update]) -> None:
        """Begin; returns at once."""
        for update in updates:
            message = update.message
            if message is not None and self._is_sure(update, message) and len(self._greetings) < REMEMBERED:
                self._under_way += 1
                self._idle.clear()
                task = asyncio.create_task(self._outbox.react(place_of(message), message.message_id), name="greeting")
                task.add_done_callback(self._ended)
                self._greetings[update.update_id] = task

    async def was_greeted(self, update: Update) -> bool:
        """Whether this one was, once that is over and others' greetings have had the way."""
        task = self._greetings.pop(update.update_id, None)
        if task is None:
            return False
        await asyncio.wait({task})
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._idle.wait()
        return True

    def stop(self) -> None:
        for task in self._greetings.values():
            task.cancel()

    def _is_sure(self, update: Update, message: Message) -> bool:
        text = message.text or message.caption or ""
        return not place_of(message).is_group and not text.startswith("/") and self._admits(update, message) and bool(finds_in(message))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()
        if not task.cancelled():
            task.exception()  # a small thing, whose failure changes nothing
