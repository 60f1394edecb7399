"""The inbox: what Telegram tells us is committed before it may forget it, and done only when its use case has committed.

python-telegram-bot confirms a batch with its next poll, before any handler has run. So the poll itself commits the batch
(one transaction for up to a hundred updates); what was committed and not done is handled again after a crash.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from telegram import Update
from telegram.error import BadRequest, Conflict, InvalidToken, NetworkError, TelegramError
from telegram.ext import Application, BaseUpdateProcessor, ExtBot

from bot.outbox import NotReached
from service.chat import ReceivedUpdate
from service.ports import Clock, Database

log = logging.getLogger("magpie.inbox")
AT_ONCE = 256
WAITING = 2000
"""Updates in memory: when so many wait, Telegram is not asked for more."""
GATHER = 0.05
"""Seconds within which updates that are done are written down together."""
RETRIES = (1.0, 3.0)
"""Seconds between tries of an update whose answer did not reach Telegram; its chat waits meanwhile."""
POSTPONED = 30.0
"""Seconds after which it is handled once more; its chat goes on meanwhile."""


class Inbox(asyncio.Queue[object]):
    """python-telegram-bot's `update_queue`, in front of a table."""

    def __init__(self, *, database: Database, clock: Clock, bot_id: int) -> None:
        super().__init__(WAITING)
        self._database, self._clock, self._bot_id = database, clock, bot_id
        self._fresh: set[int] = set()
        self._taken: set[int] | None = set()
        self._done: list[int] = []
        self._writer: asyncio.Task[None] | None = None
        self._postponed: set[asyncio.Task[None]] = set()

    async def commit(self, updates: Sequence[Update]) -> None:
        """Write down what is new. Raises whatever the database raises: then nothing may be confirmed."""
        received = [
            ReceivedUpdate(bot_id=self._bot_id, update_id=one.update_id, body=one.to_json(), received_at=self._clock.now())
            for one in updates
        ]
        async with self._database.write() as transaction:
            self._fresh |= await transaction.updates.add(received)

    async def put(self, item: object) -> None:
        """Only what `commit` found to be new: Telegram tells again what was not confirmed."""
        if isinstance(item, Update):
            if item.update_id not in self._fresh:
                return
            self._fresh.discard(item.update_id)
            if self._taken is not None:
                self._taken.add(item.update_id)
        await super().put(item)

    async def replay(self, update: Update) -> None:
        """Handle one of `left_over`."""
        await super().put(update)

    def postpone(self, update: Update) -> None:
        """Handle it once more, later. A stop leaves it to the next start."""
        task = asyncio.create_task(self._bring_back(update), name="postponed update")
        self._postponed.add(task)
        task.add_done_callback(self._postponed.discard)

    async def _bring_back(self, update: Update) -> None:
        await asyncio.sleep(POSTPONED)
        await self.replay(update)

    async def left_over(self, bot: ExtBot[Any]) -> list[Update]:
        """What an earlier process committed and did not finish, oldest first."""
        async with self._database.read() as transaction:
            rows = await transaction.updates.open(self._bot_id)
        # What came by webhook while the bot was connecting is in the queue already, or about to be.
        taken, self._taken = (self._taken or set()) | self._fresh, None
        return [Update.de_json(json.loads(row.body), bot) for row in rows if row.update_id not in taken]

    def done(self, update_id: int) -> None:
        """Its use case has committed. Written a moment later, with others: handling one twice changes nothing."""
        self._done.append(update_id)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_done(), name="inbox")

    async def _write_done(self) -> None:
        while self._done:
            await asyncio.sleep(GATHER)
            ids, self._done = self._done, []
            try:
                async with self._database.write() as transaction:
                    await transaction.updates.done(self._bot_id, ids)
            except Exception:
                # The task's outermost loop. They are written with the next ones; after a restart they would be handled again.
                log.exception("what is done could not be written down")
                self._done = ids + self._done
                return

    async def flush(self) -> None:
        """Until all that is done is written. What is postponed stays behind."""
        for task in [*self._postponed]:
            task.cancel()
        if self._writer is not None:
            await self._writer


class PollingBot(ExtBot[Any]):
    """A bot whose polls commit what they bring before it is confirmed."""

    _inbox: Inbox | None = None
    _refusal: type[TelegramError] | None = None
    _at_first: Callable[[Sequence[Update]], None] | None = None

    @property
    def refusal(self) -> type[TelegramError] | None:
        """Why Telegram gives no updates: an unknown token, or another program that uses it."""
        return self._refusal

    def commit_to(self, inbox: Inbox, at_first: Callable[[Sequence[Update]], None]) -> None:
        """Before the first poll. `at_first` hears of the updates before they are written down.

        (The library lets only private attributes of a bot be set.)
        """
        self._inbox, self._at_first = inbox, at_first

    async def get_updates(self, *args: Any, **kwargs: Any) -> tuple[Update, ...]:
        if self._refusal is not None:
            kwargs["timeout"] = 0  # a long poll would tell only at its end that it is refused no longer
        try:
            updates = await super().get_updates(*args, **kwargs)
        except (InvalidToken, Conflict) as refused:
            # To the library a refused token is the end of polling: but a server that is only being restarted says so too.
            self._refusal = type(refused)
            raise NetworkError("polling is refused") from refused
        self._refusal = None
        if updates and self._at_first is not None:
            self._at_first(updates)
        if updates and self._inbox is not None:
            try:
                await self._inbox.commit(updates)
            except Exception as broken:
                # Whatever it is: these updates must be asked for again, which the updater does after a network error only.
                log.exception("updates could not be written down, they are asked for again")
                raise NetworkError("the inbox could not be written") from broken
        return updates


class InboxProcessor(BaseUpdateProcessor):
    """Chats side by side, the updates of one chat in order, each done only after its handler.

    An update that waits for its chat takes none of the places: else somebody who talks a lot would silence the bot for all.
    """

    def __init__(self, inbox: Inbox) -> None:
        super().__init__(WAITING)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._inbox = inbox
        self._chats: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._failed: dict[int, BaseException] = {}
        self.application: Application[Any, Any, Any, Any, Any, Any] | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Try nothing again: what is not done is left to the next start."""
        self._stopping.set()

    def failed(self, update: object, error: BaseException | None) -> None:
        """Called by the error handler."""
        if isinstance(update, Update) and error is not None:
            self._failed[update.update_id] = error

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        if not isinstance(update, Update):
            await coroutine
            return
        chat = update.effective_chat
        lock = self._chats.setdefault(chat.id if chat else 0, asyncio.Lock())
        async with lock, self._places:
            if self._stopping.is_set():
                if asyncio.iscoroutine(coroutine):
                    coroutine.close()
                return
            await coroutine
            for pause in RETRIES:
                error = self._failed.pop(update.update_id, None)
                if not _may_be_tried_again(error) or self.application is None:
                    break
                log.warning("an update's answer did not reach Telegram, it is handled again", extra={"cause": type(error).__name__})
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
                if self._stopping.is_set():
                    return
                await self.application.process_update(update)
            if _may_be_tried_again(self._failed.pop(update.update_id, None)):
                log.warning("an update is postponed: its answer does not reach Telegram")
                self._inbox.postpone(update)
                return
        self._inbox.done(update.update_id)

    async def initialize(self) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""


def _may_be_tried_again(error: BaseException | None) -> bool:
    return isinstance(error, NotReached) or (isinstance(error, NetworkError) and not isinstance(error, BadRequest))
